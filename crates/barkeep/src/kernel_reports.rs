//! The kernel's own reports (a lockdep splat, KASAN, a hung task), taken out of a journal into a file
//! beside it: a finding names the report, a developer wants all of it.

use barkeep_check::{Invariant, KernelReport, KernelReports, Verdict};
use barkeep_report::jsonl;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const NAME: &str = "kernel-reports.txt";

/// Writes the reports of a journal whose verdict has any, and gives the file. A journal that cannot be
/// read has been complained of by whoever judged it; a file that cannot be written is said here.
pub fn beside(journal: &Path, verdict: &Verdict) -> Option<PathBuf> {
    if !verdict.findings.iter().any(|finding| finding.invariant == Invariant::I6) {
        return None;
    }
    let reports = read(journal)?;
    let path = journal.with_file_name(NAME);
    match std::fs::write(&path, told(&reports)) {
        Ok(()) => Some(path),
        Err(error) => {
            eprintln!("barkeep: cannot write {}: {error}", path.display());
            None
        }
    }
}

/// The reports in a journal, as far as it can be read; `None` if there is none.
fn read(journal: &Path) -> Option<Vec<KernelReport>> {
    let (_, events) = jsonl::open(journal).ok()?;
    let mut reports = KernelReports::default();
    for event in events.map_while(Result::ok) {
        reports.event(&event);
    }
    Some(reports.finish()).filter(|reports| !reports.is_empty())
}

fn told(reports: &[KernelReport]) -> String {
    let mut text = String::new();
    for KernelReport { seq, time_ns, lines } in reports {
        // A string takes everything.
        let _ = writeln!(text, "seq {seq}, {time_ns} ns\n{}\n", lines.join("\n"));
    }
    text
}
