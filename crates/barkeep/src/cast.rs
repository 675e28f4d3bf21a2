//! Gives simulated devices their parts in a scenario.

use crate::exit::{Exit, UsageExt, wrong};
use barkeep_scenario::Scenario;
use barkeep_scenario::nearest::{nearest, with_suggestion};
use barkeep_sim::options::{DmaOptions, MemoryOptions};
use barkeep_sim::{Kind, Named, SimOption};

/// Names the devices that were asked for; without any, has each name of the scenario played by what
/// its `[simulated]` says, or by a stand-in: a DMA engine where it is used as one, else memory.
///
/// # Errors
/// A name is given twice or to a device that cannot play its part; a part is left over; what
/// `[simulated]` says is no simulated device.
pub fn cast(asked: &[SimOption], scenario: &Scenario) -> anyhow::Result<Vec<Named>> {
    if asked.is_empty() {
        let devices = scenario.devices().into_iter().map(|name| player(name, scenario));
        let devices = devices.collect::<anyhow::Result<Vec<Named>>>()?;
        check(&devices, scenario)?;
        return Ok(devices);
    }
    let mut names: Vec<Option<String>> = asked.iter().map(|option| option.name.clone()).collect();
    for (n, name) in names.iter().enumerate() {
        if name.is_some() && names[..n].contains(name) {
            let name = name.as_deref().unwrap_or_default();
            return Err(wrong(Exit::Usage, format!("two devices are called `{name}`")));
        }
    }
    for (n, option) in asked.iter().enumerate() {
        if names[n].is_none() {
            names[n] = Some(next_name(&option.kind, &names, scenario));
        }
    }
    let named = |(name, option): (Option<String>, &SimOption)| Named {
        name: name.unwrap_or_default(),
        kind: option.kind.clone(),
    };
    let devices: Vec<Named> = names.into_iter().zip(asked).map(named).collect();
    check(&devices, scenario)?;
    Ok(devices)
}

/// Who plays a part that nobody was asked for.
fn player(name: &str, scenario: &Scenario) -> anyhow::Result<Named> {
    let Some(word) = scenario.simulated.get(name) else { return Ok(stand_in(name, scenario)) };
    let what = || format!("the scenario `{}` has `{name} = \"{word}\"` in its [simulated]", scenario.name);
    let option: SimOption = word.parse().usage(what())?;
    match option.name {
        None => Ok(Named { name: name.to_owned(), kind: option.kind }),
        Some(_) => Err(wrong(Exit::Usage, format!("{}: the name stands before it", what()))),
    }
}

/// Who plays an engine that a second process has: one of those that were asked for by its name, what
/// `[simulated]` says, or a stand-in.
///
/// # Errors
/// It is no DMA engine; what `[simulated]` says is no simulated device.
pub fn second_engine(name: &str, asked: &[SimOption], scenario: &Scenario) -> anyhow::Result<Named> {
    let own = asked.iter().find(|option| option.name.as_deref() == Some(name));
    let named = match own {
        Some(option) => Named { name: name.to_owned(), kind: option.kind.clone() },
        None if scenario.simulated.contains_key(name) => player(name, scenario)?,
        None => Named { name: name.to_owned(), kind: Kind::Dma(DmaOptions::default()) },
    };
    match named.kind {
        Kind::Dma(_) => Ok(named),
        Kind::Memory(_) => {
            let what = format!("`{name}` is the second process's DMA engine: {name}=sim:dma");
            Err(wrong(Exit::Usage, what))
        }
    }
}

fn stand_in(name: &str, scenario: &Scenario) -> Named {
    let memory = MemoryOptions::default();
    // A 64-bit BAR takes two registers: in the last one there is none.
    let bar = scenario.first_bar(name).filter(|bar| *bar <= 4).unwrap_or(memory.bar);
    let kind = if scenario.engines().contains(&name) {
        Kind::Dma(DmaOptions::default())
    } else {
        Kind::Memory(MemoryOptions { bar, ..memory })
    };
    Named { name: name.to_owned(), kind }
}

/// The next name of the scenario that is free and that a device of this kind can play; one of
/// its own if there is none.
fn next_name(kind: &Kind, taken: &[Option<String>], scenario: &Scenario) -> String {
    let free = |name: &str| !taken.iter().flatten().any(|other| other == name);
    let part = scenario.devices().into_iter().find(|name| free(name) && plays(kind, name, scenario));
    let own = |n: usize| Some(format!("{}{n}", word(kind))).filter(|name| free(name));
    part.map(str::to_owned).or_else(|| (0..).find_map(own)).unwrap_or_default()
}

fn plays(kind: &Kind, name: &str, scenario: &Scenario) -> bool {
    matches!(kind, Kind::Dma(_)) == scenario.engines().contains(&name)
}

/// Every part is played, and by who can.
fn check(devices: &[Named], scenario: &Scenario) -> anyhow::Result<()> {
    let engines = scenario.engines();
    for part in scenario.devices() {
        let (what, kind) = if engines.contains(&part) {
            ("as a DMA engine", "sim:dma")
        } else {
            ("as memory", "sim:memory")
        };
        match devices.iter().find(|device| device.name == part) {
            // A DMA engine has a BAR too.
            Some(Named { kind: Kind::Dma(_), .. }) => {}
            Some(Named { kind: Kind::Memory(_), .. }) if !engines.contains(&part) => {}
            Some(_) => {
                let what = format!("the scenario `{}` uses `{part}` {what}: {part}={kind}", scenario.name);
                return Err(wrong(Exit::Usage, what));
            }
            None => {
                let what = format!(
                    "the scenario `{}` uses `{part}` {what}, and no device plays it; add --device {kind}",
                    scenario.name
                );
                let near = nearest(part, devices.iter().map(|device| device.name.as_str()));
                return Err(wrong(Exit::Usage, with_suggestion(what, near)));
            }
        }
    }
    Ok(())
}

fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Memory(_) => "memory",
        Kind::Dma(_) => "dma",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_scenario::{HAMMER, MAIN_JOB};

    fn named(words: &[&str], scenario: &str) -> Result<Vec<(String, &'static str)>, String> {
        let asked: Vec<SimOption> = words.iter().map(|word| word.parse().unwrap()).collect();
        let devices = cast(&asked, &Scenario::parse(scenario).unwrap()).map_err(|e| e.to_string())?;
        Ok(devices.into_iter().map(|device| (device.name, word(&device.kind))).collect())
    }

    fn pairs(list: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
        list.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
    }

    #[test]
    fn parts_go_to_who_can_play_them() {
        let main = pairs(&[("nvme", "memory"), ("edu", "dma")]);
        assert_eq!(named(&[], MAIN_JOB), Ok(main.clone()));
        assert_eq!(named(&["sim:memory", "sim:dma"], MAIN_JOB), Ok(main.clone()));
        let turned: Vec<_> = main.iter().rev().cloned().collect();
        assert_eq!(named(&["sim:dma", "nvme=sim:memory"], MAIN_JOB), Ok(turned));
        assert_eq!(named(&[], HAMMER), Ok(pairs(&[("nvme", "memory")])));
        let more = named(&["sim:memory", "sim:memory", "sim:memory", "sim:dma"], HAMMER);
        let expected =
            pairs(&[("nvme", "memory"), ("memory0", "memory"), ("memory1", "memory"), ("dma0", "dma")]);
        assert_eq!(more, Ok(expected));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (words, scenario, told) in [
            (&["sim:memory"][..], MAIN_JOB, &["`edu`", "DMA engine", "--device sim:dma"][..]),
            (&["sim:dma"], MAIN_JOB, &["`nvme`", "--device sim:memory"]),
            (&["edu=sim:memory", "sim:dma"], MAIN_JOB, &["`nvme`", "no device plays it"]),
            (&["edu=sim:memory", "sim:memory"], MAIN_JOB, &["`edu`", "edu=sim:dma"]),
            (&["a=sim:memory", "a=sim:dma"], MAIN_JOB, &["two devices are called `a`"]),
            (&["nvmee=sim:memory", "sim:dma"], MAIN_JOB, &["`nvme`", "did you mean `nvmee`"]),
        ] {
            let error = named(words, scenario).unwrap_err();
            for word in told {
                assert!(error.contains(word), "{words:?}: `{word}` is not in: {error}");
            }
        }
    }
}
