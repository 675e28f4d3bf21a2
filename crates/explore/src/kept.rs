//! The keeper as the explored VMM has it: the real one, or the real one behind a planted error.

use crate::mutant::Mutant;
use barkeep_export::{Cause, Errno, Found, Keeper, Mapping, Passage, Step, StepResult, Window};
use barkeep_journal::Trigger;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// A keeper with nothing, or one thing, wrong about it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    keeper: Keeper,
    mutant: Option<Mutant>,
    /// The event's cause.
    cause: Cause,
    /// Steps the keeper was told are done, and that are to be done later.
    late: SmallVec<[Step; 2]>,
    /// The step given last is one of those.
    is_late: bool,
    /// What a wrong keeper remembers of the registers.
    memory: Option<Found>,
    /// What the keeper were if the event did not revoke.
    spared: Option<Box<Keeper>>,
}

/// What is done about a step of the keeper's.
enum Verdict {
    Do,
    Skip,
    Later,
}

impl Kept {
    pub(crate) fn new(windows: &[Window], mutant: Option<Mutant>) -> Self {
        Self {
            keeper: Keeper::new(windows),
            mutant,
            cause: Cause::START,
            late: SmallVec::new(),
            is_late: false,
            memory: None,
            spared: None,
        }
    }

    pub(crate) fn begin(&mut self, cause: Cause) {
        self.cause = cause;
        let harmless = Cause { revokes: false, ..cause };
        if self.mutant == Some(Mutant::FailedResetSpares) && cause.passage == Passage::DeviceReset {
            let mut spared = self.keeper.clone();
            spared.begin(harmless);
            self.spared = Some(Box::new(spared));
        }
        let forgotten = match self.mutant {
            Some(Mutant::FlrIsNothing) => cause.trigger == Trigger::Flr,
            Some(Mutant::D3hotIsNothing) => cause.trigger == Trigger::D3hot,
            Some(Mutant::DecodeOffIsNothing) => cause.trigger == Trigger::DecodeOff,
            Some(Mutant::SuspectIsNothing) => cause.trigger == Trigger::Suspect,
            _ => false,
        };
        self.keeper.begin(if forgotten { harmless } else { cause });
    }

    pub(crate) fn next_step(&mut self) -> Option<Step> {
        loop {
            let step = self.keeper.next_step();
            if let Some(&late) = self.late.first()
                && self.time_has_come(step)
            {
                self.is_late = true;
                return Some(late);
            }
            let step = step?;
            match self.verdict(step) {
                Verdict::Do => return Some(step),
                Verdict::Skip => self.tell(StepResult::Done(Ok(()))),
                Verdict::Later => {
                    self.late.push(step);
                    self.tell(StepResult::Done(Ok(())));
                }
            }
        }
    }

    pub(crate) fn done(&mut self, result: StepResult) {
        if std::mem::take(&mut self.is_late) {
            self.late.remove(0);
            return;
        }
        let failed = matches!(result, StepResult::Done(Err(_)));
        let let_through = self.keeper.clone().next_step() == Some(Step::LetThrough);
        self.tell(self.twisted(result));
        if let_through
            && let Some(spared) = self.spared.take()
            && failed
        {
            self.keeper = *spared;
        }
    }

    fn tell(&mut self, result: StepResult) {
        if let StepResult::Found(Ok(found)) = &result
            && self.memory.is_none()
            && matches!(self.mutant, Some(Mutant::FoundIsOld | Mutant::AddressIsOld))
        {
            self.memory = Some(found.clone());
        }
        if let Some(spared) = &mut self.spared {
            // Both have the same steps up to the event's own result.
            let _ = spared.next_step();
            spared.done(result.clone());
        }
        self.keeper.done(result);
    }

    fn time_has_come(&self, upcoming: Option<Step>) -> bool {
        match self.mutant {
            Some(Mutant::SlotsAfterEvent) => upcoming == Some(Step::FindOut),
            Some(Mutant::MappedBeforeDropped) => {
                matches!(upcoming, Some(Step::PutBackSlot { .. }) | None)
            }
            _ => upcoming.is_none(),
        }
    }

    fn verdict(&self, step: Step) -> Verdict {
        let closing = self.cause.passage == Passage::Close;
        match (self.mutant, step) {
            (Some(Mutant::SlotsAfterEvent), Step::WithdrawSlot { .. })
                if self.cause.passage != Passage::Nothing =>
            {
                Verdict::Later
            }
            (Some(Mutant::MappedBeforeDropped), Step::DropMapping { .. })
            | (Some(Mutant::SlotBeforeMap), Step::MakeMapping { .. }) => Verdict::Later,
            (Some(Mutant::DeadNotDropped), Step::DropMapping { .. }) => Verdict::Skip,
            (Some(Mutant::SecondWindowForgotten), Step::MakeMapping { window: 1, .. })
                if self.cause.trigger != Trigger::Start =>
            {
                Verdict::Skip
            }
            (Some(Mutant::CloseKeepsSlot), Step::WithdrawSlot { .. })
            | (Some(Mutant::CloseKeepsMapping), Step::DropMapping { .. })
                if closing =>
            {
                Verdict::Skip
            }
            (Some(Mutant::SuspectKeepsSlot), Step::WithdrawSlot { .. })
                if self.cause.trigger == Trigger::Suspect =>
            {
                Verdict::Skip
            }
            _ => Verdict::Do,
        }
    }

    fn twisted(&self, result: StepResult) -> StepResult {
        match (self.mutant, result) {
            (Some(Mutant::LiveIgnored), StepResult::Found(Ok(found))) => {
                StepResult::Found(Ok(Found { decode: true, power: 0, ..found }))
            }
            (Some(Mutant::SleepForgotten), StepResult::Found(Ok(found))) => {
                StepResult::Found(Ok(Found { low_power: false, ..found }))
            }
            (Some(Mutant::FoundIsOld), StepResult::Found(Ok(found))) => {
                StepResult::Found(Ok(self.memory.clone().unwrap_or(found)))
            }
            (Some(Mutant::AddressIsOld), StepResult::Found(Ok(found))) => {
                let old = self.memory.as_ref().map(|memory| memory.addresses.clone());
                let addresses = old.unwrap_or_else(|| found.addresses.clone());
                StepResult::Found(Ok(Found { addresses, ..found }))
            }
            (Some(Mutant::ExistNotCleared), StepResult::Done(Err(Errno::EXIST))) => {
                StepResult::Done(Err(Errno::INVAL))
            }
            (_, result) => result,
        }
    }

    /// Whether no event is being handled.
    pub(crate) fn settled(&self) -> bool {
        self.keeper.settled() && self.late.is_empty()
    }

    /// What is believed of a window's mapping.
    pub(crate) fn mapping(&self, window: usize) -> Mapping {
        self.keeper.windows()[window].mapping
    }
}

impl Hash for Kept {
    /// Between events only what is believed of the windows counts: an event begins with nothing
    /// of the last one.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { keeper, mutant: _, cause, late, is_late, memory, spared } = self;
        memory.hash(hasher);
        if self.settled() {
            keeper.closed().hash(hasher);
            for window in keeper.windows() {
                (window.slot, window.mapping).hash(hasher);
            }
        } else {
            (keeper, cause, late, is_late, spared).hash(hasher);
        }
    }
}
