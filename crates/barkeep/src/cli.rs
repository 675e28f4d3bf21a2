//! The command line. The doc comments are the help texts.

use crate::exit::{Exit, UsageExt, wrong};
use anyhow::Context;
use barkeep_journal::DeviceAddress;
use barkeep_scenario::units::Size;
use barkeep_scenario::{MAIN_JOB, SHIPPED, Scenario};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// microVMs with revocable peer-to-peer BARs, and the testbed that proves it.
///
/// Exit status: 0 pass; 1 an invariant is broken or a check failed; 2 what was typed or named is
/// wrong; 4 skipped, the lane is not available; 124 time-out or hang; 125 the testbed itself failed.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Launch a microVM with passed-through devices; without a scenario it does the main job.
    Run(RunOptions),
    /// Carry a scenario out.
    Replay {
        /// The scenario, a TOML file; or the name of a shipped one: main-job, hammer, unseen.
        // An id of its own: `--scenario` has the field's name.
        #[arg(id = "file", value_name = "FILE")]
        scenario: PathBuf,
        /// As for `run`.
        #[command(flatten)]
        options: RunOptions,
    },
    /// Read a journal and give its verdict.
    Check {
        /// A journal.jsonl.
        journal: PathBuf,
    },
    /// Boot a real kernel in the full-system emulator and run a subcommand inside.
    Lab(LabOptions),
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LaneName {
    /// The kernel as an executable specification (not there yet).
    Model,
    /// Real vCPUs, simulated devices (not there yet).
    Kvm,
    /// A real kernel inside the full-system emulator.
    Lab,
    /// This machine's devices.
    Host,
}

/// Whether peers may reach each other's BARs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum P2p {
    /// Map what can be mapped; what cannot is one loud line.
    Prefer,
    /// Refuse to start if anything cannot be mapped.
    Required,
    /// Map nothing.
    Off,
}

/// A passed-through device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceOption {
    /// What scenarios call it.
    pub name: String,
    /// Where it is.
    pub address: DeviceAddress,
}

impl FromStr for DeviceOption {
    type Err = barkeep_journal::event::BadAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, address) = text.split_once('=').unwrap_or((text, text));
        Ok(Self { name: name.to_owned(), address: address.parse()? })
    }
}

/// Options of `run` and `replay`.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// A device to pass through, any number of times: its PCI address, and the name a scenario
    /// calls it by, e.g. nvme=0000:01:00.0. It must be bound to vfio-pci.
    #[arg(long = "device", value_name = "[NAME=]BDF")]
    pub devices: Vec<DeviceOption>,
    /// vCPUs, 1 to 64; the scenario's number if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub cpus: Option<u16>,
    /// Guest memory, e.g. 64M; the scenario's if not given.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// A scenario to carry out instead of the main job: a file, or the name of a shipped one.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Whether peers may reach each other's BARs.
    #[arg(long, value_enum, default_value_t = P2p::Prefer)]
    pub p2p: P2p,
    /// Where to run; lab boots the emulator around it. Without it: here.
    #[arg(long, value_enum)]
    pub lane: Option<LaneName>,
    /// Where the journal and other outputs go.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The kernel under test, with --lane lab: a bzImage or vmlinux.
    #[arg(long, value_name = "FILE", hide = true)]
    pub kernel: Option<PathBuf>,
}

/// Here, or in a lab around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process.
    Here,
    /// In the emulator.
    Lab,
}

impl RunOptions {
    /// Where it takes place.
    ///
    /// # Errors
    /// The lane is not there yet (4), or a lab inside a lab is asked for (2).
    pub fn lane(&self) -> anyhow::Result<Place> {
        match (self.lane, inside_lab()) {
            (None, _) | (Some(LaneName::Lab), true) | (Some(LaneName::Host), false) => Ok(Place::Here),
            (Some(LaneName::Lab), false) => Ok(Place::Lab),
            (Some(LaneName::Host), true) => Err(wrong(Exit::Usage, "lane host cannot be had inside the lab")),
            (Some(lane @ (LaneName::Model | LaneName::Kvm)), _) => {
                let lane = lane.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
                Err(wrong(Exit::Skipped, format!("lane {lane} is not there yet; lanes lab and host are")))
            }
        }
    }

    /// The same, with a scenario named on the command line of `replay`.
    ///
    /// # Errors
    /// Two scenarios are named.
    pub fn with_scenario(self, scenario: PathBuf) -> anyhow::Result<Self> {
        if self.scenario.is_some() {
            return Err(wrong(Exit::Usage, "name one scenario, either as FILE or by --scenario"));
        }
        Ok(Self { scenario: Some(scenario), ..self })
    }

    /// The scenario to carry out.
    ///
    /// # Errors
    /// It cannot be read or is none.
    pub fn load_scenario(&self) -> anyhow::Result<Scenario> {
        let Some(path) = &self.scenario else {
            return Scenario::parse(MAIN_JOB).context("the shipped main job");
        };
        let text = match shipped(path) {
            Some(text) => text.to_owned(),
            None => std::fs::read_to_string(path).usage(format!(
                "cannot read the scenario {}; shipped are main-job, hammer",
                path.display()
            ))?,
        };
        Scenario::parse(&text).usage(format!("the scenario {} is not usable", path.display()))
    }
}

/// A shipped scenario of that name.
pub fn shipped(path: &Path) -> Option<&'static str> {
    SHIPPED.iter().find(|(name, _)| path.as_os_str() == *name).map(|(_, text)| *text)
}

/// Their names, for messages.
pub fn shipped_names() -> String {
    SHIPPED.map(|(name, _)| name).join(", ")
}

/// Whether this process runs inside the lab.
pub fn inside_lab() -> bool {
    std::env::var_os("BARKEEP_JOURNAL").is_some()
}

/// Options of `lab`.
#[derive(Debug, Args)]
pub struct LabOptions {
    /// The kernel under test: a bzImage, or a vmlinux with a PVH entry. Without it: the one
    /// `scripts/kernel` has built.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The emulated devices: a name or a TOML file.
    #[arg(long, value_name = "TOPOLOGY")]
    pub topology: Option<String>,
    /// Two CPUs and wall-clock time instead of counted instructions: faster to start, and not
    /// deterministic.
    #[arg(long)]
    pub fast: bool,
    /// Wall-clock seconds after which a run has hung.
    #[arg(long, value_name = "S", default_value_t = crate::outside::DEFAULT_TIMEOUT)]
    pub timeout: u64,
    /// Where the journal, the console and other outputs go.
    #[arg(long, value_name = "DIR", default_value = "out/lab")]
    pub out: PathBuf,
    /// A folder to find under /share inside.
    #[arg(long, value_name = "DIR")]
    pub share: Option<PathBuf>,
    /// Print the emulator's command line and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the kernel configuration the lab needs and do nothing.
    #[arg(long)]
    pub print_config: bool,
    /// What to run inside, with its arguments: run, replay, or exec PROGRAM ARGS; the main job
    /// if nothing is said.
    #[arg(last = true, value_name = "SUBCOMMAND")]
    pub command: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_one_clap_takes() {
        Cli::command().debug_assert();
    }
}
