//! Outside of the lab: reads what the kernel said, and asks the specification the same.

use super::boot::{self, Booted};
use crate::cli::ConformOptions;
use crate::exit::{Exit, UsageExt, wrong};
use anyhow::Context;
use barkeep_conform::compare::compare_watching;
use barkeep_conform::coverage::Coverage;
use barkeep_conform::report::Report;
use barkeep_conform::sensitivity::{Plant, sensitivity};
use barkeep_conform::shrink::{Shrunk, shrink};
use barkeep_conform::{Divergence, Episode, Header, Machine};
use barkeep_model::{Abilities, Class, Process, Profile, Rule, RuleSet};
use std::path::PathBuf;

/// Where the shortest divergence goes, as a recording that can be asked again.
const DIVERGENCE: &str = "divergence.jsonl";

/// Holds the specification to a kernel.
///
/// # Errors
/// The lab cannot run, or a recording is not usable.
pub fn conform(options: &ConformOptions) -> anyhow::Result<Exit> {
    let path = recording(options)?;
    let (header, machine, episodes) = boot::open(&path)?;
    let unusable = || format!("the recording {} is not usable", path.display());
    let episodes = episodes.collect::<Result<Vec<Episode>, _>>().usage(unusable())?;
    let profile = profile(options, &header)?;
    if profile.checked().is_none() {
        println!("profile {profile}");
    }
    let held = hold(&episodes, &machine, profile)?;
    let hardware = machine.hardware();
    let able = machine.abilities();
    let specify = || specification(&machine, profile);
    let plants = if held.divergences.is_empty() {
        let reached = held.reached;
        let planted = Rule::ALL.into_iter().filter(|rule| reached.contains(*rule));
        sensitivity(&episodes, &machine, planted, |rule| {
            // The machine can be, since the specification itself was made of it.
            Process::planted(hardware, profile, *rule).expect("a machine that can be").able(able)
        })
    } else {
        Vec::new()
    };
    let shrunk = match (held.divergences.first(), options.recording.is_none() && !options.no_shrink) {
        (Some(first), true) => {
            let of = |episode: &&Episode| episode.number == first.episode;
            let episode = episodes.iter().find(of).context("the episode that parts")?;
            eprintln!("barkeep: looking for the fewest operations that show it; each look is a boot");
            shrink(episode, &mut Booted { options, header: &header }, &mut specify()?, &machine)?
        }
        _ => None,
    };
    let report = Report {
        machine: &machine,
        seed: header.seed,
        kernel: &header.kernel,
        coverage: &held.coverage,
        reached: held.reached,
        divergences: &held.divergences,
        shrunk: shrunk.as_ref(),
        plants: &plants,
    };
    print!("{report}");
    keep(options, &header, shrunk)?;
    Ok(status(options, able, &held, &plants))
}

/// The recording to look at: the one named, or a new one.
fn recording(options: &ConformOptions) -> anyhow::Result<PathBuf> {
    let arguments = match (&options.recording, &options.episodes) {
        (Some(path), _) => return Ok(path.clone()),
        (None, Some(path)) => {
            // Looked at before anything boots.
            for episode in boot::open(path)?.2 {
                episode.usage(format!("the recording {} is not usable", path.display()))?;
            }
            vec!["--episodes".to_owned(), path.display().to_string()]
        }
        (None, None) => {
            vec!["--seed".to_owned(), options.seed.to_string(), "--ops".to_owned(), options.ops.to_string()]
        }
    };
    boot::record(options, arguments, &options.out)
}

/// What came of asking the specification the same.
struct Held {
    coverage: Coverage<Class>,
    reached: RuleSet,
    divergences: Vec<Divergence>,
}

fn hold(episodes: &[Episode], machine: &Machine, profile: Profile) -> anyhow::Result<Held> {
    let mut process = specification(machine, profile)?;
    let mut coverage = Coverage::default();
    let mut divergences = Vec::new();
    for episode in episodes {
        coverage.episode();
        divergences.extend(compare_watching(episode, &mut process, machine, |process, op| {
            coverage.operation(op, process.class(op));
        }));
    }
    Ok(Held { coverage, reached: process.reached(), divergences })
}

/// Of the kernel that answered, on its machine.
fn specification(machine: &Machine, profile: Profile) -> anyhow::Result<Process> {
    let process = Process::new(machine.hardware(), profile).context("no specification of this machine")?;
    Ok(process.able(machine.abilities()))
}

fn profile(options: &ConformOptions, header: &Header) -> anyhow::Result<Profile> {
    options.profile.or_else(|| Profile::of_release(&header.kernel)).ok_or_else(|| {
        let what = format!("no profile for the kernel {}; name one with --profile", header.kernel);
        wrong(Exit::Usage, what)
    })
}

/// Writes the shortest divergence where it can be asked again.
fn keep(options: &ConformOptions, header: &Header, shrunk: Option<Shrunk>) -> anyhow::Result<()> {
    let Some(shrunk) = shrunk else {
        return Ok(());
    };
    let path = options.out.join(DIVERGENCE);
    boot::write(&path, header, &[shrunk.episode])?;
    let profile =
        options.profile.map_or_else(String::new, |profile| format!(" --profile {}", profile.name()));
    let topology = &options.topology;
    println!("again:  barkeep conform --topology {topology}{profile} --episodes {}", path.display());
    Ok(())
}

fn status(options: &ConformOptions, able: Abilities, held: &Held, plants: &[Plant<Rule>]) -> Exit {
    if !held.divergences.is_empty() {
        return Exit::Broken;
    }
    let shown = |rule: &Rule| rule.reach().is_within(able);
    let unreached = Rule::ALL.iter().filter(|rule| shown(rule) && !held.reached.contains(**rule)).count();
    let missed = plants.iter().filter(|plant| plant.found.is_none()).count();
    if options.strict && unreached + missed > 0 {
        println!("--strict: {unreached} rows not reached, {missed} planted errors not found");
        return Exit::Broken;
    }
    Exit::Pass
}
