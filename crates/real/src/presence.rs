//! Devices that are taken out of the machine and put back.

use crate::sysfs::Folder;
use barkeep_model::Errno;
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

/// Between two looks; idle time is free in the lab.
const LOOK: Duration = Duration::from_millis(2);
/// How long the kernel may take for what nobody keeps it from.
const REMOVES: Duration = Duration::from_secs(10);

/// Whether a device is there.
#[derive(Debug, Default)]
pub(crate) enum Presence {
    /// It is.
    #[default]
    There,
    /// Its removal waits for its last file. The thread is in the write to `remove`.
    Leaving(JoinHandle<Result<u64, Errno>>),
    /// It is not.
    Gone,
}

impl Presence {
    /// Starts a removal, and gives it until nobody can open the device any longer. A write that
    /// fails is answered by its errno.
    pub(crate) fn remove(&mut self, folder: &Folder) -> Result<u64, Errno> {
        let written = folder.clone();
        let thread = thread::spawn(move || written.write("remove", "1"));
        look_until(REMOVES, || thread.is_finished() || folder.character_device().is_err());
        let is_over = thread.is_finished();
        *self = Self::Leaving(thread);
        if is_over {
            self.settle()?;
        }
        Ok(0)
    }

    /// Waits for a removal that nothing keeps from ending.
    ///
    /// # Errors
    /// That of the write, or EBUSY if it does not end; the device counts as there, or as leaving.
    pub(crate) fn settle(&mut self) -> Result<(), Errno> {
        match std::mem::take(self) {
            Self::Leaving(thread) => {
                if !look_until(REMOVES, || thread.is_finished()) {
                    *self = Self::Leaving(thread);
                    return Err(Errno::EBUSY);
                }
                // It has no panic of its own.
                let written = thread.join().unwrap_or(Err(Errno::EPROTO));
                written.map(|_| *self = Self::Gone)
            }
            other => {
                *self = other;
                Ok(())
            }
        }
    }
}

/// Looks now and then, until it holds or the time is up; gives whether it holds.
pub(crate) fn look_until(most: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let looks = most.as_nanos() / LOOK.as_nanos();
    (0..looks).any(|_| {
        let held = holds();
        if !held {
            sleep(LOOK);
        }
        held
    })
}
