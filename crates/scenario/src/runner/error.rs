//! Why a scenario was not carried out to its end.

use crate::nearest::with_suggestion;
use crate::world::WorldError;
use barkeep_journal::DeviceAddress;
use barkeep_probe::Reply;
use vm_memory::GuestMemoryError;

/// Why a scenario was not carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A device is not in this VM.
    #[error("{}", with_suggestion(format!("the scenario names a device `{name}`, which this VM does not have"), nearest.clone()))]
    NoDevice {
        /// Its name.
        name: String,
        /// The nearest one there is.
        nearest: Option<String>,
    },
    /// A device is not in this machine.
    #[error("the scenario names a device `{0}`, which this machine does not have")]
    NotHere(String),
    /// A device has no such BAR, or it is not exported.
    #[error("{0} is no exported window of this VM")]
    NoWindow(String),
    /// A BAR that was never moved.
    #[error("{0}: that BAR has not been moved")]
    NotMoved(String),
    /// There is nowhere to move a BAR to.
    #[error("there is no free place for BAR {bar} of {device}")]
    NoPlace {
        /// Which device.
        device: String,
        /// Which BAR.
        bar: u8,
    },
    /// A device lacks a capability.
    #[error("{device} has no {capability} capability, which `{action}` needs")]
    NoCapability {
        /// Which device.
        device: String,
        /// What it lacks.
        capability: &'static str,
        /// What needs it.
        action: String,
    },
    /// A device that is no engine is used as one.
    #[error("`{0}` is no DMA engine: neither an edu nor an NVMe controller")]
    NoEngine(String),
    /// An engine was given a pattern, and writes what it wants.
    #[error("`{0}` is an NVMe controller, which writes data of its own: leave `pattern` out")]
    OwnData(String),
    /// An engine does not work.
    #[error("the engine {device} {what}")]
    Engine {
        /// Which device.
        device: DeviceAddress,
        /// What it does, or does not.
        what: String,
    },
    /// Nothing that another thread can do.
    #[error("`{0}` cannot be done meanwhile")]
    NotMeanwhile(String),
    /// The VMM was killed, as the scenario has it.
    #[error("the VMM was killed")]
    Killed,
    /// Guest memory refused.
    #[error("cannot read guest memory")]
    Ram(#[source] GuestMemoryError),
    /// The guest gave no answer to something else than it was asked.
    #[error("the probe answered {0:?} to something else")]
    Confused(Reply),
    /// The lane failed.
    #[error(transparent)]
    World(#[from] WorldError),
}

impl RunError {
    /// Whether the scenario, not the run, is to blame.
    pub fn is_input(&self) -> bool {
        match self {
            Self::NoDevice { .. }
            | Self::NotHere(_)
            | Self::NoWindow(_)
            | Self::NotMoved(_)
            | Self::NoPlace { .. }
            | Self::NoCapability { .. }
            | Self::NoEngine(_)
            | Self::NotMeanwhile(_)
            | Self::OwnData(_) => true,
            Self::Engine { .. } | Self::Killed | Self::Ram(_) | Self::Confused(_) | Self::World(_) => false,
        }
    }

    /// Whether it is only that an engine does not do what it is told.
    pub(crate) fn is_engine(&self) -> bool {
        matches!(self, Self::Engine { .. } | Self::World(WorldError::Gone(_)))
    }

    /// Whether something hung.
    pub fn is_hang(&self) -> bool {
        matches!(self, Self::World(WorldError::Hang(_)))
    }
}
