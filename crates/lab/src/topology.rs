//! Which devices the emulated machine has, where they sit and who drives them.
//!
//! A topology is a TOML file; `docs/topology.md` lists its keys. The ones in
//! `crates/lab/topologies` are compiled in and known by name.

use crate::topology_rules;
use barkeep_scenario::nearest::{explain, nearest, with_suggestion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The compiled-in topologies: name and text.
const BUILT_IN: &[(&str, &str)] = &[
    ("nvme-edu", include_str!("../topologies/nvme-edu.toml")),
    ("two-engines", include_str!("../topologies/two-engines.toml")),
    ("nvme-disk", include_str!("../topologies/nvme-disk.toml")),
    ("nvme-nvme", include_str!("../topologies/nvme-nvme.toml")),
    ("igb", include_str!("../topologies/igb.toml")),
    ("igb-vfs", include_str!("../topologies/igb-vfs.toml")),
    ("twins", include_str!("../topologies/twins.toml")),
    ("slow-port", include_str!("../topologies/slow-port.toml")),
    ("e1000e", include_str!("../topologies/e1000e.toml")),
    ("e1000e-port", include_str!("../topologies/e1000e-port.toml")),
    ("large-bar", include_str!("../topologies/large-bar.toml")),
    ("mesh", include_str!("../topologies/mesh.toml")),
    ("crowd", include_str!("../topologies/crowd.toml")),
    ("odd-bars", include_str!("../topologies/odd-bars.toml")),
    ("exporter", include_str!("../topologies/exporter.toml")),
    ("importer", include_str!("../topologies/importer.toml")),
    ("conform", include_str!("../topologies/conform.toml")),
];

/// The version of the file format this crate reads.
pub const VERSION: u32 = 1;

/// The emulated machine's devices.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Version of the file format; [`VERSION`].
    pub version: u32,
    /// What reports call it.
    pub name: String,
    /// The machine's memory as QEMU writes it: `512M`, `1G`.
    #[serde(default = "default_memory")]
    pub memory: String,
    /// Words for the kernel's command line, behind the lab's own: what a machine has set aside at boot.
    #[serde(default)]
    pub kernel_arguments: String,
    /// Whether the kernel lets a device's own driver do peer-to-peer DMA through the host bridge
    /// (`pci_p2pdma_map_type`). It does on a list of bridges, of which the emulated one is none, and
    /// on AMD's CPUs from family 0x17 on, which the emulated CPU then says it is. iommufd asks nobody.
    #[serde(default)]
    pub peer_to_peer: bool,
    /// QEMU `-global` settings, as `driver.property=value`.
    #[serde(default)]
    pub globals: Vec<String>,
    /// The devices, in the order QEMU makes them: a port before what is behind it.
    #[serde(default, rename = "device")]
    pub devices: Vec<Device>,
}

/// One PCI device.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What scenarios and reports call it.
    pub name: String,
    /// QEMU's name for the device model.
    pub model: String,
    /// Device and function number, `03.0`, on its bus.
    pub slot: String,
    /// Name of the port or bridge it sits behind; absent: the root complex.
    pub bus: Option<String>,
    /// Who drives it inside: a driver's name (`vfio-pci`), or `none`; absent: whoever the
    /// kernel chose.
    pub bind: Option<String>,
    /// QEMU's properties of the model.
    #[serde(default)]
    pub properties: BTreeMap<String, Property>,
    /// The drive behind a storage device.
    pub backend: Option<BTreeMap<String, Property>>,
    /// The disk behind a storage device, instead of a drive that is told in QEMU's words.
    pub disk: Option<Disk>,
    /// What is at the other end of a network card's cable; absent: nothing.
    pub network: Option<Network>,
    /// The RAM behind a BAR, for a model with the property `memdev`.
    pub memory: Option<Ram>,
    /// Where what CPUs and peers write can be read back; absent: nowhere.
    pub target: Option<Target>,
    /// By which programming interface it can be told to write to a peer; absent: by none that
    /// is known here.
    pub engine: Option<Engine>,
    /// The virtual functions that its driver is to make (SR-IOV), in their order.
    #[serde(default)]
    pub virtual_functions: Vec<VirtualFunction>,
}

/// One virtual function. QEMU has no say in it: it comes and goes inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualFunction {
    /// What scenarios and reports call it.
    pub name: String,
    /// Who drives it inside, as [`Device::bind`]; absent: nobody.
    pub bind: Option<String>,
    /// As [`Device::target`].
    pub target: Option<Target>,
}

/// A disk that is made for each run, of a content that can be checked ([`crate::disk`]), and goes with it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// As [`Topology::memory`].
    pub size: String,
}

/// Where a network card's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// To QEMU's own host at 10.0.2.2, which answers by itself and lets nothing out of the machine.
    User,
}

/// Memory of the host that is a device's. It is sparse: what nobody touches, nobody needs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ram {
    /// As [`Topology::memory`]; a power of two, since it becomes a BAR.
    pub size: String,
}

/// A place in a BAR that is plain storage: reading gives what was written last, by whomever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// BAR index, 0 to 5.
    pub bar: u8,
    /// Bytes from the BAR's start; a multiple of 4.
    pub offset: u64,
    /// Bytes; a multiple of 4.
    pub size: u64,
    /// Whether a peer reaches it too; not where the BAR is smaller than a page, which the
    /// kernel does not export.
    #[serde(default = "yes")]
    pub peers: bool,
}

/// How a device is told to write somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Source, destination, count and command registers, as QEMU's `edu` has them.
    Edu,
    /// NVMe admin commands whose data pointer names the destination.
    Nvme,
}

/// The value of a QEMU property.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Property {
    /// Written as `on` or `off`.
    Switch(bool),
    /// Written in decimal.
    Number(i64),
    /// Written as it is.
    Text(String),
}

impl std::fmt::Display for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Switch(true) => f.write_str("on"),
            Self::Switch(false) => f.write_str("off"),
            Self::Number(n) => n.fmt(f),
            // QEMU splits its options at commas; a doubled one stands for itself.
            Self::Text(text) => f.write_str(&text.replace(',', ",,")),
        }
    }
}

/// Why there is no such topology.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// Neither a known name nor a file.
    #[error("{}", with_suggestion(format!("no topology `{name}`: known are {}; or name a .toml file", Topology::names().join(", ")), nearest(name, Topology::names())))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read the topology {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, a key is unknown or missing, or a value of the wrong type.
    #[error("{message}")]
    Syntax {
        /// The parser's words, with line and column, and the known key nearest to an unknown
        /// one.
        message: String,
    },
    /// It says something that cannot be.
    #[error("topology `{name}`: {problem}")]
    Invalid {
        /// The topology's name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl Topology {
    /// The names of the compiled-in topologies.
    pub fn names() -> Vec<&'static str> {
        BUILT_IN.iter().map(|(name, _)| *name).collect()
    }

    /// A compiled-in topology by its name, or the one in a file.
    ///
    /// # Errors
    /// There is neither, or the file is not a valid topology.
    pub fn named_or_file(name: &str) -> Result<Self, TopologyError> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::parse(text);
        }
        // A bare word that is no file was meant as a name; anything else as a path.
        let path = PathBuf::from(name);
        if !name.contains('/') && !name.ends_with(".toml") && !path.exists() {
            return Err(TopologyError::Unknown { name: name.to_owned() });
        }
        let text = fs::read_to_string(&path).map_err(|source| TopologyError::Unreadable { path, source })?;
        Self::parse(&text)
    }

    /// Reads a topology's text.
    ///
    /// # Errors
    /// It is not one, or says something that cannot be.
    pub fn parse(text: &str) -> Result<Self, TopologyError> {
        let topology: Self =
            toml::from_str(text).map_err(|error| TopologyError::Syntax { message: explain(&error) })?;
        match topology_rules::broken_by(&topology) {
            Some(problem) => Err(TopologyError::Invalid { name: topology.name, problem }),
            None => Ok(topology),
        }
    }
}

impl Topology {
    /// Where others may aim, by the names of devices and virtual functions, in their order.
    pub fn targets(&self) -> impl Iterator<Item = (&str, Target)> {
        let targets = self.devices.iter().flat_map(|device| {
            let functions = device.virtual_functions.iter();
            let functions = functions.map(|function| (function.name.as_str(), function.target));
            std::iter::once((device.name.as_str(), device.target)).chain(functions)
        });
        targets.filter_map(|(name, target)| Some((name, target?)))
    }

    /// Bytes of each disk, in the order of the devices that have one.
    pub(crate) fn disks(&self) -> impl Iterator<Item = u64> {
        let sizes = self.devices.iter().filter_map(|device| device.disk.as_ref());
        sizes.filter_map(|disk| topology_rules::bytes(&disk.size))
    }

    /// Whether a device of it is the test importer's, which is a module of the kernel.
    pub fn wants_importer(&self) -> bool {
        self.devices.iter().any(|device| device.bind.as_deref() == Some(topology_rules::IMPORTER))
    }

    /// The same without devices of the test importer's: for a kernel whose module there is none of.
    #[must_use]
    pub fn without_importer(mut self) -> Self {
        self.devices.retain(|device| device.bind.as_deref() != Some(topology_rules::IMPORTER));
        self
    }

    /// The devices that can be told to write to others, in their order.
    pub fn engines(&self) -> impl Iterator<Item = (&str, Engine)> {
        self.devices.iter().filter_map(|device| Some((device.name.as_str(), device.engine?)))
    }
}

fn default_memory() -> String {
    "1G".to_owned()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_in_topology_is_valid_and_named_after_itself() {
        for name in Topology::names() {
            assert_eq!(Topology::named_or_file(name).unwrap().name, name);
        }
    }

    #[test]
    fn every_compiled_in_topology_has_something_to_aim_at_and_by() {
        // `conform` aims where its random numbers say, `igb` is for Linux guests, and the engine of
        // `exporter` is no guest's.
        let others = ["conform", "igb", "exporter"];
        for name in Topology::names().into_iter().filter(|name| !others.contains(name)) {
            let topology = Topology::named_or_file(name).unwrap();
            let by = |target: &str| topology.engines().any(|(engine, _)| engine != target);
            let mut targets = topology.targets();
            assert!(targets.any(|(target, place)| place.peers && by(target)), "{name}");
        }
        let topology = Topology::named_or_file("igb-vfs").unwrap();
        let targets: Vec<_> = topology.targets().map(|(name, target)| (name, target.offset)).collect();
        assert_eq!(targets, [("vf0", 0x800), ("vf1", 0x800)]);
        assert_eq!(topology.engines().collect::<Vec<_>>(), [("edu", Engine::Edu)]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Topology::named_or_file("nvme-edo").unwrap_err().to_string();
        assert!(
            error.contains("known are nvme-edu, ") && error.contains("did you mean `nvme-edu`"),
            "{error}"
        );
        assert!(matches!(Topology::named_or_file("./none.toml"), Err(TopologyError::Unreadable { .. })));
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let text = "version = 1\nname = 'x'\n[[device]]\nname = 'a'\nmodle = 'edu'\nslot = '03.0'\n";
        let error = Topology::parse(text).unwrap_err().to_string();
        assert!(error.contains("did you mean `model`") && error.contains("line 5"), "{error}");
        let error = Topology::parse("version = 1\nnmae = 'x'\n").unwrap_err().to_string();
        assert!(error.contains("did you mean `name`"), "{error}");
    }

    #[test]
    fn values_are_written_as_qemu_reads_them() {
        let text = "version = 1\nname = 'x'\n[[device]]\nname = 'a'\nmodel = 'm'\nslot = '03.0'\n\
                    properties = { on = true, off = false, n = 16, t = 'a,b' }\n";
        let topology = Topology::parse(text).unwrap();
        let written: Vec<_> =
            topology.devices[0].properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(written, ["n=16", "off=off", "on=on", "t=a,,b"]);
    }
}
