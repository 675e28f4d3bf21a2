//! `barkeep storm`: episodes drawn from seeds, each carried out and judged by itself, and one verdict for
//! all of them.

pub mod alone;
mod boots;
mod child;
mod failing;
pub mod folder;
mod hands;
mod interrupt;
mod judge;
mod load;
pub mod options;
mod progress;
mod provenance;
mod recording;
mod shrinking;
pub mod told;
mod work;
pub mod worker;
mod workers;

use crate::cli::LaneName;
use crate::exit::{Exit, UsageExt, told};
use crate::{inside, kernels, outside};
use barkeep_journal::Lane;
use barkeep_report::storm::{Known, Storm};
use barkeep_scenario::Scenario;
use boots::Boots;
use folder::Folder;
use hands::Hands;
use interrupt::Interrupt;
use options::{Span, StormOptions};
use recording::Recording;
use std::path::PathBuf;
use std::time::Instant;
use told::Formats;
use work::{Terms, Work};

/// Carries a storm out, and tells what came of it.
///
/// # Errors
/// What was typed is wrong, results cannot be written, or the testbed failed.
pub fn storm(options: &StormOptions) -> anyhow::Result<Exit> {
    if options.list {
        print!("{}", load::list()?);
        return Ok(Exit::Pass);
    }
    // Whatever was typed wrong is told before anything is made.
    options.check()?;
    let storm = load::load(options.storm.as_deref().unwrap_or("".as_ref()))?;
    // Each episode carries its machine, so that it can be had alone.
    let storm = Scenario { topology: options.topology.clone().or(storm.topology.clone()), ..storm };
    let known = told::known(options.known.as_deref())?;
    let formats = Formats { junit: options.junit.clone(), ktap: options.ktap.clone() };
    let skipped = match load::require_lane(options.lane(), &storm) {
        Ok(()) => None,
        Err(error) if Exit::of(&error) == Exit::Skipped => Some(told(&error)),
        Err(error) => return Err(error),
    };
    can_be_cast(options, &storm)?;
    let seeds = if skipped.is_some() { Vec::new() } else { options.seeds(&storm)? };
    let hands = Hands {
        lane: options.lane(),
        boots: if skipped.is_some() { None } else { boots(options, &storm)? },
        interrupt: Interrupt::watch()?,
    };
    let mut record = Storm::new(told::header(options, &storm, hands.boots.as_ref())?);
    formats.probe()?;
    let folder = Folder::prepare(&options.out)?;
    record.skipped = skipped;
    told::begin(&record.header)?;
    if record.skipped.is_none() {
        record = carry_out(
            options,
            Work::Drawn { storm: &storm, seeds: &seeds },
            &hands,
            &folder,
            &known,
            record,
        )?;
    }
    told::end(&record, &known, &formats, Some(&folder.file(folder::STORM)))
}

/// Whether each part has a device, as far as words alone tell. In the lab those are the topology's.
fn can_be_cast(options: &StormOptions, storm: &Scenario) -> anyhow::Result<()> {
    let lane = match options.lane() {
        LaneName::Model => Lane::Model,
        LaneName::Kvm => Lane::Kvm,
        LaneName::Lab | LaneName::Host => return Ok(()),
    };
    inside::planned(storm.clone(), &options.run_options()?, lane).map(drop)
}

/// The emulated machine of lane lab.
fn boots(options: &StormOptions, storm: &Scenario) -> anyhow::Result<Option<Boots>> {
    if options.lane() != LaneName::Lab {
        return Ok(None);
    }
    let topology = storm.topology.clone();
    let kernel: PathBuf = kernels::kernel(options.kernel.as_deref())?;
    barkeep_lab::kernel::check(&kernel).usage("the lab cannot run")?;
    Ok(Some(Boots {
        kernel,
        named_kernel: options.kernel.clone(),
        topology: topology.unwrap_or_else(|| outside::DEFAULT_TOPOLOGY.to_owned()),
        fast: options.fast,
        folder: options.out.join(folder::BOOTS),
    }))
}

/// Carries all episodes out, keeps what there is of those that fail, and makes the first one short.
fn carry_out(
    options: &StormOptions,
    work: Work<'_>,
    hands: &Hands,
    folder: &Folder,
    known: &Known,
    record: Storm,
) -> anyhow::Result<Storm> {
    let begun = Instant::now();
    let terms = Terms {
        words: options.words(),
        jobs: options.jobs(),
        patience: options.patience(),
        until: options.duration.map(|Span(time)| begun + time),
    };
    let mut recording = Recording::new(record, work, known, hands, folder, &terms, options.keep_going);
    let place = |number: usize| folder.episode(work.seed(number));
    hands.carry_out(work, &terms, &place, &mut |number, outcome| recording.take(number, outcome))?;
    recording.wall_clock(begun.elapsed());
    let Span(budget) = options.shrink_time;
    recording.finish(budget)
}
