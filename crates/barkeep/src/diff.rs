//! `barkeep diff`: two journals side by side.

use crate::exit::{Exit, UsageExt, wrong};
use crate::trace::open;
use barkeep_trace::diff::{Diff, Options};
use clap::Args;
use std::io::{self, BufWriter};
use std::path::PathBuf;

/// Options of `diff`.
#[derive(Clone, Debug, Args)]
pub struct DiffOptions {
    /// A journal.jsonl.
    a: PathBuf,
    /// Another one.
    b: PathBuf,
    /// Compare the times of events as well, to the nanosecond since the start of each run.
    #[arg(long)]
    times: bool,
    /// Compare lines of the kernel's log as well.
    #[arg(long)]
    kernel_log: bool,
}

/// Does it. Status 1: they part.
///
/// # Errors
/// A journal cannot be read or is damaged (what could be read is compared first).
pub fn diff(options: &DiffOptions) -> anyhow::Result<Exit> {
    let DiffOptions { a, b, times, kernel_log } = options;
    let paths = [a, b];
    let what = |n: usize| format!("cannot read the journal {}", paths[n].display());
    let found = Diff::of(open(a)?, open(b)?, Options { times: *times, kernel_log: *kernel_log });
    let diff = match found {
        Ok(diff) => diff,
        Err((n, damage)) => return Err(damage).usage(what(n)),
    };
    // A reader that is gone has read enough.
    let _ = diff.print(BufWriter::new(io::stdout().lock()));
    match diff.damages.iter().enumerate().find(|(_, damages)| !damages.is_empty()) {
        Some((n, damages)) => Err(wrong(Exit::Usage, format!("{}: {damages}", what(n)))),
        None if diff.same => Ok(Exit::Pass),
        None => Ok(Exit::Broken),
    }
}
