//! The keeper of one device's mappings: a state machine without I/O.
//!
//! An event goes in by [`Keeper::begin`], the next step comes out of [`Keeper::next_step`], its
//! result goes in by [`Keeper::done`]. The order is the same for every event, and each part
//! of it has its reason:
//!
//! 1. **Withdraw the memory slots.** Before the event, so that a guest access during it is
//!    an MMIO exit with an address, which can be answered, and not an EFAULT without one.
//! 2. **Let the event through.** The kernel revokes, resets, restores, all in one call.
//! 3. **Find out what is true.** A reset may fail and decode may be off: the registers say
//!    so, the event does not.
//! 4. **Drop the dead mappings.** A revoked mapping stays in the IOAS, empties its page
//!    table entries and keeps its IOVA: mapping again before unmapping is EEXIST.
//! 5. **Map anew**, only if the function decodes: while revoked it would be ENODEV.
//! 6. **Put the slots back**, last: a guest that sees its BAR answer again may start DMA to
//!    it at once, and that DMA must find its mapping.

mod planted;

use crate::contract::{Cause, Errno, Found, Passage, Window};
use barkeep_planted::Progress;

/// A window's guest memory slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Not set.
    Out,
    /// Set at this guest physical address.
    In(u64),
    /// It could not be set or taken away.
    Failed(Errno),
}

/// A window's mapping in the I/O address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// Peers are not to reach this window.
    Unwanted,
    /// None.
    None,
    /// Mapped at this IOVA and believed alive.
    Live(u64),
    /// Mapped at this IOVA and believed dead: to be unmapped.
    Dead(u64),
    /// The kernel refused the last attempt.
    Refused(Errno),
}

/// What is to be done next. `window` counts within the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Take the memory slot away.
    WithdrawSlot {
        /// Which window.
        window: usize,
        /// Guest physical address of the slot.
        address: u64,
    },
    /// Perform the event itself.
    LetThrough,
    /// Read the registers.
    FindOut,
    /// `IOMMU_IOAS_UNMAP`.
    DropMapping {
        /// Which window.
        window: usize,
        /// IOVA.
        address: u64,
    },
    /// `IOMMU_IOAS_MAP_FILE`.
    MakeMapping {
        /// Which window.
        window: usize,
        /// IOVA.
        address: u64,
    },
    /// Set the memory slot.
    PutBackSlot {
        /// Which window.
        window: usize,
        /// Guest physical address.
        address: u64,
    },
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StepResult {
    /// It was done, or its errno.
    Done(Result<(), Errno>),
    /// The answer to [`Step::FindOut`].
    Found(Result<Found, Errno>),
}

/// Where in the order the keeper is; the number counts windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Settled,
    Withdraw(usize),
    LetThrough,
    FindOut,
    Retire(usize),
    Drop(usize),
    Make(usize),
    PutBack(usize),
}

/// One window's two mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowState {
    /// What the window is.
    pub window: Window,
    /// Its guest memory slot.
    pub slot: Slot,
    /// Its mapping in the I/O address space.
    pub mapping: Mapping,
    /// MAP_FILE met EEXIST once in this event and was preceded by another UNMAP.
    cleared: bool,
}

/// The keeper of one device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keeper {
    windows: Vec<WindowState>,
    stage: Stage,
    cause: Cause,
    found: Option<Found>,
    closed: bool,
    /// Of a planted fault; nothing in a build without.
    progress: Progress,
}

impl Keeper {
    /// A keeper with nothing mapped.
    pub fn new(windows: &[Window]) -> Self {
        let state = |&window: &Window| WindowState {
            window,
            slot: Slot::Out,
            mapping: if window.p2p { Mapping::None } else { Mapping::Unwanted },
            cleared: false,
        };
        Self {
            windows: windows.iter().map(state).collect(),
            stage: Stage::Settled,
            cause: Cause::START,
            found: None,
            closed: false,
            progress: Progress::default(),
        }
    }

    /// The windows and what is believed of them.
    pub fn windows(&self) -> &[WindowState] {
        &self.windows
    }

    /// Whether no event is being handled.
    pub fn settled(&self) -> bool {
        self.stage == Stage::Settled
    }

    /// Whether the device was closed.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// What the registers said in the event being handled, or in the last one.
    pub fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// Takes an event on. The keeper must be settled.
    pub fn begin(&mut self, cause: Cause) {
        debug_assert!(self.settled(), "one event at a time");
        let before = self.found.take();
        self.plant_at_begin(&cause, before);
        self.cause = cause;
        for window in &mut self.windows {
            window.cleared = false;
        }
        self.stage = match cause.passage {
            // Nothing will be disturbed: what is in stays in.
            Passage::Nothing => Stage::FindOut,
            Passage::ConfigWrite(_)
            | Passage::DeviceReset
            | Passage::HotReset
            | Passage::LowPower(_)
            | Passage::Close => Stage::Withdraw(0),
        };
    }

    /// The next step, `None` once settled.
    pub fn next_step(&mut self) -> Option<Step> {
        loop {
            let (step, stage) = match self.stage {
                Stage::Settled => return None,
                Stage::Withdraw(n) if n == self.windows.len() => (None, Stage::LetThrough),
                Stage::Withdraw(n) => match self.withdraw(n) {
                    None => (None, Stage::Withdraw(n + 1)),
                    step => (step, self.stage),
                },
                Stage::LetThrough => (Some(Step::LetThrough), self.stage),
                Stage::FindOut => (Some(Step::FindOut), self.stage),
                Stage::Retire(n) if n == self.windows.len() => (None, Stage::Drop(0)),
                Stage::Retire(n) => match self.retire(n) {
                    None => (None, Stage::Retire(n + 1)),
                    step => (step, self.stage),
                },
                Stage::Drop(n) if n == self.windows.len() => (None, Stage::Make(0)),
                Stage::Drop(n) => match self.drop_mapping(n) {
                    None => (None, Stage::Drop(n + 1)),
                    step => (step, self.stage),
                },
                Stage::Make(n) if n == self.windows.len() => (None, Stage::PutBack(0)),
                Stage::Make(n) => match self.make_mapping(n) {
                    None => (None, Stage::Make(n + 1)),
                    step => (step, self.stage),
                },
                Stage::PutBack(n) if n == self.windows.len() => (None, self.plant_after_slots()),
                Stage::PutBack(n) => match self.put_back(n) {
                    None => (None, Stage::PutBack(n + 1)),
                    step => (step, self.stage),
                },
            };
            self.stage = stage;
            match step {
                Some(step) if self.plant_passes_over(step) => self.done(StepResult::Done(Ok(()))),
                Some(step) => return Some(step),
                None => {}
            }
        }
    }

    /// Takes in what the step given last by [`Self::next_step`] came to.
    pub fn done(&mut self, result: StepResult) {
        self.stage = match (self.stage, result) {
            (Stage::Withdraw(n), StepResult::Done(result)) => {
                self.windows[n].slot = result.map_or_else(Slot::Failed, |()| Slot::Out);
                Stage::Withdraw(n + 1)
            }
            (Stage::LetThrough, StepResult::Done(result)) => {
                // Whether it succeeded or not: a failed reset has revoked too.
                self.revoked();
                self.plant_after_event(result)
            }
            (Stage::FindOut, StepResult::Found(found)) => {
                self.take_found(found);
                Stage::Retire(0)
            }
            (Stage::Retire(n), StepResult::Done(result)) => {
                self.windows[n].slot = result.map_or_else(Slot::Failed, |()| Slot::Out);
                Stage::Retire(n + 1)
            }
            (Stage::Drop(n), StepResult::Done(result)) => {
                self.windows[n].mapping = match result {
                    // ENOENT: nothing was there, which is what was wanted.
                    Ok(()) | Err(Errno::NOENT) => Mapping::None,
                    Err(errno) => Mapping::Refused(errno),
                };
                Stage::Drop(n + 1)
            }
            (Stage::Make(n), StepResult::Done(result)) => self.mapped(n, result),
            (Stage::PutBack(n), StepResult::Done(result)) => {
                let address = self.slot_address(n);
                self.windows[n].slot =
                    result.map_or_else(Slot::Failed, |()| address.map_or(Slot::Out, Slot::In));
                Stage::PutBack(n + 1)
            }
            (stage, result) => unreachable!("{result:?} is no answer in {stage:?}"),
        };
    }

    fn revoked(&mut self) {
        if self.cause.passage == Passage::Close {
            self.closed = true;
        }
        if !self.cause.revokes {
            return;
        }
        for WindowState { window: _, slot: _, mapping, cleared: _ } in &mut self.windows {
            if let Mapping::Live(address) = *mapping {
                *mapping = Mapping::Dead(address);
            }
        }
    }

    fn take_found(&mut self, found: Result<Found, Errno>) {
        if self.cause.passage == Passage::Nothing {
            self.revoked();
        }
        self.found = found.ok();
        self.plant_after_find_out();
    }

    /// Where the window is to be mapped now; `None` while the function does not decode.
    fn address(&self, n: usize) -> Option<u64> {
        let found = self.found.as_ref()?;
        if self.closed || !found.live() {
            return None;
        }
        found.addresses.get(n).copied().flatten()
    }

    fn withdraw(&self, n: usize) -> Option<Step> {
        match self.windows[n].slot {
            Slot::In(address) => Some(Step::WithdrawSlot { window: n, address }),
            Slot::Out | Slot::Failed(_) => None,
        }
    }

    /// A slot that stayed in because nothing was let through, but whose BAR turned out not
    /// to be there (any more).
    fn retire(&self, n: usize) -> Option<Step> {
        match self.windows[n].slot {
            Slot::In(address) if self.address(n) != Some(address) => {
                Some(Step::WithdrawSlot { window: n, address })
            }
            Slot::In(_) | Slot::Out | Slot::Failed(_) => None,
        }
    }

    fn drop_mapping(&self, n: usize) -> Option<Step> {
        match self.windows[n].mapping {
            Mapping::Dead(address) => Some(Step::DropMapping { window: n, address }),
            // Alive, but not where the BAR is any more.
            Mapping::Live(address) if self.address(n) != Some(address) => {
                Some(Step::DropMapping { window: n, address })
            }
            Mapping::Live(_) | Mapping::None | Mapping::Unwanted | Mapping::Refused(_) => None,
        }
    }

    fn make_mapping(&self, n: usize) -> Option<Step> {
        let address = self.address(n)?;
        match self.windows[n].mapping {
            Mapping::None => Some(Step::MakeMapping { window: n, address }),
            // Tried again at every event, for what refused may be over.
            Mapping::Refused(_) if !self.windows[n].cleared => Some(Step::MakeMapping { window: n, address }),
            Mapping::Refused(_) | Mapping::Live(_) | Mapping::Dead(_) | Mapping::Unwanted => None,
        }
    }

    fn mapped(&mut self, n: usize, result: Result<(), Errno>) -> Stage {
        let address = self.address(n);
        let window = &mut self.windows[n];
        match (result, address) {
            (Ok(()), Some(address)) => {
                window.mapping = Mapping::Live(address);
                Stage::Make(n + 1)
            }
            // A dead mapping nobody remembered holds the IOVA: clear it and try once more.
            (Err(Errno::EXIST), Some(address)) if !window.cleared => {
                window.cleared = true;
                window.mapping = Mapping::Dead(address);
                Stage::Drop(n)
            }
            (Err(errno), _) => {
                window.cleared = true;
                window.mapping = Mapping::Refused(errno);
                Stage::Make(n + 1)
            }
            (Ok(()), None) => unreachable!("mapped without an address"),
        }
    }

    fn slot_address(&self, n: usize) -> Option<u64> {
        self.address(n).or_else(|| self.plant_undecoded(n))
    }

    fn put_back(&self, n: usize) -> Option<Step> {
        let address = self.slot_address(n)?;
        match self.windows[n].slot {
            // One that failed is tried again: what stood in its way may be gone.
            Slot::Out | Slot::Failed(_) => Some(Step::PutBackSlot { window: n, address }),
            Slot::In(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "keeper_test.rs"]
mod tests;
