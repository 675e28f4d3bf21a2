//! The command line. The doc comments are the help texts.

mod devices;
mod run;

use crate::bind::BindOptions;
use crate::ctl::CtlOptions;
use crate::diff::DiffOptions;
use crate::doctor::DoctorOptions;
use crate::explain::ExplainOptions;
use crate::exporter::{ExporterOptions, PartyOptions};
use crate::handover::HandoverOptions;
use crate::handover::inside::{ConductOptions, Role};
use crate::replay::ReplayOptions;
use crate::report_merge::ReportCommand;
use crate::storm::alone::EpisodeOptions;
use crate::storm::options::StormOptions;
use crate::storm::worker::WorkerOptions;
use crate::trace::TraceOptions;
use crate::version::VERSION;
use barkeep_matrix::Trigger;
use barkeep_model::Profile;
use clap::{Args, Parser, Subcommand};
pub use devices::{DeviceOption, DeviceWord};
pub use run::{LaneName, P2p, RunOptions, inside_lab, shipped, shipped_names};
use std::path::{Path, PathBuf};

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
    /// Carry a scenario out, or what a journal is of once more; and stop in the middle of it, to look.
    Replay {
        /// The scenario, a TOML file; or the name of a shipped one: main-job, importer, hammer, unseen, removal, hostile-config. Or a journal.jsonl:
        /// then the run it is of, in its lane.
        // An id of its own: `--scenario` has the field's name.
        #[arg(id = "file", value_name = "FILE")]
        scenario: PathBuf,
        /// Where it stops.
        #[command(flatten)]
        replay: Box<ReplayOptions>,
        /// As for `run`.
        #[command(flatten)]
        options: RunOptions,
    },
    /// Read a journal and give its verdict.
    Check {
        /// A journal.jsonl.
        journal: PathBuf,
    },
    /// What happened, from a journal: one line for each event, or a page, a still, a trace for Perfetto.
    Trace(TraceOptions),
    /// Why an address, a BAR is not mapped at a moment: what took it, who should bring it back, and whether that
    /// was done.
    Explain(ExplainOptions),
    /// Two journals side by side: where they part first, and their outages, A against B.
    ///
    /// Exit status: 0 they do not part; 1 they do; 2 one of them cannot be read, or is damaged.
    Diff(DiffOptions),
    /// Boot a real kernel in the full-system emulator and run a subcommand inside.
    Lab(LabOptions),
    /// A word to a VMM that runs, through its control socket (`run --control`).
    Ctl(CtlOptions),
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
    /// The whole exporter, held to an importer that is driven step by step: a table of what was seen.
    /// Inside the lab: barkeep lab -- exporter.
    Exporter(ExporterOptions),
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
    /// An importer of the storm of `exporter`.
    #[command(hide = true)]
    ExporterParty(PartyOptions),
    /// A child process that holds a descriptor, for a scenario's `hold`.
    #[command(hide = true)]
    Inherit,
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
    /// Trace the kernel under test: as --kernel-trace of the run or replay inside.
    #[arg(long)]
    pub kernel_trace: bool,
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
            kernel_trace: false,
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
