//! What a device can, as far as it decides what may happen to it: of the emulated ones by the model, the
//! bus and the properties a topology gives them; of the simulated ones by their options.

use barkeep_lab::topology::{self, Engine, Property};
use barkeep_scenario::language::Place;
use barkeep_sim::Kind;
use barkeep_sim::options::{MemoryOptions, Pm};
use std::collections::BTreeMap;

/// The NVMe register CC (NVM Express, "Controller Configuration").
const NVME_CC: u64 = 0x14;

/// A place in a BAR that CPUs and peers write and read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub place: Place,
    /// Bytes that are written at once, 4096 at the most.
    pub size: u64,
    /// Whether peers reach it: a BAR below a page is exported to nobody.
    pub peers: bool,
}

/// Bare FLR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flr {
    /// DEVCAP has it.
    Capable,
    /// There is the register, and the bit does nothing.
    Ignored,
    /// No PCIe capability.
    NoRegister,
}

/// How a device is reset by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Somehow.
    Works,
    /// It says that it can, and it fails with ENOTTY.
    Fails,
    /// Not at all.
    Never,
}

/// Where a device sits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bus {
    /// On the root complex.
    Root,
    /// Behind a port or bridge whose secondary bus can be reset.
    Behind(String),
    /// Behind a port whose link does not come back from that.
    BehindSlow(String),
    /// A simulated bus, which is not reset.
    Simulated,
}

/// A device of the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What scenarios call it.
    pub name: String,
    /// Where it takes data.
    pub target: Option<Target>,
    /// As a DMA engine.
    pub engine: Option<Engine>,
    /// Bare FLR.
    pub flr: Flr,
    /// Whether it has the Advanced Features capability, with FLR.
    pub af: bool,
    /// Whether it has the power management capability.
    pub power: bool,
    /// `VFIO_DEVICE_RESET`.
    pub reset: Reset,
    /// Where it sits.
    pub bus: Bus,
    /// The physical function it is a virtual one of.
    pub function_of: Option<String>,
    /// Whether it has no decode bit of its own.
    pub always_decodes: bool,
    /// A register of 4 bytes that a guest may write while nothing goes on, and that every reset
    /// clears.
    pub cleared: Option<Place>,
}

impl Device {
    /// Those of a topology that are bound to vfio-pci, in its order.
    pub fn of_topology(topology: &topology::Topology) -> Vec<Self> {
        let mut found = Vec::new();
        for device in &topology.devices {
            if exported(device.bind.as_deref()) {
                found.push(Self::emulated(device, topology));
            }
            for function in &device.virtual_functions {
                if exported(function.bind.as_deref()) {
                    found.push(Self::virtual_function(function, device, topology));
                }
            }
        }
        found
    }

    fn emulated(device: &topology::Device, topology: &topology::Topology) -> Self {
        let bus = bus(device.bus.as_deref(), topology);
        let alone = topology.devices.iter().filter(|other| other.bus == device.bus).count() == 1;
        let by_bus = if alone && matches!(bus, Bus::Behind(_)) { Reset::Works } else { Reset::Never };
        // What QEMU's models have; whoever adds one sees a run fail that expects too much.
        let (flr, power, reset) = match device.model.as_str() {
            "nvme" => (Flr::Capable, true, Reset::Works),
            // By D3hot and back.
            "e1000e" => (Flr::Ignored, true, Reset::Works),
            _ => (Flr::NoRegister, false, by_bus),
        };
        Self {
            name: device.name.clone(),
            target: device.target.map(|target| place(&device.name, target)),
            engine: device.engine,
            flr,
            af: false,
            power,
            reset,
            bus,
            function_of: None,
            always_decodes: false,
            cleared: (device.model == "nvme")
                .then(|| Place { offset: NVME_CC, ..Place::bar(&device.name, 0) }),
        }
    }

    fn virtual_function(
        function: &topology::VirtualFunction,
        physical: &topology::Device,
        topology: &topology::Topology,
    ) -> Self {
        Self {
            name: function.name.clone(),
            target: function.target.map(|target| place(&function.name, target)),
            engine: None,
            flr: Flr::Capable,
            af: false,
            power: false,
            reset: Reset::Works,
            bus: bus(physical.bus.as_deref(), topology),
            function_of: Some(physical.name.clone()),
            always_decodes: true,
            // What the physical function's reset clears, its own may not.
            cleared: None,
        }
    }

    /// A simulated one.
    pub fn simulated(name: &str, kind: &Kind) -> Self {
        let engine = Self {
            name: name.to_owned(),
            target: None,
            engine: Some(Engine::Edu),
            flr: Flr::NoRegister,
            af: false,
            power: false,
            reset: Reset::Never,
            bus: Bus::Simulated,
            function_of: None,
            always_decodes: false,
            cleared: None,
        };
        match kind {
            Kind::Dma(_) => engine,
            Kind::Memory(MemoryOptions { bar, flr, af, pm, vf, reset_fails, size, .. }) => {
                let can = *flr || *af || *pm == Pm::SoftReset;
                Self {
                    target: Some(Target {
                        place: Place::bar(name, *bar),
                        size: 4096.min(*size),
                        peers: *size >= 4096,
                    }),
                    engine: None,
                    flr: if *flr { Flr::Capable } else { Flr::NoRegister },
                    af: *af,
                    power: *pm != Pm::Off,
                    reset: match (can, reset_fails) {
                        (false, _) => Reset::Never,
                        (true, true) => Reset::Fails,
                        (true, false) => Reset::Works,
                    },
                    always_decodes: *vf,
                    ..engine
                }
            }
        }
    }
}

fn exported(bind: Option<&str>) -> bool {
    bind == Some("vfio-pci")
}

fn place(device: &str, target: topology::Target) -> Target {
    let topology::Target { bar, offset, size, peers } = target;
    let place = Place { offset, ..Place::bar(device, bar) };
    Target { place, size: size.min(4096), peers }
}

fn bus(name: Option<&str>, topology: &topology::Topology) -> Bus {
    let Some(name) = name else { return Bus::Root };
    let port = topology.devices.iter().find(|device| device.name == name);
    let speed = |properties: &BTreeMap<String, Property>| properties.contains_key("x-speed");
    match port {
        // At its default speed the kernel waits in vain for QEMU to report the link active.
        Some(port) if port.model == "pcie-root-port" && !speed(&port.properties) => {
            Bus::BehindSlow(name.to_owned())
        }
        _ => Bus::Behind(name.to_owned()),
    }
}
