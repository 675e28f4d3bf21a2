//! The kernel's reports of itself, whole: every line from the one before the headline to the last.

use crate::kernel_lines::{Sign, sign};
use barkeep_journal::{Event, Kind};

/// Lines of one report, at the most: with every lock and every task that is shown some are long.
const LINES: usize = 400;
/// Reports that are kept, at the most; the first ones say what went wrong.
const REPORTS: usize = 64;
/// A report is printed in one go: after such a pause it is over.
const PAUSE_NS: u64 = 20_000_000;

/// A report of the kernel's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelReport {
    /// Of the event that its headline is.
    pub seq: u64,
    /// When that was.
    pub time_ns: u64,
    /// Its lines, 400 at the most.
    pub lines: Vec<String>,
}

/// Takes the reports out of a stream of events. Holds a bounded number of lines.
#[derive(Default)]
pub struct KernelReports {
    done: Vec<KernelReport>,
    /// The one that is being printed, and when its last line came.
    open: Option<(KernelReport, u64)>,
    /// The line before, if it is the edge of a report that may begin.
    edge: Option<String>,
}

impl KernelReports {
    /// Takes an event in.
    pub fn event(&mut self, event: &Event) {
        if event.kind != Kind::KernelLog {
            return;
        }
        if self.open.as_ref().is_some_and(|(_, last)| event.time_ns.saturating_sub(*last) > PAUSE_NS) {
            self.close();
        }
        let line = event.text.trim_end();
        let sign = sign(line);
        match &mut self.open {
            Some((report, last)) => {
                *last = event.time_ns;
                if report.lines.len() < LINES {
                    report.lines.push(line.to_owned());
                }
                if line.contains("---[ end trace") {
                    self.close();
                }
            }
            None => match sign {
                Some(Sign::Headline(_) | Sign::Trace) => {
                    let lines = self.edge.take().into_iter().chain([line.to_owned()]).collect();
                    let report = KernelReport { seq: event.seq, time_ns: event.time_ns, lines };
                    self.open = Some((report, event.time_ns));
                }
                Some(Sign::Edge) => self.edge = Some(line.to_owned()),
                None => self.edge = ruled(line).then(|| line.to_owned()),
            },
        }
    }

    /// The reports there were, 64 at the most, in the order of the journal.
    pub fn finish(mut self) -> Vec<KernelReport> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if let Some((report, _)) = self.open.take()
            && self.done.len() < REPORTS
        {
            self.done.push(report);
        }
    }
}

/// Lockdep and KASAN draw a line over what they say.
fn ruled(line: &str) -> bool {
    line.len() >= 10 && line.bytes().all(|byte| byte == b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_journal::Actor;

    /// The reports of lines at these milliseconds.
    fn reports(lines: &[(u64, &str)]) -> Vec<KernelReport> {
        let mut reports = KernelReports::default();
        for (seq, (time, text)) in (1..).zip(lines) {
            let mut event = Event::new(Kind::KernelLog, Actor::Kernel).at(time * 1_000_000).text(*text);
            event.seq = seq;
            reports.event(&event);
            reports.event(&Event::new(Kind::Trigger, Actor::Vcpu));
        }
        reports.finish()
    }

    #[test]
    fn a_warning_is_all_that_is_between_its_edges() {
        let found = reports(&[
            (1, "vfio-pci 0000:00:03.0: resetting"),
            (2, "------------[ cut here ]------------"),
            (2, "refcount_t: underflow; use-after-free."),
            (2, "WARNING: lib/refcount.c:28 at refcount_warn_saturate+0x54/0x80"),
            (3, " </TASK>"),
            (3, "---[ end trace 0000000000000000 ]---"),
            (3, "vfio-pci 0000:00:03.0: reset done"),
        ]);
        let [report] = &found[..] else { panic!("{found:?}") };
        assert_eq!((report.seq, report.time_ns, report.lines.len()), (3, 2_000_000, 5));
        assert!(report.lines[0].contains("cut here") && report.lines[4].contains("end trace"));
    }

    #[test]
    fn lockdeps_goes_on_behind_its_stack_and_ends_with_the_pause() {
        let found = reports(&[
            (10, "======================================================"),
            (10, "WARNING: possible circular locking dependency detected"),
            (11, " </TASK>"),
            (12, "INFO: lockdep is turned off."),
            (80, "vfio-pci 0000:00:03.0: reset done"),
            (90, "INFO: task vcpu0:48 blocked for more than 30 seconds."),
        ]);
        let [lockdep, hung] = &found[..] else { panic!("{found:?}") };
        assert_eq!((lockdep.lines.len(), hung.lines.len()), (4, 1));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let line = |n: u64| (n * 100, "BUG: sleeping function called from invalid context");
        assert_eq!(reports(&(1..=100).map(line).collect::<Vec<_>>()).len(), REPORTS);
        let long: Vec<_> =
            std::iter::once((1, "BUG: x")).chain(std::iter::repeat_n((1, " ? y"), 1000)).collect();
        assert_eq!(reports(&long)[0].lines.len(), LINES);
    }
}
