//! What the outer half tells the inner one, as a file of the initramfs.

use crate::topology::{Topology, VirtualFunction};
use barkeep_journal::Clock;
use serde::{Deserialize, Serialize};

/// Where the file lies inside. Its presence, under PID 1, is what makes the binary an init.
pub(crate) const PATH: &str = "/barkeep/lab.json";

/// The inner half's orders.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// Whether nanoseconds are counted instructions.
    pub(crate) virtual_time: bool,
    /// The topology's devices.
    pub(crate) devices: Vec<Device>,
    /// The arguments of the command to run.
    pub(crate) command: Vec<String>,
}

/// A device to find and bind.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) bus: Option<String>,
    pub(crate) slot: String,
    pub(crate) bind: Option<String>,
    pub(crate) virtual_functions: Vec<VirtualFunction>,
}

impl Orders {
    pub(crate) fn new(topology: &Topology, fast: bool, command: &[String]) -> Self {
        let devices = topology.devices.iter().map(|device| Device {
            name: device.name.clone(),
            bus: device.bus.clone(),
            slot: device.slot.clone(),
            bind: device.bind.clone(),
            virtual_functions: device.virtual_functions.clone(),
        });
        Self { virtual_time: !fast, devices: devices.collect(), command: command.to_vec() }
    }

    pub(crate) fn clock(&self) -> Clock {
        if self.virtual_time { Clock::Virtual } else { Clock::Emulated }
    }
}
