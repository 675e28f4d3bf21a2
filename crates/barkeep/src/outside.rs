//! `lab`, and `--lane lab`: this side of the emulator.

use crate::cli::{LabOptions, RunOptions, shipped, shipped_names};
use crate::exit::{Exit, UsageExt, wrong};
use crate::inside;
use crate::kernels;
use crate::recipe::Recipe;
use crate::show::Show;
use crate::storm::{self, options::StormOptions};
use crate::times_in_lab;
use barkeep_check::Ended;
use barkeep_lab::{Carried, LabError, Outcome, Request, Topology};
use barkeep_scenario::Scenario;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The topology of a run that names none.
pub const DEFAULT_TOPOLOGY: &str = "nvme-edu";
/// Wall-clock seconds after which a run has hung: several times what the longest takes.
pub const DEFAULT_TIMEOUT: u64 = 600;
/// The word that runs another program than this one.
const EXEC: &str = "exec";
/// The words that run no scenario: there is nothing to judge in the journal, and their status is passed on.
const NO_SCENARIO: [&str; 5] = [EXEC, "doctor", "bind", "unbind", EXPORTER];
/// The word whose topology is of its own.
const EXPORTER: &str = "exporter";
/// The word that is not one run inside but many.
const STORM: &str = "storm";

/// Boots the lab.
///
/// # Errors
/// What was named is wrong, or the testbed failed.
pub fn lab(options: &LabOptions) -> anyhow::Result<Exit> {
    if options.print_config {
        print!("{}", barkeep_lab::print_config());
        return Ok(Exit::Pass);
    }
    if !options.dry_run && options.command.first().is_some_and(|word| word == STORM) {
        return storm::storm(&StormOptions::under_lab(options)?);
    }
    let request = request(options)?;
    if options.dry_run {
        println!("{}", barkeep_lab::dry_run(&request).map_err(lab_error)?);
        return Ok(Exit::Pass);
    }
    boot(&request, Show::new())
}

/// What the lab is asked for.
///
/// # Errors
/// What was named is wrong.
pub fn request(options: &LabOptions) -> anyhow::Result<Request> {
    let request = request_without_module(options)?;
    let importer =
        request.topology.wants_importer().then(|| kernels::importer(&request.kernel)).transpose()?;
    Ok(Request { importer, ..request })
}

/// The same without the test importer's module, whatever the topology wants.
///
/// # Errors
/// What was named is wrong.
pub fn request_without_module(options: &LabOptions) -> anyhow::Result<Request> {
    let mut command =
        if options.command.is_empty() { vec!["run".to_owned()] } else { options.command.clone() };
    trace_kernel(options, &mut command)?;
    let topology = topology(options.topology.as_deref(), &command)?;
    let replay = recipe(&command)?.map(|recipe| recipe.to_json());
    let (command, carried) = carry(&command);
    let kernel = kernels::kernel(options.kernel.as_deref())?;
    Ok(Request {
        replay,
        kernel,
        topology,
        importer: None,
        fast: options.fast,
        timeout: Duration::from_secs(options.timeout),
        out: options.out.clone(),
        share: options.share.clone(),
        carried,
        command,
        append: String::new(),
    })
}

/// Words of `run` and `replay` that stand alone; every other option has a value.
const FLAGS: [&str; 4] = [KERNEL_TRACE, REPLAY_FLAGS[0], REPLAY_FLAGS[1], REPLAY_FLAGS[2]];
const KERNEL_TRACE: &str = "--kernel-trace";
/// Those of `replay` that are for this side of the emulator.
pub const REPLAY_FLAGS: [&str; 3] = ["--break", "--gdb", "--best-effort"];

/// `--kernel-trace` of the lab is that of the run inside.
fn trace_kernel(options: &LabOptions, command: &mut Vec<String>) -> anyhow::Result<()> {
    if !options.kernel_trace {
        return Ok(());
    }
    match command.first().map_or("", String::as_str) {
        "run" | "replay" => {
            command.push(KERNEL_TRACE.to_owned());
            Ok(())
        }
        other => Err(wrong(
            Exit::Usage,
            format!("--kernel-trace is for `run` and `replay` inside, not for `{other}`"),
        )),
    }
}

/// Boots the lab, to the end of what it was asked for.
///
/// # Errors
/// The testbed failed.
pub fn boot(request: &Request, mut show: Show) -> anyhow::Result<Exit> {
    match barkeep_lab::run(request, &mut |event, header| show.event(event, header)) {
        Ok(outcome) => Ok(conclude(request, &outcome, show)),
        // An emulator that dies under a run is the end of that run, which has a journal up to there.
        Err(error @ LabError::Crashed { .. }) if show.has_begun() => {
            eprintln!("barkeep: {error}");
            let died = Ended::Died { why: error.to_string() };
            Ok(show.verdict(died, &request.out.join("journal.jsonl")))
        }
        Err(error) => Err(lab_error(error)),
    }
}

/// `run --lane lab` and `replay --lane lab`: the same words inside, without the lane.
///
/// # Errors
/// As [`lab`].
pub fn run_in_lab(options: &RunOptions, words: &[String]) -> anyhow::Result<Exit> {
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from("out/lab"));
    boot(&request_of_run(options, words, &out)?, Show::new())
}

/// What the lab is asked for by `run --lane lab` of these words.
///
/// # Errors
/// What was named is wrong.
pub fn request_of_run(options: &RunOptions, words: &[String], out: &Path) -> anyhow::Result<Request> {
    let command = without_options(words, &["--lane", "--out", "--kernel"]);
    request(&LabOptions { kernel: options.kernel.clone(), ..LabOptions::of(command, out) })
}

/// The words without these options and their values.
pub fn without_options(words: &[String], options: &[&str]) -> Vec<String> {
    let mut left = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if options.contains(&word.as_str()) {
            words.next();
        } else if !options.iter().any(|option| word.starts_with(&format!("{option}="))) {
            left.push(word.clone());
        }
    }
    left
}

/// The topology of the command line or of the scenario; both may name it, but not two.
fn topology(named: Option<&str>, command: &[String]) -> anyhow::Result<Topology> {
    let by_scenario = scenario_of(command)?.and_then(|scenario| scenario.topology);
    let name = match (named, by_scenario) {
        (Some(named), Some(other)) if named != other => {
            let what = format!("--topology {named}, but the scenario names {other}; give one");
            return Err(wrong(Exit::Usage, what));
        }
        (Some(named), _) => named.to_owned(),
        (None, Some(name)) => name,
        (None, None) if command.first().is_some_and(|word| word == EXPORTER) => EXPORTER.to_owned(),
        (None, None) => DEFAULT_TOPOLOGY.to_owned(),
    };
    Topology::named_or_file(&name).usage(format!("the topology {name} is not usable"))
}

/// How the run of an inner command line is carried out again, where it is one.
fn recipe(command: &[String]) -> anyhow::Result<Option<Recipe>> {
    let Some(scenario) = scenario_of(command)?.filter(|scenario| scenario.storm.is_none()) else {
        return Ok(None);
    };
    let words = times_in_lab::kept(command);
    let Ok(options) = RunOptions::of_words(&without_operand(command)) else { return Ok(None) };
    let seed = inside::seed(&options, &scenario);
    Recipe::of_words(words, &scenario, seed).map(Some)
}

/// The options alone.
fn without_operand(command: &[String]) -> Vec<String> {
    let mut words = command.get(1..).unwrap_or_default().to_vec();
    if command.first().is_some_and(|word| word == "replay") {
        let all: Vec<&str> = words.iter().map(String::as_str).collect();
        let operand = first_operand(&all).map(str::to_owned);
        words.retain(|word| Some(word) != operand.as_ref());
    }
    words
}

/// The scenario an inner command line carries out, where it names or implies one.
fn scenario_of(command: &[String]) -> anyhow::Result<Option<Scenario>> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let name = match words.as_slice() {
        ["replay", rest @ ..] => first_operand(rest),
        // A guest of one's own has none.
        ["run", rest @ ..] if value_of(rest, "--guest").is_some() => None,
        ["run", rest @ ..] => value_of(rest, "--scenario").or(Some("main-job")),
        _ => None,
    };
    let Some(name) = name else { return Ok(None) };
    let text = match shipped(Path::new(name)) {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(name)
            .usage(format!("cannot read the scenario {name}; shipped are {}", shipped_names()))?,
    };
    Scenario::parse(&text).usage(format!("the scenario {name} is not usable")).map(Some)
}

fn value_of<'a>(words: &[&'a str], option: &str) -> Option<&'a str> {
    let next = words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1).copied());
    next.or_else(|| words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('=')))
}

/// Every option of `replay` but the flags has a value.
pub fn first_operand<'a>(words: &[&'a str]) -> Option<&'a str> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            return Some(word);
        }
        if !word.contains('=') && !FLAGS.contains(word) {
            words.next();
        }
    }
    None
}

/// Replaces every word that names a file by the file's place inside. The program of `exec`
/// comes with `--share`.
fn carry(command: &[String]) -> (Vec<String>, Vec<Carried>) {
    let mut carried = Vec::new();
    let kept = if command.first().is_some_and(|word| word == EXEC) { 2 } else { 1 };
    let inner = command.iter().enumerate().map(|(at, word)| {
        if at < kept || !Path::new(word).is_file() {
            return word.clone();
        }
        let file = Carried::new(carried.len(), word);
        let inner = file.inner.clone();
        carried.push(file);
        inner
    });
    (inner.collect(), carried)
}

/// With the status it ends in.
pub fn lab_error(error: LabError) -> anyhow::Error {
    let exit = Exit::from_code(error.exit_code());
    anyhow::Error::new(error).context(crate::exit::Wrong::new(exit, "the lab cannot run"))
}

/// Says how it ended, and what the journal says of it.
fn conclude(request: &Request, outcome: &Outcome, show: Show) -> Exit {
    pass_on(&request.out.join("stdout.txt"), &mut std::io::stdout());
    pass_on(&request.out.join("stderr.txt"), &mut std::io::stderr());
    let journal = request.out.join("journal.jsonl");
    let ended = match outcome {
        Outcome::Finished { status, .. }
            if request.command.first().is_some_and(|word| NO_SCENARIO.contains(&word.as_str())) =>
        {
            return show.foreign_verdict(*status);
        }
        Outcome::Finished { status, .. } => Ended::ByItself(*status),
        Outcome::TimedOut { .. } | Outcome::Hung { .. } => Ended::TimedOut,
        Outcome::Died { .. } => Ended::Died { why: outcome.to_string() },
        Outcome::Interrupted { .. } => {
            eprintln!("barkeep: {outcome}");
            return Exit::from_code(outcome.exit_code());
        }
    };
    if !matches!(ended, Ended::ByItself(_)) {
        eprintln!("barkeep: {outcome}");
    }
    show.verdict(ended, &journal)
}

/// What the inner command printed, where it came out.
fn pass_on(from: &Path, to: &mut dyn std::io::Write) {
    if let Ok(text) = std::fs::read(from) {
        // A terminal that is gone takes nothing with it.
        let _ = to.write_all(&text).and_then(|()| to.flush());
    }
}
