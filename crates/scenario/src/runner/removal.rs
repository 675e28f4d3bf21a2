//! Devices taken out of the machine while the VM has them.
//!
//! Where a kernel does it, the administrator's write waits for the last reference to the device
//! file: it is made on a thread of its own. Where time is planned it does not wait.

use super::{DeviceRef, RunError, Runner};
use crate::language::Release;
use crate::world::Time;
use barkeep_export::{Administrator, Errno, result_number};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind, Trigger};
use barkeep_platform::OnRequest;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// Between two looks whether something has come about.
const TURN: Duration = Duration::from_millis(1);
/// Turns until a request must have been seen: the kernel makes it at once, and again after 10 s.
const TURNS_TO_REQUEST: u32 = 15_000;
/// Turns until a removal must be over, once the file is closed.
const TURNS_TO_END: u32 = 60_000;

/// A removal that goes on or is over.
pub(super) struct Removal<'scope> {
    device: DeviceRef,
    /// With it go all other virtual functions of a physical one.
    with_others: bool,
    /// It stays in the machine, without a driver.
    unbind: bool,
    doing: Doing<'scope>,
}

enum Doing<'scope> {
    Thread(ScopedJoinHandle<'scope, Result<(), Errno>>),
    Over(Result<(), Errno>),
}

/// The write to sysfs.
struct Write {
    administrator: Arc<dyn Administrator>,
    journal: Journal,
    device: DeviceAddress,
    /// Whose virtual functions are all taken away, rather than the device alone.
    functions_of: Option<DeviceAddress>,
    unbind: bool,
}

impl Write {
    fn carry_out(self) -> Result<(), Errno> {
        let Self { administrator, journal, device, functions_of, unbind } = self;
        let (on, text) = match functions_of {
            None if unbind => (device, "unbind"),
            None => (device, "remove"),
            Some(physical) => (physical, "sriov_numvfs=0"),
        };
        let event = Event::new(Kind::Administer, Actor::Observer).device(on);
        let step = journal.begin(event.trigger(Trigger::Remove).text(text));
        let result = match functions_of {
            None if unbind => administrator.unbind(device),
            None => administrator.remove(device),
            Some(physical) => administrator.virtual_functions(physical, 0),
        };
        journal.end(step, result_number(result));
        result
    }
}

impl Runner<'_, '_> {
    /// Begins a removal; whether the VMM has seen the kernel's request.
    pub(super) fn remove(
        &mut self,
        name: &str,
        release: Release,
        functions_of: Option<&str>,
        unbind: bool,
    ) -> Result<bool, RunError> {
        let (device, board) = (self.device(name)?, self.world.board());
        let functions_of = functions_of.map(|physical| self.host_address(physical)).transpose()?;
        board.answer_requests(
            device.index,
            match release {
                Release::AtOnce => OnRequest::Release,
                Release::Later => OnRequest::Wait,
            },
        );
        let before = board.requests(device.index);
        let write = Write {
            administrator: Arc::clone(board.administrator()),
            journal: board.journal().clone(),
            device: device.address,
            functions_of,
            unbind,
        };
        let doing = match self.world.time() {
            Time::Flows => Doing::Thread(self.scope.spawn(move || write.carry_out())),
            Time::Planned(_) => {
                let result = write.carry_out();
                // Nobody waits for a simulated kernel's signals: it is asked.
                board.notice_request(device.index);
                Doing::Over(result)
            }
        };
        self.removals.push(Removal { device, with_others: functions_of.is_some(), unbind, doing });
        let asked = self.within(TURNS_TO_REQUEST, |runner| {
            runner.world.board().requests(device.index) > before
                || runner.removals.last().is_some_and(|removal| removal.doing.is_over())
        });
        let asked = asked && board.requests(device.index) > before;
        let told = self.expectation(&format!("the kernel asks for {name} back"), asked);
        if !asked || release == Release::Later {
            return Ok(told);
        }
        // Whoever hears of the request gives the device up, and that is not this thread.
        let given = self
            .within(TURNS_TO_REQUEST, |runner| runner.world.board().driver().keeper(device.index).closed());
        Ok(self.expectation(&format!("the VMM gives {name} up"), given))
    }

    /// Waits for the end of a removal; whether the device is gone.
    pub(super) fn removed(&mut self, name: &str) -> Result<bool, RunError> {
        let device = self.device(name)?;
        let own = self.removals.iter().rposition(|removal| removal.device == device);
        let others = || self.removals.iter().rposition(|removal| removal.with_others);
        let Some(place) = own.or_else(others) else {
            return Ok(self.expectation("a removal was begun before its end is awaited", false));
        };
        let over = self.within(TURNS_TO_END, |runner| runner.removals[place].doing.is_over());
        if !over {
            return Ok(self.expectation(&format!("the removal of {name} comes to its end"), false));
        }
        let Removal { device: first, with_others, unbind, doing } = self.removals.remove(place);
        let result = doing.join();
        // To be asked again for the others that went with it.
        self.removals.push(Removal { device: first, with_others, unbind, doing: Doing::Over(result) });
        let ended = self.expect_errno("removal", "ok", result);
        let administrator = self.world.board().administrator();
        let (what, there) = match unbind {
            true => ("has a driver", administrator.is_bound(device.address)),
            false => ("is in the machine", administrator.is_there(device.address)),
        };
        Ok(self.expectation(&format!("{name} no longer {what}"), !there) && ended)
    }

    /// Removals nobody has waited for: whatever keeps them from their end is given up.
    pub(super) fn end_removals(&mut self) {
        for Removal { device, with_others: _, unbind: _, doing } in std::mem::take(&mut self.removals) {
            if !doing.is_over() {
                self.world.board().let_go(device.index, None, None);
                self.world.board().release(device.index);
            }
            // How it went is in the journal.
            let _ = doing.join();
        }
    }

    /// Whether something comes about within so many turns.
    fn within(&self, turns: u32, is_so: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..turns {
            if is_so(self) {
                return true;
            }
            self.world.pause(TURN);
        }
        is_so(self)
    }
}

impl Doing<'_> {
    fn is_over(&self) -> bool {
        match self {
            Self::Thread(thread) => thread.is_finished(),
            Self::Over(_) => true,
        }
    }

    fn join(self) -> Result<(), Errno> {
        match self {
            Self::Thread(thread) => thread.join().unwrap_or(Err(Errno::IO)),
            Self::Over(result) => result,
        }
    }
}
