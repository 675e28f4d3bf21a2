//! What the outer half tells the inner one, as a file of the initramfs.

use crate::topology::{Target, Topology, VirtualFunction};
use barkeep_journal::Clock;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

/// Where the file lies inside. Its presence, under PID 1, is what makes the binary an init.
pub(crate) const PATH: &str = "/barkeep/lab.json";

/// Where the module of the test importer lies inside, if it is wanted.
pub(crate) const IMPORTER: &str = "/barkeep/importer.ko";

/// The inner half's orders.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// Whether nanoseconds are counted instructions.
    pub(crate) virtual_time: bool,
    /// The topology's devices.
    pub(crate) devices: Vec<Device>,
    /// The arguments of the command to run.
    pub(crate) command: Vec<String>,
    /// The fault that is planted in this build of Barkeep, if it is one for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) planted: Option<String>,
}

/// A device to find and bind.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) bus: Option<String>,
    pub(crate) slot: String,
    pub(crate) bind: Option<String>,
    pub(crate) target: Option<Target>,
    pub(crate) virtual_functions: Vec<VirtualFunction>,
}

impl Orders {
    pub(crate) fn new(topology: &Topology, fast: bool, command: &[String]) -> Self {
        let devices = topology.devices.iter().map(|device| Device {
            name: device.name.clone(),
            bus: device.bus.clone(),
            slot: device.slot.clone(),
            bind: device.bind.clone(),
            target: device.target,
            virtual_functions: device.virtual_functions.clone(),
        });
        let planted = barkeep_planted::name().map(str::to_owned);
        Self { virtual_time: !fast, devices: devices.collect(), command: command.to_vec(), planted }
    }

    /// The ones this machine was booted with.
    ///
    /// # Errors
    /// There are none: this is no inside of a lab.
    pub(crate) fn read() -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(PATH)?)?)
    }

    /// The drivers that devices and virtual functions are for.
    pub(crate) fn binds(&self) -> impl Iterator<Item = &str> {
        let functions = self.devices.iter().flat_map(|device| &device.virtual_functions);
        let binds = self.devices.iter().map(|device| &device.bind);
        binds.chain(functions.map(|function| &function.bind)).flatten().map(String::as_str)
    }

    /// Where runs aim, by the names of devices and virtual functions.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&str, Target)> {
        let targets = self.devices.iter().flat_map(|device| {
            let functions = device.virtual_functions.iter();
            let functions = functions.map(|function| (function.name.as_str(), function.target));
            std::iter::once((device.name.as_str(), device.target)).chain(functions)
        });
        targets.filter_map(|(name, target)| Some((name, target?)))
    }

    pub(crate) fn clock(&self) -> Clock {
        if self.virtual_time { Clock::Virtual } else { Clock::Emulated }
    }
}
