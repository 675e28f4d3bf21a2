//! `barkeep explain`: why an address is not mapped, from a journal.

use crate::exit::{Exit, UsageExt};
use crate::trace::{damage, open, survey};
use barkeep_timeline::Point;
use barkeep_trace::explain::{Explainer, Target};
use barkeep_trace::read;
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;

/// Options of `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainOptions {
    /// A journal.jsonl.
    journal: PathBuf,
    /// What is asked about: an IOVA, which is the guest physical address as well (0x4000000000); a BAR, by its
    /// device's name or address (nvme:2, 0000:01:00.0:2); or an event, and what it is about (revoke:17, seq:462).
    #[arg(value_name = "IOVA|BAR|EVENT")]
    target: Target,
    /// The moment: right after revoke:17 was let through, after seq:462, or a time since the start of the run.
    /// Without it: that of the event asked about; of the checker's first finding; the end of the scenario.
    #[arg(long, value_name = "POINT")]
    at: Option<Point>,
}

/// Does it.
///
/// # Errors
/// The journal cannot be read or is damaged (what can be told is told first), or has not what was asked about.
pub fn explain(options: &ExplainOptions) -> anyhow::Result<Exit> {
    let ExplainOptions { journal, target, at } = options;
    let point = match target {
        Target::Event(point) => Some(*point),
        Target::Address(_) | Target::Bar { .. } => None,
    };
    let about = survey(journal, point.or(*at))?;
    let moment = match (point, at) {
        (Some(_), Some(at)) => survey(journal, Some(*at))?.point_seq,
        (None, Some(_)) => about.point_seq,
        (_, None) => None,
    };
    let mut explainer = Explainer::new(&about, target.clone(), moment).usage("cannot explain it")?;
    let what = || format!("cannot read the journal {}", journal.display());
    read(open(journal)?, |event, _| explainer.event(event)).usage(what())?;
    let answer = explainer.answer();
    let mut out = io::stdout().lock();
    // A reader that is gone has read enough.
    let _ = answer.iter().try_for_each(|line| writeln!(out, "{line}"));
    damage(journal, about)
}
