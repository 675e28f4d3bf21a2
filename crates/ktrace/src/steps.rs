//! Which of the journal's steps a function of the kernel ran in, and which entry a return belongs to.

use barkeep_journal::{DeviceAddress, Event, Phase, Step, Trigger};
use std::collections::BTreeMap;

/// Functions that are inside one another, of all threads. A kernel that goes deeper than any does loses the rest.
const INSIDE: usize = 4096;

/// What a step of the journal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub device: DeviceAddress,
    pub bar: Option<u8>,
    pub trigger: Trigger,
}

/// Steps of this process that are under way, by the thread that began them.
#[derive(Default)]
pub(crate) struct Own(BTreeMap<u32, Vec<(u32, About)>>);

impl Own {
    /// An event this process is about to write.
    pub fn event(&mut self, thread: u32, event: &Event) {
        match (event.phase, event.device) {
            (Phase::Begin, Some(device)) if event.step != 0 => {
                let about = About { device, bar: event.bar, trigger: event.trigger };
                self.0.entry(thread).or_default().push((event.step, about));
            }
            // Another thread may end what one has begun.
            (Phase::End, _) => self.0.retain(|_, steps| {
                steps.retain(|(step, _)| *step != event.step);
                !steps.is_empty()
            }),
            _ => {}
        }
    }

    /// What a thread is at; `None` where it has begun steps of several devices (a hot reset), or none.
    pub fn of(&self, thread: u32) -> Option<About> {
        let steps = self.0.get(&thread)?;
        let (_, last) = *steps.last()?;
        steps.iter().all(|(_, about)| about.device == last.device).then_some(last)
    }
}

/// Functions that were entered and have not returned, by thread: the innermost last.
#[derive(Default)]
pub(crate) struct Inside {
    stacks: BTreeMap<u32, Vec<(&'static str, Step)>>,
    many: usize,
}

impl Inside {
    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.many < INSIDE
    }

    /// A function is entered.
    pub fn entered(&mut self, thread: u32, function: &'static str, step: Step) {
        self.stacks.entry(thread).or_default().push((function, step));
        self.many += 1;
    }

    /// A function returns: its step, and how many above it whose returns were not recorded. `None` if its entry was not.
    pub fn returned(&mut self, thread: u32, function: &str) -> Option<(Step, usize)> {
        let stack = self.stacks.get_mut(&thread)?;
        let at = stack.iter().rposition(|(name, _)| *name == function)?;
        let mut gone = stack.split_off(at);
        self.many -= gone.len();
        if stack.is_empty() {
            self.stacks.remove(&thread);
        }
        let above = gone.len() - 1;
        gone.truncate(1);
        gone.pop().map(|(_, step)| (step, above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_journal::{Actor, Clock, Journal, Kind, Lane};

    const NVME: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 0x18 };
    const OTHER: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 0x19 };

    fn step(phase: Phase, number: u32, device: DeviceAddress) -> Event {
        let event = Event::new(Kind::Trigger, Actor::Vmm).device(device).trigger(Trigger::HotReset);
        Event { phase, step: number, ..event }
    }

    #[test]
    fn a_thread_is_at_its_last_step_unless_that_is_about_several_devices() {
        let mut own = Own::default();
        own.event(7, &step(Phase::Begin, 1, NVME));
        assert_eq!(own.of(7).map(|about| about.device), Some(NVME));
        assert_eq!(own.of(8), None, "another thread");
        own.event(7, &step(Phase::Begin, 2, OTHER));
        assert_eq!(own.of(7), None, "one call for both");
        own.event(8, &step(Phase::End, 2, OTHER));
        assert_eq!(own.of(7).map(|about| about.device), Some(NVME));
        own.event(7, &step(Phase::End, 1, NVME));
        assert_eq!(own.of(7), None);
    }

    #[test]
    fn a_return_ends_its_own_entry_and_tells_of_those_that_never_came() {
        let (journal, _tap) = Journal::typed(Lane::Lab, Clock::Virtual, Vec::<Event>::new());
        let enter = |inside: &mut Inside, name| {
            let step = journal.begin(Event::new(Kind::KernelStep, Actor::Kernel));
            let number = step.number();
            inside.entered(1, name, step);
            number
        };
        let mut inside = Inside::default();
        let (outer, _lost) = (enter(&mut inside, "outer"), enter(&mut inside, "inner"));
        assert!(inside.returned(2, "outer").is_none(), "another thread's");
        assert!(inside.returned(1, "other").is_none());
        let (step, above) = inside.returned(1, "outer").unwrap();
        assert_eq!((step.number(), above), (outer, 1));
        assert!(inside.returned(1, "inner").is_none());
        assert_eq!(inside.many, 0);
    }
}
