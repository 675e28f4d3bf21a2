//! What is told of a storm, in every format that was asked for.

use super::boots::Boots;
use super::folder;
use super::options::StormOptions;
use super::provenance;
use crate::cli::LaneName;
use crate::exit::{Exit, UsageExt, wrong};
use crate::show;
use anyhow::Context;
use barkeep_check::Mark;
use barkeep_journal::{Clock, Lane};
use barkeep_report::storm::{Choice, Header, Judgement, Known, Shard, Storm, github, junit, ktap, print};
use barkeep_scenario::Scenario;
use barkeep_scenario::nearest::{nearest, with_suggestion};
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Files that are asked for.
#[derive(Debug, Default)]
pub struct Formats {
    /// JUnit XML.
    pub junit: Option<PathBuf>,
    /// KTAP.
    pub ktap: Option<PathBuf>,
}

impl Formats {
    /// Whether they can be written.
    ///
    /// # Errors
    /// One of them cannot.
    pub fn probe(&self) -> anyhow::Result<()> {
        [&self.junit, &self.ktap].into_iter().flatten().try_for_each(|path| folder::probe(path))
    }

    fn write(&self, judged: &Judgement<'_>) -> anyhow::Result<()> {
        if let Some(path) = &self.junit {
            folder::write(path, &text(|out| junit::write(out, judged))?)?;
        }
        if let Some(path) = &self.ktap {
            folder::write(path, &text(|out| ktap::write(out, judged))?)?;
        }
        Ok(())
    }
}

/// The findings that are known.
///
/// # Errors
/// The file cannot be read, or is none of them.
pub fn known(path: Option<&Path>) -> anyhow::Result<Known> {
    let Some(path) = path else { return Ok(Known::default()) };
    let text = std::fs::read_to_string(path);
    let text = text.usage(format!("cannot read the known findings {}", path.display()))?;
    Known::read(&text).usage(format!("the known findings {} are not usable", path.display()))
}

/// What is to be done, where and by what.
///
/// # Errors
/// The storm requires a mark that there is none of.
pub fn header(options: &StormOptions, storm: &Scenario, boots: Option<&Boots>) -> anyhow::Result<Header> {
    let table = storm.storm.as_ref();
    let shard = options.shard.map(|shard| Shard { of: shard.n, number: shard.k });
    let (lane, clock) = match options.lane() {
        LaneName::Model => (Lane::Model, Clock::Virtual),
        LaneName::Kvm => (Lane::Kvm, Clock::Hardware),
        LaneName::Lab if options.fast => (Lane::Lab, Clock::Emulated),
        LaneName::Lab => (Lane::Lab, Clock::Virtual),
        LaneName::Host => (Lane::Host, Clock::Hardware),
    };
    Ok(Header {
        scenario: storm.name.clone(),
        about: table.map(|table| table.about.clone()).unwrap_or_default(),
        seed: options.seed,
        count: options.count(),
        shards: shard.into_iter().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned() + &barkeep_planted::label(),
        commit: provenance::COMMIT.to_owned(),
        kernel: provenance::kernel(options.lane(), boots.map(|boots| boots.kernel.as_path())),
        lane,
        clock,
        options: choices(options, storm, boots),
        require: table.map(|table| marks(storm, &table.require)).transpose()?.unwrap_or_default(),
    })
}

fn marks(storm: &Scenario, names: &[String]) -> anyhow::Result<Vec<Mark>> {
    let mark = |name: &String| {
        Mark::from_name(name).ok_or_else(|| {
            let what = format!("the storm `{}` requires a mark `{name}`: there is none", storm.name);
            let near = nearest(name, Mark::ALL.iter().map(|mark| mark.name()));
            wrong(Exit::Usage, with_suggestion(what, near))
        })
    };
    names.iter().map(mark).collect()
}

/// What else decides what is done. What each seed draws is in its episode.
fn choices(options: &StormOptions, storm: &Scenario, boots: Option<&Boots>) -> Vec<Choice> {
    let mut choices = Vec::new();
    let mut choice = |name: &str, value: String| choices.push(Choice { name: name.to_owned(), value });
    match boots {
        Some(boots) => choice("topology", boots.topology.clone()),
        None if options.devices.is_empty() => {
            for (name, player) in &storm.simulated {
                choice(name, player.clone());
            }
        }
        None => choice("devices", options.devices.join(" ")),
    }
    choice("vcpus", storm.guest.vcpus.to_string());
    choice("memory", storm.guest.memory.to_string());
    if let Some(table) = &storm.storm {
        choice("resets of an episode", table.resets.to_string());
        choice("actors", table.actors.iter().map(|actor| actor.name.as_str()).collect::<Vec<_>>().join(", "));
    }
    let perturb = &storm.perturb;
    if *perturb != Default::default() {
        choice("pauses", format!("{}, one step in {}", perturb.pauses, perturb.one_in));
        if let Some(noise) = perturb.noise {
            choice("noise", noise.to_string());
        }
    }
    choices
}

/// The first lines.
///
/// # Errors
/// Standard output takes nothing.
pub fn begin(header: &Header) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    print::begin(&mut out, header).and_then(|()| out.flush()).context("standard output")
}

/// Everything else: the table, the files, what GitHub shows. Gives the status.
///
/// # Errors
/// A file cannot be written.
pub fn end(storm: &Storm, known: &Known, formats: &Formats, file: Option<&Path>) -> anyhow::Result<Exit> {
    let judged = storm.judge(known);
    if let Some(file) = file {
        folder::write(file, &text(|out| storm.write(out))?)?;
    }
    formats.write(&judged)?;
    let mut out = std::io::stdout().lock();
    print::end(&mut out, &judged, show::style(std::io::stdout().is_terminal()))?;
    github(&mut out, &judged)?;
    out.flush().context("standard output")?;
    if let Some(line) = print::wall_clock(storm) {
        eprintln!("{line}");
    }
    Ok(Exit::from_code(judged.exit_code()))
}

/// Where GitHub Actions runs this, what it shows of a step.
fn github(out: &mut dyn Write, judged: &Judgement<'_>) -> anyhow::Result<()> {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return Ok(());
    }
    github::annotations(out, judged)?;
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let what = || format!("cannot write the step's summary {}", Path::new(&path).display());
    let mut file = OpenOptions::new().append(true).create(true).open(&path).with_context(what)?;
    github::summary(&mut file, judged).with_context(what)
}

fn text(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes).context("cannot be written down")?;
    String::from_utf8(bytes).context("cannot be written down")
}
