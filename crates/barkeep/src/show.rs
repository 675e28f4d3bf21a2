//! What a person sees of a run, live and at its end: the timeline on standard error, the
//! verdict on standard output.

use crate::exit::{Exit, UsageExt};
use crate::kernel_reports;
use barkeep_check::{Checker, Ended, Verdict};
use barkeep_journal::{Actor, Event, Header, Kind};
use barkeep_report::{Style, Timeline, jsonl, verdict};
use std::io::{IsTerminal, Stderr, Write};
use std::path::Path;

/// The timeline and the checker, fed with every event.
#[derive(Default)]
pub struct Show {
    checker: Checker,
    timeline: Option<Timeline<Stderr>>,
    /// Neither a timeline nor a verdict that is a pass.
    quiet: bool,
    header: Option<Header>,
    begun: bool,
    /// What the lab's PID 1 said when it could not run the command.
    refusal: Option<String>,
}

impl Show {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing seen yet, and nothing shown unless something is wrong.
    pub fn quiet() -> Self {
        Self { quiet: true, ..Self::default() }
    }

    /// Whether a run has begun, and not only the machine.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes an event in.
    pub fn event(&mut self, event: &Event, header: Header) {
        self.checker.event(event);
        self.header = Some(header);
        self.begun |= event.kind == Kind::RunStart;
        if (event.kind, event.actor) == (Kind::Degraded, Actor::Lab) && event.result.is_some() {
            self.refusal = Some(event.text.clone());
        }
        if self.timeline.is_none() && !self.quiet {
            let style = style(std::io::stderr().is_terminal());
            self.timeline = Timeline::new(std::io::stderr(), header, style).ok();
        }
        if let Some(timeline) = &mut self.timeline {
            // A terminal that is gone is no reason to end the run.
            let _ = timeline.event(event);
        }
    }

    /// Prints the verdict of a run that ended so, and gives its status.
    pub fn verdict(mut self, ended: Ended, journal: &Path) -> Exit {
        let verdict = self.end(ended);
        if self.quiet && verdict.passed() {
            return Exit::Pass;
        }
        if verdict.ended == Ended::ByItself(Exit::Usage.code().into())
            && verdict.findings.iter().all(|f| f.unfinished)
        {
            // Nothing ran that there could be a verdict on; what was wrong has been said, or
            // is said here.
            if let Some(refusal) = &self.refusal {
                eprintln!("barkeep: {refusal}");
            }
            return Exit::Usage;
        }
        if let Some(header) = self.header {
            let style = style(std::io::stdout().is_terminal());
            let mut out = std::io::stdout().lock();
            // As above.
            let _ = verdict::print(&mut out, &verdict, header, Some(journal), style);
            if let Some(reports) = kernel_reports::beside(journal, &verdict) {
                let _ = writeln!(out, "the kernel's reports, whole: {}", reports.display());
            }
            let _ = out.flush();
        }
        Exit::from_code(verdict.exit_code())
    }

    /// The same for a program that wrote no journal to be held against anything, somebody else's mostly:
    /// its status is passed on as it is unless the kernel has a complaint.
    pub fn foreign_verdict(mut self, status: i32) -> Exit {
        let verdict = self.end(Ended::ByItself(status));
        let complaints: Vec<_> =
            verdict.findings.iter().filter(|f| f.invariant == barkeep_check::Invariant::I6).collect();
        for finding in &complaints {
            println!("barkeep: kernel: {}", finding.what);
        }
        if complaints.is_empty() || status != 0 {
            println!("barkeep: status {status}, the program's own");
            return Exit::from_code(status);
        }
        println!("barkeep: status 1: the program ended well, but the kernel complained");
        Exit::Broken
    }

    fn end(&mut self, ended: Ended) -> Verdict {
        if let Some(timeline) = self.timeline.take() {
            // As above.
            let _ = timeline.finish();
        }
        std::mem::take(&mut self.checker).finish(ended)
    }
}

/// Reads a journal and gives its verdict: `barkeep check`.
///
/// # Errors
/// It cannot be read, or is damaged; what could be read is judged and shown first.
pub fn check(path: &Path) -> anyhow::Result<Exit> {
    let what = || format!("cannot read the journal {}", path.display());
    let (header, events) = jsonl::open(path).usage(what())?;
    let mut checker = Checker::new();
    let mut status = 0;
    let mut damage = None;
    for event in events {
        match event {
            Ok(event) => {
                if event.kind == Kind::RunEnd {
                    status = event.result.unwrap_or(0);
                }
                checker.event(&event);
            }
            Err(error) => damage = Some(error),
        }
    }
    let verdict = checker.finish(Ended::ByItself(status));
    let style = style(std::io::stdout().is_terminal());
    verdict::print(&mut std::io::stdout().lock(), &verdict, header, Some(path), style)?;
    match damage {
        Some(damage) => Err(damage).usage(what()),
        None => Ok(Exit::from_code(verdict.exit_code())),
    }
}

/// Colours only where a terminal shows them and nobody minds.
pub fn style(terminal: bool) -> Style {
    // https://no-color.org
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if terminal && wanted { Style::Ansi } else { Style::Plain }
}
