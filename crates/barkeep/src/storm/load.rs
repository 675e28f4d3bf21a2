//! Which storm, and whether a lane can host it.

use crate::cli::LaneName;
use crate::exit::{Exit, UsageExt, wrong};
use anyhow::Context;
use barkeep_lab::{Topology, emulator};
use barkeep_scenario::Scenario;
use barkeep_scenario::nearest::{nearest, with_suggestion};
use barkeep_storm::SHIPPED;
use std::fmt::Write as _;
use std::path::Path;

/// The lanes, in the order in which they are told.
const LANES: [LaneName; 4] = [LaneName::Model, LaneName::Kvm, LaneName::Lab, LaneName::Host];

/// Reads a storm: a shipped one by its name, else a file.
///
/// # Errors
/// It cannot be read, or is none.
pub fn load(named: &Path) -> anyhow::Result<Scenario> {
    let shipped = SHIPPED.iter().find(|(name, _)| named.as_os_str() == *name);
    let text = match shipped {
        Some((_, text)) => (*text).to_owned(),
        None => read(named)?,
    };
    Scenario::parse(&text).usage(format!("the storm {} is not usable", named.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let word = path.to_string_lossy();
    if !path.exists() && path.components().count() == 1 && path.extension().is_none() {
        let what = format!("no storm is called `{word}`; shipped are {}", names());
        let near = nearest(&word, SHIPPED.iter().map(|(name, _)| *name));
        return Err(wrong(Exit::Usage, with_suggestion(what, near)));
    }
    std::fs::read_to_string(path).usage(format!("cannot read the storm {word}; shipped are {}", names()))
}

fn names() -> String {
    SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// What a lane lacks for a storm, by the storm's words alone; `None` if it can host it.
pub fn cannot_host(lane: LaneName, storm: &Scenario) -> Option<String> {
    match lane {
        LaneName::Model | LaneName::Kvm => {
            // What a second process has as its engine is simulated, too.
            let spare = storm.second_engines();
            let other = storm.others().into_iter().find(|name| !spare.contains(name))?;
            Some(format!(
                "it acts on `{other}`, which is not in the VM, and simulated machines have no such device"
            ))
        }
        LaneName::Lab => storm
            .topology
            .is_none()
            .then(|| "it names no topology: no emulated machine has what it needs".to_owned()),
        LaneName::Host => storm.kills_vmm().then(|| {
            "it kills the VMM: take --lane lab, or kvm or model, where that is simulated".to_owned()
        }),
    }
}

/// Refuses a lane that cannot host the storm, or that is not here.
///
/// # Errors
/// Status 4 with the reason; status 2 if the topology is none.
pub fn require_lane(lane: LaneName, storm: &Scenario) -> anyhow::Result<()> {
    let skipped = |why: String| wrong(Exit::Skipped, format!("skipped, lane {}: {why}", name(lane)));
    if let Some(why) = cannot_host(lane, storm) {
        return Err(skipped(format!("the storm `{}`: {why}", storm.name)));
    }
    match lane {
        LaneName::Model => Ok(()),
        LaneName::Kvm => barkeep_vmm::kvm_is_here().map_err(|error| {
            skipped(format!("{error}; load kvm_intel or kvm_amd, or take --lane model, which needs no KVM"))
        }),
        LaneName::Lab => {
            let topology = storm.topology.as_deref().unwrap_or(crate::outside::DEFAULT_TOPOLOGY);
            Topology::named_or_file(topology).usage(format!("the topology {topology} is not usable"))?;
            match emulator::find() {
                Ok(_) => Ok(()),
                Err(error) if error.is_usage() => Err(error).usage("no emulator"),
                Err(error) => Err(skipped(error.to_string())),
            }
        }
        LaneName::Host => ["/dev/iommu", "/dev/vfio/devices"].into_iter().try_for_each(|path| {
            let there = Path::new(path).try_exists().context(path)?;
            if there {
                Ok(())
            } else {
                Err(skipped(format!("no {path}: no device is bound to vfio-pci here")))
            }
        }),
    }
}

/// As it is typed.
pub fn name(lane: LaneName) -> &'static str {
    match lane {
        LaneName::Model => "model",
        LaneName::Kvm => "kvm",
        LaneName::Lab => "lab",
        LaneName::Host => "host",
    }
}

/// The shipped storms: what each is, who can host it, what it must show.
///
/// # Errors
/// One of them is none.
pub fn list() -> anyhow::Result<String> {
    let mut text = String::new();
    for (name, storm) in SHIPPED {
        let storm = Scenario::parse(storm).with_context(|| format!("the shipped storm {name}"))?;
        let lanes = LANES.into_iter().filter(|lane| cannot_host(*lane, &storm).is_none());
        let lanes: Vec<&str> = lanes.map(self::name).collect();
        let (about, require) = storm
            .storm
            .as_ref()
            .map(|storm| (storm.about.as_str(), storm.require.join(", ")))
            .unwrap_or_default();
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name}\n    {about}\n    lanes: {}", lanes.join(", "));
        if !require.is_empty() {
            let _ = writeln!(text, "    must show: {require}");
        }
    }
    Ok(text)
}
