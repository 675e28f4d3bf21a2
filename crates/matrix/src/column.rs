//! The columns: machines to have things happen on.

use crate::device::{Device, Target};
use barkeep_lab::{Topology, TopologyError};
use barkeep_sim::SimOption;

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What the table calls it: a topology's name, or `sim` and what is special.
    pub name: String,
    /// Where it is.
    pub machine: Machine,
    /// The VM's devices.
    pub devices: Vec<Device>,
}

/// Where a machine is.
#[derive(Clone, Debug, PartialEq)]
pub enum Machine {
    /// In the emulator: lane `lab`.
    Lab,
    /// In the specification: lane `model`, with these devices as `--device` takes them.
    Model(Vec<String>),
}

/// The emulated ones. `conform` is for another purpose.
const LAB: [&str; 9] =
    ["nvme-edu", "nvme-nvme", "igb-vfs", "twins", "slow-port", "e1000e", "large-bar", "mesh", "odd-bars"];

/// The simulated ones: name, and the options of the memory.
const MODEL: [(&str, &str); 5] = [
    ("sim", ""),
    ("sim-af", ",flr=off,af=on"),
    ("sim-vf", ",vf=on"),
    ("sim-fails", ",reset=fails"),
    ("sim-64G", ",size=64G,msix=on"),
];

impl Column {
    /// Names of all there are, the emulated ones first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        LAB.into_iter().chain(MODEL.map(|(name, _)| name))
    }

    /// One that is known, or an emulated one of a topology of somebody else's.
    ///
    /// # Errors
    /// There is no such topology.
    pub fn named(name: &str) -> Result<Self, TopologyError> {
        if let Some((_, options)) = MODEL.iter().find(|(known, _)| *known == name) {
            return Ok(Self::simulated(name, options));
        }
        let topology = Topology::named_or_file(name)?;
        Ok(Self { name: name.to_owned(), machine: Machine::Lab, devices: Device::of_topology(&topology) })
    }

    fn simulated(name: &str, options: &str) -> Self {
        let words = vec![format!("memory=sim:memory{options}"), "edu=sim:dma".to_owned()];
        let device = |word: &String| {
            // Those above are; a test reads them all.
            let option: SimOption = word.parse().expect("options that can be");
            Device::simulated(option.name.as_deref().unwrap_or_default(), &option.kind)
        };
        let devices = words.iter().map(device).collect();
        Self { name: name.to_owned(), machine: Machine::Model(words), devices }
    }

    /// The lane of its cells.
    pub fn lane(&self) -> &'static str {
        match self.machine {
            Machine::Lab => "lab",
            Machine::Model(_) => "model",
        }
    }

    /// The devices that take data.
    pub fn targets(&self) -> impl Iterator<Item = (&Device, &Target)> {
        self.devices.iter().filter_map(|device| Some((device, device.target.as_ref()?)))
    }

    /// The devices that can be told to write.
    pub fn engines(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(|device| device.engine.is_some())
    }

    /// The device that things happen to: the first that peers can write to.
    pub fn victim(&self) -> Option<(&Device, &Target)> {
        self.targets().find(|(_, target)| target.peers)
    }

    /// Whether two devices are reset together with their bus.
    pub fn together(&self, one: &Device, other: &Device) -> bool {
        use crate::device::Bus::{Behind, BehindSlow, Root, Simulated};
        match (&one.bus, &other.bus) {
            (Behind(one), Behind(other)) | (BehindSlow(one), BehindSlow(other)) => one == other,
            (Root | Simulated | Behind(_) | BehindSlow(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_who_writes_and_who_is_written_to() {
        for name in Column::names() {
            let column = Column::named(name).unwrap();
            let (victim, _) = column.victim().unwrap_or_else(|| panic!("{name}: no target"));
            assert!(column.engines().any(|engine| engine.name != victim.name), "{name}: no engine");
        }
    }
}
