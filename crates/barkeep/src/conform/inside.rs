//! Inside the lab: the running kernel is asked, and what it answers is written down.

use crate::cli::RecordOptions;
use crate::exit::{Exit, UsageExt, wrong};
use crate::here;
use anyhow::Context;
use barkeep_conform::{Header, Machine, Writer, generate, record};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_model::{Op, Subject};
use barkeep_real::{Executor, Place};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

/// The recording's name in the folder that comes out.
pub const RECORDING: &str = "recording.jsonl";

/// Asks the running kernel, and records.
///
/// # Errors
/// It has no such devices, the operations cannot be read, the recording cannot be written.
pub fn record_here(options: &RecordOptions) -> anyhow::Result<Exit> {
    let journal = here::lab_journal()?;
    let version = crate::version::told();
    journal.emit(Event::new(Kind::RunStart, Actor::Scenario).text(format!("{version}: conform")));
    let result = ask(options, &journal);
    let exit = result.as_ref().map_or_else(Exit::of, |exit| *exit);
    journal.emit(Event::new(Kind::RunEnd, Actor::Scenario).result(exit.code().into()));
    result
}

fn ask(options: &RecordOptions, journal: &Journal) -> anyhow::Result<Exit> {
    let out = std::env::var_os("BARKEEP_OUT").map(PathBuf::from).unwrap_or_else(|| PathBuf::from("."));
    let places = Place::all_named().usage("no devices to ask about")?;
    let mut executor = Executor::new(&places).context("the devices cannot be used")?;
    let machine = Machine::new(executor.hardware().clone()).context("the devices make no machine")?;
    let abilities = executor.abilities();
    let machine = machine.able(abilities);
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let header = Header { seed: options.seed, kernel, abilities, hardware: machine.hardware().clone() };
    let path = out.join(RECORDING);
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut writer = Writer::new(BufWriter::new(file), &header)?;
    match &options.episodes {
        Some(path) => {
            let file = File::open(path).usage(format!("cannot read {}", path.display()))?;
            let (_, episodes) = barkeep_conform::recording::read(std::io::BufReader::new(file))
                .usage(format!("{} is not usable", path.display()))?;
            for episode in episodes {
                let episode = episode.usage(format!("{} is not usable", path.display()))?;
                one(&mut executor, episode.number, episode.ops(), &mut writer, journal)?;
            }
        }
        None => {
            let mut done = 0;
            let mut number = 0;
            while done < options.ops {
                let ops = generate::episode(options.seed, number, &machine);
                done += ops.len() as u64;
                one(&mut executor, number, ops, &mut writer, journal)?;
                number += 1;
            }
        }
    }
    writer.end()?;
    // Everything closed and put back, so that what the kernel has to say of it is said.
    executor.begin();
    Ok(Exit::Pass)
}

fn one(
    executor: &mut Executor,
    number: u64,
    ops: Vec<Op>,
    writer: &mut Writer<BufWriter<File>>,
    journal: &Journal,
) -> anyhow::Result<()> {
    // A hang shows as an episode without an end.
    let step = journal.begin(Event::new(Kind::Action, Actor::Scenario).text(format!("episode {number}")));
    record(executor, [(number, ops)], writer).context("the recording cannot be written")?;
    journal.end(step, 0);
    match executor.broken() {
        Some(errno) => {
            let what = format!("episode {number} cannot be undone: {errno}");
            Err(wrong(Exit::Testbed, what))
        }
        None => Ok(()),
    }
}
