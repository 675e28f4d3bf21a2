//! What a run is told: options of `run` and of whatever else has runs.

use super::{DeviceOption, DeviceWord};
use crate::exit::{Exit, UsageExt, wrong};
use crate::guest::{self, GuestOptions};
use crate::sandbox::Seccomp;
use anyhow::Context;
use barkeep_platform::{Pages, Ram};
use barkeep_scenario::units::{Lapse, Size};
use barkeep_scenario::{MAIN_JOB, SHIPPED, Scenario, language as scenario};
use barkeep_vfio::Sharing;
use clap::{Args, Parser, ValueEnum};
use std::path::{Path, PathBuf};

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

/// Pages bigger than the usual 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HugePages {
    /// 2 MiB.
    #[value(name = "2M")]
    Of2M,
    /// 1 GiB.
    #[value(name = "1G")]
    Of1G,
}

/// Whether devices share an I/O address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spaces {
    /// All devices of the VM are attached to one.
    Shared,
    /// Each device has its own, and every window is mapped into all of them.
    Each,
}

/// Options of `run` and `replay`.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// A device to pass through, any number of times: its PCI address, and the name a scenario
    /// calls it by, e.g. nvme=0000:01:00.0. It must be bound to vfio-pci. Or a simulated one,
    /// sim:memory or sim:dma, with options, e.g. nvme=sim:memory,size=64M,flr=off. Or fd:N: a file of
    /// /dev/vfio/devices that this command was started with open as descriptor N; then it needs no right
    /// to open it.
    #[arg(long = "device", value_name = "[NAME=]DEVICE")]
    pub devices: Vec<DeviceWord>,
    /// vCPUs, 1 to 64; the scenario's number if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub cpus: Option<u16>,
    /// Guest memory, e.g. 64M; the scenario's if not given.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// Take guest memory from huge pages of this size, which have to be reserved and free: all of it, now.
    #[arg(long, value_enum, value_name = "SIZE")]
    pub huge_pages: Option<HugePages>,
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
    /// Listen for `barkeep ctl` on a socket there, for this user alone. Not with --lane model, nor from outside
    /// of the lab.
    #[arg(long, value_name = "PATH", conflicts_with = "times")]
    pub control: Option<PathBuf>,
    /// Confine this process once it is set up: no capabilities, no new privileges, and for each sort of thread
    /// the system calls of its work. What becomes of others; trap with --guest, off without, if not given.
    #[arg(long, value_enum)]
    pub seccomp: Option<Seccomp>,
    /// Lanes lab and host: record what the kernel's functions on the way of a revoke do, by tracefs, into the journal.
    /// It takes root, and time of its own: every number of such a run says so.
    #[arg(long)]
    pub kernel_trace: bool,
    /// The kernel under test, with --lane lab: a bzImage or vmlinux, or a variant by its name.
    #[arg(long, value_name = "KERNEL", hide = true)]
    pub kernel: Option<PathBuf>,
    /// The words of a journal that is carried out again: its own, in place of this command's.
    #[arg(skip)]
    pub said: Option<Vec<String>>,
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

    /// Guest memory, of the pages that were asked for.
    ///
    /// # Errors
    /// There is not so much, or not of these pages.
    pub fn ram(&self, scenario: &Scenario, has_devices: bool) -> anyhow::Result<Ram> {
        let size = self.memory(scenario);
        let ram = match self.huge_pages {
            None if !has_devices => Ram::without_devices(size),
            None => Ram::of(size, Pages::Small),
            Some(HugePages::Of2M) => Ram::of(size, Pages::Of2M),
            Some(HugePages::Of1G) => Ram::of(size, Pages::Of1G),
        };
        ram.usage("no guest memory")
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
