//! `barkeep report merge`: the records of a storm's shards as one.

use crate::exit::{Exit, UsageExt};
use crate::storm::folder::{self, STORM};
use crate::storm::told::{self, Formats};
use barkeep_report::storm::{Storm, merge};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// What to do with records.
#[derive(Clone, Debug, Subcommand)]
pub enum ReportCommand {
    /// Put the shards of a storm together, and judge the whole.
    Merge(MergeOptions),
}

/// Options of `report merge`.
#[derive(Clone, Debug, Args)]
pub struct MergeOptions {
    /// A storm.json, or a folder that has one; those of all shards, in any order.
    #[arg(required = true, value_name = "DIR|FILE")]
    records: Vec<PathBuf>,
    /// Write the verdict as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the verdict as KTAP, too.
    #[arg(long, value_name = "FILE")]
    ktap: Option<PathBuf>,
    /// Findings that are known, each with a reason; as for `storm`.
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Where the merged record goes, a storm.json itself.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// A record cannot be read, they are not of one storm, or results cannot be written.
pub fn report(command: &ReportCommand) -> anyhow::Result<Exit> {
    let ReportCommand::Merge(options) = command;
    let MergeOptions { records, junit, ktap, known, out } = options;
    let known = told::known(known.as_deref())?;
    let formats = Formats { junit: junit.clone(), ktap: ktap.clone() };
    let storms = records.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<Storm>>>()?;
    let whole = merge(storms).usage("these are not the shards of one storm")?;
    formats.probe()?;
    out.iter().try_for_each(|out| folder::probe(out))?;
    told::begin(&whole.header)?;
    told::end(&whole, &known, &formats, out.as_deref())
}

fn read(path: &Path) -> anyhow::Result<Storm> {
    let file = if path.is_dir() { path.join(STORM) } else { path.to_owned() };
    let text = std::fs::read_to_string(&file).usage(format!("cannot read {}", file.display()))?;
    Storm::read(&text).usage(format!("{} is not usable", file.display()))
}
