//! `replay`: a scenario, a repro or a journal's run, carried out once more; and stopped, where that is asked for.

mod emulated;
mod here;
mod options;

pub use options::ReplayOptions;

use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt, wrong};
use crate::lane::{self, Place};
use crate::outside;
use crate::recipe::{self, Recipe};
use crate::show::style;
use anyhow::Context;
use barkeep_journal::{Clock, Header, Lane};
use barkeep_replay::{Command, End, Run, Session};
use barkeep_report::verdict;
use barkeep_scenario::Scenario;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The scenario of a journal, where its run's results go.
const SCENARIO: &str = "replay.toml";

/// Carries it out.
///
/// # Errors
/// What was typed or named is wrong; the run cannot be made.
pub fn replay(file: PathBuf, options: RunOptions, replay: &ReplayOptions) -> anyhow::Result<Exit> {
    let (options, words) = match recipe::is_journal(&file) {
        true => of_journal(&file, &options)?,
        false => (options.with_scenario(file)?, std::env::args().skip(1).collect()),
    };
    if !replay.stops() {
        return crate::run_with(&options, words);
    }
    let place = lane::place(&options)?;
    let lane = match place {
        Place::Here(lane) => lane,
        Place::Emulator => Lane::Lab,
    };
    replay.suits(place)?;
    if options.times.is_some() {
        return Err(wrong(Exit::Usage, "--times and a stop: a run that is stopped is one run"));
    }
    match lane {
        Lane::Model | Lane::Kvm | Lane::Host => {
            let run = here::Here::start(&options, lane)?;
            let header = run.header();
            let (end, run) = look(run, replay, header, &journal(&options, "out/run"))?;
            run.finish();
            Ok(end)
        }
        Lane::Lab => {
            let out = options.out.clone().unwrap_or_else(|| PathBuf::from("out/lab"));
            let request = outside::request_of_run(&options, &replay.without_own(&words), &out)?;
            let run = emulated::Emulated::start(&request)?;
            let header = Header { lane: Lane::Lab, clock: Clock::Virtual };
            Ok(look(run, replay, header, &out.join("journal.jsonl"))?.0)
        }
    }
}

/// The run of a journal: its scenario, written where the results go, and the words that were said beside it. What is
/// said now counts more.
fn of_journal(file: &Path, said: &RunOptions) -> anyhow::Result<(RunOptions, Vec<String>)> {
    let (header, recipe) = Recipe::of_journal(file)?;
    Scenario::parse(&recipe.scenario).usage("the journal's scenario is not usable")?;
    let folder = said.out.clone().unwrap_or_else(|| PathBuf::from("out/replay"));
    let path = folder.join(SCENARIO);
    if path.parent() == file.parent() && file.file_name().is_some_and(|name| name == "journal.jsonl") {
        let what = format!("its results would go over {}: name another folder by --out", file.display());
        return Err(wrong(Exit::Usage, what));
    }
    fs::create_dir_all(&folder).usage(format!("cannot make the folder {}", folder.display()))?;
    fs::write(&path, &recipe.scenario).usage(format!("cannot write {}", path.display()))?;
    let mut words = vec!["replay".to_owned(), path.display().to_string()];
    words.extend([
        "--lane".to_owned(),
        header.lane.to_string(),
        "--out".to_owned(),
        folder.display().to_string(),
    ]);
    words.extend(recipe.words.iter().cloned());
    if let Some(kernel) = &said.kernel {
        words.extend(["--kernel".to_owned(), kernel.display().to_string()]);
    }
    if said.kernel_trace && !words.iter().any(|word| word == "--kernel-trace") {
        words.push("--kernel-trace".to_owned());
    }
    if let Some(seed) = said.seed.or(recipe.seed) {
        words.extend(["--seed".to_owned(), seed.to_string()]);
    }
    let mut options =
        RunOptions::of_words(&words[2..]).usage("the journal's words are none of this version")?;
    options.lane = said.lane.or(options.lane);
    options.said = Some(recipe.words);
    Ok((options.with_scenario(path)?, words))
}

fn journal(options: &RunOptions, default: &str) -> PathBuf {
    options.out.clone().unwrap_or_else(|| PathBuf::from(default)).join("journal.jsonl")
}

/// Has somebody look at a run, and says what it came to.
fn look<R: Run>(run: R, replay: &ReplayOptions, header: Header, journal: &Path) -> anyhow::Result<(Exit, R)> {
    let mut session = Session::new(run, io::stdout().lock(), replay.session());
    let end = match session.begin()? {
        Some(end) => end,
        None if replay.gdb => session.let_debugger_in()?,
        None => converse(&mut session, replay)?,
    };
    let (run, verdict) = session.finish();
    let mut out = io::stdout().lock();
    let exit = match end {
        End::Over(_) => {
            verdict::print(&mut out, &verdict, header, Some(journal), style(io::stdout().is_terminal()))?;
            Exit::from_code(verdict.exit_code())
        }
        End::Left => {
            writeln!(out, "left; the journal up to here: {}", journal.display())?;
            Exit::Pass
        }
        End::NeverThere(point) => {
            let what = format!("the run has no {point}: it is over; its journal: {}", journal.display());
            return Err(wrong(Exit::Usage, what));
        }
    };
    Ok((exit, run))
}

/// Commands of a file, or of whoever types.
fn converse<R: Run, W: Write>(session: &mut Session<R, W>, replay: &ReplayOptions) -> anyhow::Result<End> {
    let Some(file) = &replay.commands else { return typed(session) };
    let lines = File::open(file).usage(format!("cannot read the commands {}", file.display()))?;
    for (number, line) in (1..).zip(BufReader::new(lines).lines()) {
        let line = line.usage(format!("cannot read the commands {}", file.display()))?;
        let Some(command) = said(&line) else { continue };
        println!("> {}", line.trim());
        let command: Command = command.usage(format!("{}, line {number}", file.display()))?;
        if let Some(end) = session.command(&command)? {
            return Ok(end);
        }
    }
    Ok(session.left())
}

fn typed<R: Run, W: Write>(session: &mut Session<R, W>) -> anyhow::Result<End> {
    let prompt = io::stdin().is_terminal();
    let mut lines = io::stdin().lines();
    loop {
        if prompt {
            eprint!("> ");
        }
        let Some(line) = lines.next() else { return Ok(session.left()) };
        match said(&line.context("cannot read what is typed")?) {
            None => {}
            Some(Ok(command)) => {
                if let Some(end) = session.command(&command)? {
                    return Ok(end);
                }
            }
            Some(Err(bad)) => eprintln!("barkeep: {bad}"),
        }
    }
}

/// The command of a line; `None` of an empty one, or a remark.
fn said(line: &str) -> Option<Result<Command, barkeep_replay::BadCommand>> {
    let line = line.split('#').next().unwrap_or_default().trim();
    (!line.is_empty()).then(|| line.parse())
}
