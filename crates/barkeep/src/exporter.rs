//! `barkeep lab -- exporter`: what the exporter does, row by row; and a storm of resets under importers that
//! are killed.

use crate::exit::{Exit, UsageExt, told};
use anyhow::Context;
use barkeep_exporter::party::Part;
use barkeep_exporter::storm::Came;
use barkeep_exporter::{Stage, Storm, Table, party, scale};
use barkeep_journal::DeviceAddress;
use barkeep_lab::inner::IMPORTER_MODULE;
use barkeep_real::{Place, importer};
use clap::Args;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The hidden subcommand by which importers are started.
const PARTY: &str = "exporter-party";

/// Options of `exporter`.
#[derive(Clone, Debug, Args)]
pub struct ExporterOptions {
    /// Only the rows with this in what they are about, or in what is done.
    #[arg(long, value_name = "WORDS", conflicts_with = "storm")]
    pub only: Option<String>,
    /// No table, but that many resets and other revokes, under importers that are killed, whose device is
    /// taken from its driver, and whose module is taken out.
    #[arg(long, value_name = "N")]
    pub storm: Option<u64>,
    /// No table, but how map, revoke and restore scale over size, ranges and importers.
    #[arg(long, conflicts_with_all = ["only", "storm"])]
    pub scale: bool,
    /// What a storm is drawn from.
    #[arg(long, value_name = "S", default_value_t = 1, requires = "storm")]
    pub seed: u64,
}

/// Options of `exporter-party`.
#[derive(Clone, Debug, Args)]
pub struct PartyOptions {
    /// The importing device.
    device: DeviceAddress,
    /// What it does is drawn from this; without it, it holds on to what it maps, and reads it.
    seed: Option<u64>,
}

/// Carries the rows out, each on devices that were opened afresh, and prints them; or a storm.
///
/// # Errors
/// The devices cannot be used, or there is no such row.
pub fn exporter(options: &ExporterOptions) -> anyhow::Result<Exit> {
    let places =
        Place::all_named().usage("`exporter` is for the inside of the lab: barkeep lab -- exporter")?;
    importer::offered().usage("nothing can import")?;
    let stage = Stage::find(&places, start).usage("these devices will not do")?;
    if let Some(resets) = options.storm {
        return storm(&stage, resets, options.seed);
    }
    let mut out = io::stdout().lock();
    if options.scale {
        scale::measure(&stage, &mut out).context("nothing was measured")?;
        return Ok(Exit::Pass);
    }
    let table = Table::new(options.only.as_deref()).usage("nothing to do")?;
    let sum = table.carry_out(&stage, &mut out).context("the table cannot be printed")?;
    out.flush().context("the table cannot be printed")?;
    Ok(if sum.failed == 0 { Exit::Pass } else { Exit::Broken })
}

fn storm(stage: &Stage, resets: u64, seed: u64) -> anyhow::Result<Exit> {
    let storm = Storm { resets, seed, module: Path::new(IMPORTER_MODULE) };
    match storm.carry_out(stage) {
        Ok(Came { resets, closes, importers, killed, unbound, unloaded, in_use }) => {
            println!(
                "{resets} resets, {closes} closes; {importers} importers, {killed} of them killed; their device taken \
                 from them {unbound} times; the module taken out {unloaded} times, refused {in_use} times while in \
                 use; all works"
            );
            Ok(Exit::Pass)
        }
        Err(broken) => {
            println!("BROKEN: {}", told(&anyhow::Error::new(broken)));
            Ok(Exit::Broken)
        }
    }
}

/// The dma-buf is its standard input.
fn start(buffer: &File, device: DeviceAddress, part: Part) -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.args([PARTY, &device.to_string()]);
    match part {
        Part::Anything(seed) => drop(command.arg(seed.to_string())),
        Part::HoldsAndReads => {}
    }
    command.stdin(Stdio::from(buffer.try_clone()?)).spawn()
}

/// An importer, until it is killed.
///
/// # Errors
/// The kernel answered what it should not have.
pub fn party(options: &PartyOptions) -> anyhow::Result<Exit> {
    let buffer = File::from(io::stdin().as_fd().try_clone_to_owned().context("no dma-buf")?);
    let part = options.seed.map_or(Part::HoldsAndReads, Part::Anything);
    party::serve(&buffer, options.device, part)?;
    Ok(Exit::Pass)
}
