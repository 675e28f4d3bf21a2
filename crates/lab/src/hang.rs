//! Tells a hang from a long wait: the kernel calls a task hung, and nobody else has done anything for
//! longer than anything takes. Where time is virtual a machine that hangs goes through hours of it
//! before the wall clock's time-out is up.

use barkeep_journal::{Event, Kind};

/// A reset waits 60 s at the most for its device (`pci_dev_wait`); the kernel looks for hung tasks
/// every thirty.
const SILENCE_NS: u64 = 90_000_000_000;

/// How the kernel begins what it says of a hung task (`kernel/hung_task.c`).
const HUNG_TASK: &str = "blocked for more than";

/// What has been heard of a machine.
#[derive(Default)]
pub(crate) struct Hang {
    /// When somebody last did something.
    life_ns: u64,
    /// What the kernel said after the silence.
    line: Option<String>,
}

impl Hang {
    pub(crate) fn hear(&mut self, event: &Event) {
        if event.kind != Kind::KernelLog {
            // Another thread's event may have come first and be later.
            self.life_ns = self.life_ns.max(event.time_ns);
            self.line = None;
        } else if event.text.contains(HUNG_TASK) && event.time_ns.saturating_sub(self.life_ns) > SILENCE_NS {
            self.line.get_or_insert_with(|| event.text.trim().to_owned());
        }
    }

    /// The kernel's line of a machine that hangs.
    pub(crate) fn line(&self) -> Option<&str> {
        self.line.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_journal::Actor;

    const LINE: &str = "INFO: task vcpu0:48 blocked for more than 30 seconds.";

    fn heard(events: &[(Kind, u64, &str)]) -> Hang {
        let mut hang = Hang::default();
        for (kind, seconds, text) in events {
            hang.hear(&Event::new(*kind, Actor::Kernel).at(seconds * 1_000_000_000).text(*text));
        }
        hang
    }

    #[test]
    fn a_hang_is_a_hung_task_and_silence() {
        let hang = heard(&[(Kind::Trigger, 5, ""), (Kind::KernelLog, 36, LINE), (Kind::KernelLog, 97, LINE)]);
        assert_eq!(hang.line(), Some(LINE));
    }

    #[test]
    fn a_wait_with_a_hung_task_is_none_nor_is_silence_without_one() {
        assert_eq!(heard(&[(Kind::Trigger, 5, ""), (Kind::KernelLog, 67, LINE)]).line(), None);
        let silence = [(Kind::Trigger, 5, ""), (Kind::KernelLog, 1000, "clocksource: switched")];
        assert_eq!(heard(&silence).line(), None);
    }

    #[test]
    fn whoever_does_something_is_alive() {
        let hang =
            heard(&[(Kind::KernelLog, 97, LINE), (Kind::Trigger, 98, ""), (Kind::KernelLog, 130, LINE)]);
        assert_eq!(hang.line(), None);
    }
}
