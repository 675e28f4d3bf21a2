//! What goes on from event to event.

use barkeep_journal::{DeviceAddress, Event};

/// What a run cannot do, or could not do now.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Refused(pub String);

/// A run that stands after one of its events, or before its first.
pub trait Run {
    /// Lets it go on, and gives its next event as soon as that is written; the run stands there. `None`: it is over.
    ///
    /// # Errors
    /// It came to an end that is none.
    fn next_event(&mut self) -> Result<Option<Event>, Refused>;

    /// Sees to it that what carries it out stands after the last event that was given, and says how.
    ///
    /// # Errors
    /// It does not come there, or is another run this time.
    fn stand(&mut self) -> Result<Option<String>, Refused> {
        Ok(None)
    }

    /// Begins again, before the first event.
    ///
    /// # Errors
    /// This one cannot: it would not be the same again, or has left its marks.
    fn again(&mut self) -> Result<(), Refused>;

    /// Bytes of a BAR as they are now.
    ///
    /// # Errors
    /// Nobody can look now, or there.
    fn bytes(
        &mut self,
        device: DeviceAddress,
        bar: u8,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, Refused>;

    /// Lets a debugger in, at the kernel's next revoke from here; what there is to be known of that, a line for each. The
    /// run goes on once the debugger lets it.
    ///
    /// # Errors
    /// There is no such kernel, or it does not get there.
    fn let_debugger_in(&mut self) -> Result<Vec<String>, Refused> {
        Err(Refused("there is no emulated kernel here".to_owned()))
    }

    /// Waits until the debugger that was let in has let the run go on to its end, and says how that was.
    ///
    /// # Errors
    /// None was let in.
    fn wait_for_debugger(&mut self) -> Result<Vec<String>, Refused> {
        Err(Refused("there is no emulated kernel here".to_owned()))
    }

    /// The mappings of the process that runs the VM, a line for each.
    ///
    /// # Errors
    /// Nobody can look now.
    fn mappings(&mut self) -> Result<Vec<String>, Refused>;
}
