//! The command line. The doc comments are the help texts.

use crate::bind::BindOptions;
use crate::doctor::DoctorOptions;
use crate::exit::{Exit, UsageExt, wrong};
use crate::guest::{self, GuestOptions};
use crate::handover::HandoverOptions;
use crate::handover::inside::{ConductOptions, Role};
use crate::report_merge::ReportCommand;
use crate::storm::alone::EpisodeOptions;
use crate::storm::options::StormOptions;
use crate::storm::worker::WorkerOptions;
use crate::version::VERSION;
use anyhow::Context;
use barkeep_journal::DeviceAddress;
use barkeep_matrix::Trigger;
use barkeep_model::Profile;
use barkeep_scenario::units::{Lapse, Size};
use barkeep_scenario::{MAIN_JOB, SHIPPED, Scenario, language as scenario};
use barkeep_sim::SimOption;
use barkeep_vfio::Sharing;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// microVMs with revocable peer-to-peer BARs, and the testbed that proves it.
///
/// Exit status: 0 pass; 1 an invariant is broken or a check failed; 2 what was typed or named is
/// wrong; 4 skipped, the lane is not available; 124 time-out or hang; 125 the testbed itself failed.
#[derive(Debug, Parser)]
#[command(version = VERSION, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// Plant a fault: docs/sensitivity.md.
    #[cfg(feature = "planted")]
    #[arg(long, value_name = "FAULT", global = true, hide = true)]
    pub plant: Option<String>,
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
        /// The scenario, a TOML file; or the name of a shipped one: main-job, hammer, unseen, removal.
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
    /// What this machine can do, and what is in the way; which device's DMA can reach which.
    Doctor(DoctorOptions),
    /// Give a device to vfio-pci, and remember how it was.
    Bind(BindOptions),
    /// Put a device back to where `bind` has found it.
    Unbind(BindOptions),
    /// Hold the specification of the kernel to a real kernel: random operations, asked of both.
    Conform(ConformOptions),
    /// Every trigger on every machine: whether CPU access and peer-to-peer DMA land before, not in
    /// between, and again afterwards.
    Matrix(MatrixOptions),
    /// Search all interleavings of the keeper with the specified kernel, for small bounds.
    Explore(ExploreOptions),
    /// Two processes: one exports a BAR and hands the dma-buf over, the other imports it; every order
    /// in which they give up what they hold, or die.
    Handover(HandoverOptions),
    /// Reset storms: episodes drawn from seeds, each judged, with one verdict for all.
    Storm(Box<StormOptions>),
    /// The records of storms.
    Report {
        /// What to do with them.
        #[command(subcommand)]
        command: ReportCommand,
    },
    /// Print completions for a shell.
    Completions {
        /// For which one.
        shell: clap_complete::Shell,
    },
    /// Write man pages: barkeep.1, and one for each subcommand.
    Man {
        /// Where they go; made if it is not there.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// A worker of `storm` in lane model.
    #[command(hide = true)]
    StormWorker(WorkerOptions),
    /// One episode of `storm`.
    #[command(hide = true)]
    StormEpisode(EpisodeOptions),
    /// Inside the lab: carry out several runs, one after the other.
    #[command(hide = true)]
    Batch {
        /// What `barkeep` outside has written.
        list: PathBuf,
    },
    /// Inside the lab: ask the running kernel and record what it answers.
    #[command(hide = true)]
    ConformRecord(RecordOptions),
    /// Inside the lab: carry out orders of `handover`.
    #[command(hide = true)]
    HandoverConduct(ConductOptions),
    /// One of the two processes of `handover`, or the second process of a scenario.
    #[command(hide = true)]
    HandoverProcess {
        /// Which of them.
        role: Role,
    },
    /// A child process that holds a descriptor, for a scenario's `hold`.
    #[command(hide = true)]
    Inherit,
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LaneName {
    /// Simulated vCPUs and devices, the kernel as an executable specification, virtual time.
    Model,
    /// Real vCPUs, simulated devices.
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

/// Whether devices share an I/O address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spaces {
    /// All devices of the VM are attached to one.
    Shared,
    /// Each device has its own, and every window is mapped into all of them.
    Each,
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

/// What `--device` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceWord {
    /// A device of this machine.
    Real(DeviceOption),
    /// One that is simulated.
    Simulated(SimOption),
}

impl FromStr for DeviceWord {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if barkeep_sim::options::is_simulated(text) {
            return Ok(Self::Simulated(text.parse()?));
        }
        Ok(Self::Real(text.parse()?))
    }
}

/// Options of `run` and `replay`.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// A device to pass through, any number of times: its PCI address, and the name a scenario
    /// calls it by, e.g. nvme=0000:01:00.0. It must be bound to vfio-pci. Or a simulated one,
    /// sim:memory or sim:dma, with options, e.g. nvme=sim:memory,size=64M,flr=off.
    #[arg(long = "device", value_name = "[NAME=]DEVICE")]
    pub devices: Vec<DeviceWord>,
    /// vCPUs, 1 to 64; the scenario's number if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub cpus: Option<u16>,
    /// Guest memory, e.g. 64M; the scenario's if not given.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// A scenario to carry out instead of the main job: a file, or the name of a shipped one.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// A guest of one's own.
    #[command(flatten)]
    pub guest: GuestOptions,
    /// Whether peers may reach each other's BARs.
    #[arg(long, value_enum, default_value_t = P2p::Prefer)]
    pub p2p: P2p,
    /// A device that is not passed through, and which the scenario acts on from outside, through
    /// sysfs: a physical function, say. Any number of times.
    #[arg(long = "other", value_name = "NAME=ADDRESS")]
    pub others: Vec<DeviceOption>,
    /// Whether devices share an I/O address space; the scenario's if not given.
    #[arg(long, value_enum)]
    pub spaces: Option<Spaces>,
    /// Where to run; lab boots the emulator around it. Without it: here, on this machine's
    /// devices or on simulated ones, whichever --device names.
    #[arg(long, value_enum)]
    pub lane: Option<LaneName>,
    /// Lanes model and lab: do it that many times, each on a fresh VM and with the next seed; in lane
    /// lab in one boot, if all goes well. Nothing is written, unless a time does not pass: the first
    /// one that does not leaves its journal, and ends the command.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub times: Option<u64>,
    /// With --lane lab and --times: each time the VMM's process is ended by SIGKILL that long after its
    /// start, at a moment of a range like 0s..3s that is drawn from the seed, and what is left of it in
    /// the machine is looked at; then it is done once more and left alone.
    #[arg(long, value_name = "RANGE", requires = "times")]
    pub kill_after: Option<Lapse>,
    /// What the scenario's random times are drawn from, and in lane model which of several vCPUs goes on.
    /// The scenario's own if not given, or 1; time K of --times has S+K-1.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Where the journal and other outputs go.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The kernel under test, with --lane lab: a bzImage or vmlinux, or a variant by its name.
    #[arg(long, value_name = "KERNEL", hide = true)]
    pub kernel: Option<PathBuf>,
}

impl RunOptions {
    /// Those of `replay FILE` with these devices and nothing else.
    ///
    /// # Errors
    /// A device is none.
    pub fn of_scenario(scenario: &Path, devices: &[String]) -> anyhow::Result<Self> {
        let devices: Vec<String> = devices.iter().map(|device| format!("--device={device}")).collect();
        Self::of_words(&devices).usage("not devices")?.with_scenario(scenario.to_owned())
    }

    /// Those of these words.
    ///
    /// # Errors
    /// They are none.
    pub fn of_words(words: &[String]) -> Result<Self, clap::Error> {
        /// The options by themselves.
        #[derive(Parser)]
        struct Alone {
            #[command(flatten)]
            options: RunOptions,
        }
        let words = std::iter::once("replay").chain(words.iter().map(String::as_str));
        Ok(Alone::try_parse_from(words)?.options)
    }

    /// Bytes of guest memory.
    pub fn memory(&self, scenario: &Scenario) -> u64 {
        self.memory.unwrap_or(scenario.guest.memory).0
    }

    /// vCPUs: never fewer than the scenario acts on.
    pub fn vcpus(&self, scenario: &Scenario) -> u16 {
        self.cpus.unwrap_or(scenario.guest.vcpus).max(scenario.guest.vcpus)
    }

    /// Whether devices share an I/O address space.
    pub fn sharing(&self, scenario: &Scenario) -> Sharing {
        match (self.spaces, scenario.guest.spaces) {
            (Some(Spaces::Each), _) | (None, scenario::Spaces::Each) => Sharing::Each,
            (Some(Spaces::Shared), _) | (None, scenario::Spaces::Shared) => Sharing::Shared,
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
        if self.guest.guest.is_some() {
            return Scenario::parse(guest::SCENARIO).context("the scenario of a guest");
        }
        let Some(path) = &self.scenario else {
            return Scenario::parse(MAIN_JOB).context("the shipped main job");
        };
        let text = match shipped(path) {
            Some(text) => text.to_owned(),
            None => std::fs::read_to_string(path).usage(format!(
                "cannot read the scenario {}; shipped are {}",
                path.display(),
                shipped_names()
            ))?,
        };
        let scenario = Scenario::parse(&text).and_then(Scenario::plain);
        scenario.usage(format!("the scenario {} is not usable", path.display()))
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
    /// The kernel under test: a bzImage, a vmlinux with a PVH entry, or the name of a variant (plain, debug,
    /// bug-…): the newest that `scripts/kernel --variant` has built of it. Without it: plain.
    #[arg(long, value_name = "KERNEL")]
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

impl LabOptions {
    /// A boot for this inner command, with everything else as it is if nothing is said.
    pub fn of(command: Vec<String>, out: &Path) -> Self {
        Self {
            kernel: None,
            topology: None,
            fast: false,
            timeout: crate::outside::DEFAULT_TIMEOUT,
            out: out.to_owned(),
            share: None,
            dry_run: false,
            print_config: false,
            command,
        }
    }
}

/// Options of `conform`.
#[derive(Debug, Args)]
pub struct ConformOptions {
    /// What the operations are made from: the same seed, the same operations.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Operations, at least; whole episodes of 12 to 60 are done.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub ops: u64,
    /// The kernel: a bzImage or vmlinux, or a variant by its name. Without it: plain, as `scripts/kernel`
    /// has built it.
    #[arg(long, value_name = "KERNEL")]
    pub kernel: Option<PathBuf>,
    /// The emulated devices: a name or a TOML file.
    #[arg(long, value_name = "TOPOLOGY", default_value = "conform")]
    pub topology: String,
    /// The specification's profile; without it: that of the kernel's release.
    #[arg(long, value_name = "VERSION")]
    pub profile: Option<Profile>,
    /// Ask no kernel: compare what was recorded.
    #[arg(long, value_name = "FILE", conflicts_with = "episodes")]
    pub recording: Option<PathBuf>,
    /// The operations of a recording instead of random ones: a divergence, asked again.
    #[arg(long, value_name = "FILE")]
    pub episodes: Option<PathBuf>,
    /// Do not look for the fewest operations that show a divergence.
    #[arg(long)]
    pub no_shrink: bool,
    /// Fail as well if a row of the semantics table that the devices can show was not reached, or a
    /// planted error not found.
    #[arg(long)]
    pub strict: bool,
    /// Wall-clock seconds after which a boot has hung.
    #[arg(long, value_name = "S", default_value_t = 3600)]
    pub timeout: u64,
    /// Where recordings and divergences go.
    #[arg(long, value_name = "DIR", default_value = "out/conform")]
    pub out: PathBuf,
}

/// Options of `matrix`.
#[derive(Debug, Args)]
pub struct MatrixOptions {
    /// One machine instead of all, any number of times: a column of the table, or a topology's file.
    #[arg(long = "topology", value_name = "TOPOLOGY")]
    pub topologies: Vec<String>,
    /// One trigger instead of all, any number of times.
    #[arg(long = "trigger", value_name = "TRIGGER")]
    pub triggers: Vec<Trigger>,
    /// The machines of one lane only: lab or model.
    #[arg(long, value_enum)]
    pub lane: Option<LaneName>,
    /// The kernel under test, for lane lab: a file, or a variant by its name. Without it: plain.
    #[arg(long, value_name = "KERNEL")]
    pub kernel: Option<PathBuf>,
    /// Where each cell's scenario and journal go: DIR/TRIGGER/TOPOLOGY.
    #[arg(long, value_name = "DIR", default_value = "out/matrix")]
    pub out: PathBuf,
    /// Machines at the same time; the number of CPUs, two at the most, if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Print the table as Markdown.
    #[arg(long)]
    pub markdown: bool,
    /// Name the triggers and machines, and do nothing.
    #[arg(long)]
    pub list: bool,
}

impl MatrixOptions {
    /// Machines at the same time. Each is an emulator of one thread, and takes a gigabyte.
    pub fn jobs(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(2));
        self.jobs.map_or_else(cpus, usize::from)
    }
}

/// Options of `explore`.
#[derive(Debug, Args)]
pub struct ExploreOptions {
    /// One set-up instead of all.
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Actions to the end of a path; each set-up has a depth of its own otherwise.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Plant errors around the keeper instead; each must be found.
    #[arg(long, conflicts_with_all = ["scenario", "depth"])]
    pub mutants: bool,
}

/// Options of `conform-record`.
#[derive(Debug, Args)]
pub struct RecordOptions {
    /// As for `conform`.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// As for `conform`.
    #[arg(long, default_value_t = 3000)]
    pub ops: u64,
    /// The episodes of a recording instead of random ones.
    #[arg(long, value_name = "FILE")]
    pub episodes: Option<PathBuf>,
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
