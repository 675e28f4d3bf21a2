//! The devices: two that vfio-pci exports, one that imports. Found by what they are, not by name.

use crate::party::Start;
use crate::row::{StepExt, Trouble};
use barkeep_journal::DeviceAddress;
use barkeep_model::Errno;
use barkeep_pci::layout::{Layout, LayoutError};
use barkeep_real::Place;
use barkeep_real::importer::{self, Limits, Session};
use barkeep_real::parts::{BarMapping, Context, Device};
use std::fs::File;
use std::path::Path;

/// Bytes of config space that are looked at.
const CONFIG: u16 = 256;
const BARS: usize = 6;
/// What a BAR has at least, whose parts are exported here.
const ROOM: u64 = 4 << 20;

const COMMAND: u16 = 4;
const MEMORY: u32 = 2;
/// Device Control in the PCI Express capability, and FLR in it (PCI Express, 7.5.3.4).
const DEVICE_CONTROL: u16 = 8;
const INITIATE_FLR: u32 = 1 << 15;
/// AF Control in the Advanced Features capability, and FLR in it.
const AF_CONTROL: u16 = 4;
const AF_INITIATE_FLR: u32 = 1;
/// PMCSR in the power management capability.
const PMCSR: u16 = 4;
const D0: u32 = 0;
const D3HOT: u32 = 3;

/// All that rows are carried out on.
pub struct Stage {
    /// It has FLR.
    pub function: Exporter,
    /// The bus that it is behind can be reset.
    pub behind_port: Exporter,
    /// What imports: a DMA engine, bound to [`importer::DRIVER`].
    pub importer: DeviceAddress,
    /// Starts a process that imports by it.
    pub start: Start,
}

/// A device of vfio-pci's, and its BAR that is memory.
pub struct Exporter {
    address: DeviceAddress,
    layout: Layout,
    /// The BAR.
    pub bar: u8,
    /// Its bytes.
    pub size: u64,
    /// Where the kernel has put it.
    pub physical: u64,
}

/// Why rows cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum NoStage {
    /// One of the three is not there.
    #[error("there is no {0}; the topology `exporter` has one")]
    Missing(&'static str),
    /// It is there, and cannot be looked at.
    #[error("cannot look at {address} ({what}: {errno})")]
    Look {
        /// The device.
        address: DeviceAddress,
        /// What was asked.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// Its config space is none a function can have.
    #[error("cannot make sense of the config space of {0}")]
    Layout(DeviceAddress, #[source] LayoutError),
}

impl Stage {
    /// The first of each that will do.
    ///
    /// # Errors
    /// One is missing, or cannot be looked at.
    pub fn find(places: &[Place], start: Start) -> Result<Self, NoStage> {
        let bound = |driver: &'static str| {
            let addresses = places.iter().map(|place| place.address);
            addresses.filter(move |address| driver_of(*address).as_deref() == Some(driver))
        };
        let importer =
            bound(importer::DRIVER).next().ok_or(NoStage::Missing("device of barkeep-importer's"))?;
        let (mut function, mut behind_port) = (None, None);
        for address in bound("vfio-pci") {
            let Some(exporter) = Exporter::look_at(address)? else { continue };
            if exporter.layout.pcie.is_some_and(|pcie| pcie.flr) {
                function = function.or(Some(exporter));
            } else if address.bus != 0 {
                behind_port = behind_port.or(Some(exporter));
            }
        }
        Ok(Self {
            function: function.ok_or(NoStage::Missing("device of vfio-pci's with FLR and a BAR of 4 MiB"))?,
            behind_port: behind_port.ok_or(NoStage::Missing("device of vfio-pci's behind a port"))?,
            importer,
            start,
        })
    }

    /// The importing device, of these limits.
    pub(crate) fn import(&self, limits: Limits) -> Result<Session, Trouble> {
        Session::open(self.importer, limits).step("take the importing device")
    }
}

fn driver_of(address: DeviceAddress) -> Option<String> {
    let link = std::fs::read_link(Path::new("/sys/bus/pci/devices").join(address.to_string()).join("driver"));
    Some(link.ok()?.file_name()?.to_string_lossy().into_owned())
}

/// Where the kernel has put a BAR (the first column of `resource` in sysfs).
fn physical(address: DeviceAddress, bar: u8) -> Option<u64> {
    let table = std::fs::read_to_string(format!("/sys/bus/pci/devices/{address}/resource")).ok()?;
    u64::from_str_radix(table.lines().nth(bar.into())?.get(2..18)?, 16).ok()
}

impl Exporter {
    /// Where it is.
    pub(crate) fn address(&self) -> DeviceAddress {
        self.address
    }

    /// `None` if it has no BAR to speak of.
    fn look_at(address: DeviceAddress) -> Result<Option<Self>, NoStage> {
        let look = |what| move |errno| NoStage::Look { address, what, errno };
        let context = Context::new().map_err(look("/dev/iommu"))?;
        let device = Device::open(address, &context).map_err(look("open"))?;
        let mut config = Vec::new();
        for offset in (0..CONFIG).step_by(4) {
            let word = device.config_read(offset, 4).map_err(look("config space"))?;
            config.extend(word.to_le_bytes());
        }
        let mut sizes = [0; BARS];
        for (bar, size) in sizes.iter_mut().enumerate() {
            *size = device.bar_size(bar as u8).map_err(look("a BAR"))?;
        }
        let layout = Layout::parse(&config, &sizes).map_err(|error| NoStage::Layout(address, error))?;
        let largest = (0..BARS as u8).max_by_key(|bar| sizes[usize::from(*bar)]).unwrap_or_default();
        let (bar, size) = (largest, sizes[usize::from(largest)]);
        let physical = physical(address, bar).filter(|_| size >= ROOM);
        Ok(physical.map(|physical| Self { address, layout, bar, size, physical }))
    }

    /// Opens it, which has it reset.
    pub(crate) fn open(&self) -> Result<Opened<'_>, Trouble> {
        let context = Context::new().step("open /dev/iommu")?;
        let device = Device::open(self.address, &context).step("open the exporter")?;
        Ok(Opened { of: self, _context: context, device })
    }
}

/// A device of vfio-pci's, open. Dropping it gives up the last reference to its file.
pub(crate) struct Opened<'a> {
    pub(crate) of: &'a Exporter,
    pub(crate) device: Device,
    _context: Context,
}

/// What takes access away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Flr,
    AfFlr,
    D3hot,
    DecodeOff,
    DeviceReset,
    HotReset,
    LowPower,
}

impl Event {
    /// Those of a function that no device has to be behind a port for.
    pub(crate) const ANYWHERE: [Self; 5] =
        [Self::Flr, Self::D3hot, Self::DecodeOff, Self::DeviceReset, Self::LowPower];

    pub(crate) const ALL: [Self; 7] = [
        Self::Flr,
        Self::AfFlr,
        Self::D3hot,
        Self::DecodeOff,
        Self::DeviceReset,
        Self::HotReset,
        Self::LowPower,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flr => "FLR",
            Self::AfFlr => "AF FLR",
            Self::D3hot => "D3hot",
            Self::DecodeOff => "decode off",
            Self::DeviceReset => "device reset",
            Self::HotReset => "hot reset",
            Self::LowPower => "low power",
        }
    }

    /// Whether access is back when the event is over, without anybody's doing.
    pub(crate) fn ends_by_itself(self) -> bool {
        match self {
            Self::Flr | Self::AfFlr | Self::DeviceReset | Self::HotReset => true,
            Self::D3hot | Self::DecodeOff | Self::LowPower => false,
        }
    }

    /// Which of the two devices it can be done to.
    pub(crate) fn device(self, stage: &Stage) -> &Exporter {
        if self == Self::HotReset { &stage.behind_port } else { &stage.function }
    }
}

impl Opened<'_> {
    /// A dma-buf of ranges of the BAR, offset and length each.
    pub(crate) fn export(&self, ranges: &[(u64, u64)]) -> Result<File, Trouble> {
        self.device.export_ranges(self.of.bar.into(), ranges).step("export")
    }

    /// Has an event happen; `None` if the device has no such thing.
    pub(crate) fn revoke(&self, event: Event) -> Option<Result<(), Errno>> {
        let Layout { pcie, af, pm, .. } = &self.of.layout;
        Some(match event {
            Event::Flr => {
                let at = pcie.as_ref().filter(|pcie| pcie.flr)?.offset + DEVICE_CONTROL;
                self.device.config_write(at, 2, INITIATE_FLR)
            }
            Event::AfFlr => {
                let at = af.as_ref().filter(|af| af.flr)?.offset + AF_CONTROL;
                self.device.config_write(at, 1, AF_INITIATE_FLR)
            }
            Event::D3hot => self.device.config_write(pm.as_ref()?.offset + PMCSR, 2, D3HOT),
            Event::DecodeOff => self.decode(false),
            Event::DeviceReset => self.device.reset(),
            Event::HotReset => self.device.hot_reset(),
            Event::LowPower => self.device.low_power(true),
        })
    }

    /// Has access come back after an event that does not end by itself.
    pub(crate) fn restore(&self, event: Event) -> Result<(), Errno> {
        match event {
            Event::Flr | Event::AfFlr | Event::DeviceReset | Event::HotReset => Ok(()),
            Event::D3hot => match &self.of.layout.pm {
                Some(pm) => self.device.config_write(pm.offset + PMCSR, 2, D0),
                None => Ok(()),
            },
            Event::DecodeOff => self.decode(true),
            Event::LowPower => self.device.low_power(false),
        }
    }

    pub(crate) fn decode(&self, on: bool) -> Result<(), Errno> {
        self.device.config_write(COMMAND, 2, if on { MEMORY } else { 0 })
    }

    /// 4 bytes of the BAR, read through the device file.
    pub(crate) fn word(&self, offset: u64) -> Result<u32, Errno> {
        self.device.region_read(self.of.bar, offset)
    }

    /// A mapping of the start of the BAR, by the device file.
    pub(crate) fn region(&self, length: u64) -> Result<BarMapping, Errno> {
        self.device.map_bar(self.of.bar, length)
    }
}
