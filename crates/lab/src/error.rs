//! What can go wrong before and around the machine, and the status each ends with.

use crate::emulator::EmulatorError;
use crate::initramfs::InitramfsError;
use crate::kernel::KernelError;
use crate::topology::TopologyError;
use std::io;
use std::path::PathBuf;

/// The user typed or named something wrong.
pub const EXIT_USAGE: i32 = 2;
/// The run took longer than it was given.
pub const EXIT_TIME_OUT: i32 = 124;
/// The testbed itself failed.
pub const EXIT_TESTBED: i32 = 125;

/// Why there was no run, or no results of one.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel image is no good.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The topology is no good.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The initramfs cannot be put together.
    #[error(transparent)]
    Initramfs(#[from] InitramfsError),
    /// QEMU is missing, too old, or not QEMU.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
    /// The results cannot be written where they were asked for.
    #[error("cannot write results to {path}")]
    Out {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No room for the files the machine is made of.
    #[error("cannot make the machine's private files")]
    Scratch(#[source] io::Error),
    /// QEMU could not be started or waited for.
    #[error("cannot run QEMU")]
    Spawn(#[source] io::Error),
    /// QEMU does not know a device, drive or setting of the topology.
    #[error("QEMU refuses the topology{}", said(.0))]
    Refused(String),
    /// QEMU ended by itself, and not because the machine was switched off.
    #[error("QEMU failed ({status}){}", said(stderr))]
    Crashed {
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// The journal's file cannot be mapped.
    #[error("cannot read the journal")]
    Journal(#[from] barkeep_journal::writer::JournalError),
    /// The results parcel is not one.
    #[error("the files of the run did not come out whole: {0}")]
    Parcel(String),
    /// The handlers of SIGINT and SIGTERM cannot be set.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
}

impl LabError {
    /// The status a command that failed so exits with: [`EXIT_USAGE`] or [`EXIT_TESTBED`].
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Kernel(_) | Self::Topology(_) | Self::Refused(_) | Self::Out { .. } => EXIT_USAGE,
            Self::Initramfs(error) if error.is_usage() => EXIT_USAGE,
            Self::Emulator(error) if error.is_usage() => EXIT_USAGE,
            _ => EXIT_TESTBED,
        }
    }
}

fn said(stderr: &str) -> String {
    match stderr.trim_end() {
        "" => ", without a word".to_owned(),
        words => format!(": {words}"),
    }
}
