//! I6: the kernel stays clean.

use crate::findings::Findings;
use crate::kernel_lines::{Sign, sign};
use crate::verdict::Invariant::I6;
use barkeep_journal::Event;

/// Lines a report has at the most; the longest (lockdep) are about that.
const REPORT_LINES: u32 = 100;

#[derive(Default)]
pub(crate) struct KernelLog {
    /// Lines of the report under way that may still come.
    report: u32,
}

impl KernelLog {
    /// One line. A report is one finding, however many lines of it would make one alone: an
    /// oops says BUG, Oops and Call Trace.
    pub fn line(&mut self, event: &Event, out: &mut Findings) {
        let under_way = self.report > 0;
        self.report = self.report.saturating_sub(1);
        match sign(&event.text) {
            Some(Sign::Edge) => self.report = 0,
            Some(Sign::Headline(_) | Sign::Trace) if under_way => {}
            Some(Sign::Headline(what)) => self.report_of(what, event, out),
            // Its headline was lost, or is of a kind not known here.
            Some(Sign::Trace) => self.report_of("a call trace", event, out),
            None => {}
        }
    }

    fn report_of(&mut self, what: &str, event: &Event, out: &mut Findings) {
        self.report = REPORT_LINES;
        out.add(I6, event, format!("the kernel reports {what}: {}", event.text.trim()));
    }
}
