//! What the devices are: asked for where the kernel tells it, tried out where it does not.
//!
//! Nothing is taken from a name. Asked for: config space, regions, reset methods, whether a
//! function is virtual, who is reset together. Tried: a reset (methods may be there and all
//! fail), D3hot (a quirk may forbid it, and waking up may cost the state or not), a hot reset of each set that is ours. By what the
//! device says it is: which BAR is memory, and whether it is a DMA engine.

use crate::device_file::{self, DeviceFile, in_region};
use crate::places::Place;
use crate::spaces::Probe;
use crate::sys::vfio::{self, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_REGION_INFO_FLAG_MMAP};
use crate::sysfs::Folder;
use barkeep_model::Errno;
use barkeep_model::hardware::{BusReset, Device, Hardware};
use barkeep_pci::header;
use barkeep_pci::layout::Layout;

/// Bytes of config space that [`Device::config`] has.
const CONFIG: u16 = 256;
const BARS: usize = 6;
/// Offsets that are looked at in a BAR that is memory: its start, another page, and one that is
/// not in the same 2 MiB.
const WATCHED: [u64; 3] = [0, 0x1000, 0x20_0000];

/// Vendor and device.
const EDU: (u16, u16) = (0x1234, 0x11e8);
const IVSHMEM: (u16, u16) = (0x1af4, 0x1110);
/// ivshmem's shared memory.
const IVSHMEM_MEMORY: u8 = 2;
/// Mass storage, non-volatile memory, NVM Express.
const NVME_CLASS: u32 = 0x01_0802;
/// Controller memory buffer: where it is, and how much (NVM Express, 3.1.4).
const CMBLOC: u64 = 0x38;
const CMBSZ: u64 = 0x3c;
const CMBLOC_BAR: u32 = 0b111;

/// PMCSR in the power management capability.
const PMCSR: u16 = 4;
const D3HOT: u32 = 3;

/// What could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// It is not open to us.
    #[error("cannot open the VFIO device of `{0}` ({1}); is it in use, and may you read and write it?")]
    Open(String, Errno),
    /// One of the facts.
    #[error("cannot ask `{name}` for its {what} ({errno})")]
    Ask {
        /// The device.
        name: String,
        /// What was asked for.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// Its config space is none a function can have.
    #[error("cannot make sense of the config space of `{0}`")]
    Layout(String, #[source] barkeep_pci::layout::LayoutError),
    /// A reset method the model does not know.
    #[error("`{0}` has the reset method `{1}`, which is not known here")]
    Method(String, String),
    /// Regions are elsewhere in the device file than every vfio-pci so far has them.
    #[error("the kernel puts region {1} of `{0}` where no vfio-pci did before; Barkeep must be taught")]
    Region(String, u32),
}

/// The devices, which vfio-pci has and nobody has open.
pub(crate) fn hardware(places: &[Place], probe: &Probe) -> Result<Hardware, DiscoverError> {
    let looked: Vec<_> = places.iter().map(|place| look_at(place, probe)).collect::<Result<_, _>>()?;
    let looked = looked.into_iter().map(|Looked { device, reset_with }| (device, reset_with));
    let (mut devices, together): (Vec<_>, Vec<_>) = looked.unzip();
    for number in 0..devices.len() {
        let Some(together) = &together[number] else {
            devices[number].set = number as u8;
            devices[number].bus_reset = BusReset::RootBus;
            continue;
        };
        let ours: Vec<_> = together.iter().map(|place| index_of(places, number, *place)).collect();
        // The lowest number of the set is its name.
        devices[number].set = ours.iter().flatten().min().copied().unwrap_or(number) as u8;
        let all_ours = ours.into_iter().collect::<Option<Vec<_>>>();
        devices[number].bus_reset = match all_ours.filter(|_| !devices[number].virtual_function) {
            None => BusReset::NotAllOurs,
            Some(set) => try_hot_reset(places, &set, probe)?,
        };
    }
    Ok(Hardware { devices })
}

/// Bus and devfn, which of the same domain.
fn index_of(places: &[Place], near: usize, (bus, devfn): (u8, u8)) -> Option<usize> {
    let domain = places[near].address.domain;
    places.iter().map(|place| place.address).position(|a| (a.domain, a.bus, a.devfn) == (domain, bus, devfn))
}

/// A device by itself.
struct Looked {
    device: Device,
    /// Bus and devfn of all that are reset with it; none for the root bus, which nobody resets.
    reset_with: Option<Vec<(u8, u8)>>,
}

fn look_at(place: &Place, probe: &Probe) -> Result<Looked, DiscoverError> {
    let name = &place.name;
    let folder = Folder::of(place.address);
    let ask = |what| move |errno| DiscoverError::Ask { name: name.clone(), what, errno };
    let file = open(place, probe)?;
    // First of all: "just after the open".
    let image = config_image(&file).map_err(ask("config space"))?;
    let (bar_sizes, mappable) = regions(&file, name)?;
    let reset_methods = folder.reset_methods().map_err(|word| DiscoverError::Method(name.clone(), word))?;
    let reset_with = match vfio::hot_reset_info(&file.file) {
        Ok(places) => Some(places),
        Err(Errno::ENODEV) => None,
        Err(errno) => return Err(ask("hot reset set")(errno)),
    };
    let mut device = Device {
        name: name.clone(),
        config: Device::digits(&image),
        bar_sizes,
        bar_addresses: folder.bar_addresses().ok_or(Errno::EPROTO).map_err(ask("BAR addresses"))?,
        mappable,
        virtual_function: folder.is_virtual(),
        reset_fails: !reset_methods.is_empty() && vfio::reset(&file.file).is_err(),
        reset_methods,
        set: 0,
        bus_reset: BusReset::RootBus,
        memory_bar: None,
        watched: Vec::new(),
        engine: false,
        no_d3: false,
        wakes_whole: false,
        extra_reset_ns: 0,
    };
    let layout = device.layout().map_err(|error| DiscoverError::Layout(name.clone(), error))?;
    device.engine = (layout.vendor, layout.device) == EDU;
    device.memory_bar = memory_bar(&layout, &file).map_err(ask("controller memory"))?;
    if let Some(bar) = device.memory_bar {
        let size = device.bar_sizes[usize::from(bar)];
        device.watched = WATCHED.into_iter().filter(|offset| *offset < size).collect();
    }
    if let Some(pm) = layout.pm {
        let pmcsr = pm.offset + PMCSR;
        device.no_d3 = !takes_d3hot(&file, pmcsr).map_err(ask("power state"))?;
        let resets = !device.reset_methods.is_empty() && !device.reset_fails;
        // A virtual function's COMMAND has no decode to lose.
        if resets && !device.no_d3 && !pm.no_soft_reset && !device.virtual_function {
            device.wakes_whole = wakes_whole(&folder, &file, pmcsr).map_err(ask("waking up"))?;
        }
    }
    Ok(Looked { device, reset_with })
}

fn open(place: &Place, probe: &Probe) -> Result<DeviceFile, DiscoverError> {
    let opened = device_file::open(&Folder::of(place.address), probe.context());
    let file = opened.map_err(|errno| DiscoverError::Open(place.name.clone(), errno))?;
    Ok(DeviceFile { device: 0, context: 0, file })
}

fn config_image(file: &DeviceFile) -> Result<Vec<u8>, Errno> {
    let words = (0..CONFIG).step_by(4).map(|offset| file.config_read(offset, 4));
    let words: Vec<_> = words.collect::<Result<_, _>>()?;
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// Sizes, and which can be mapped.
fn regions(file: &DeviceFile, name: &str) -> Result<([u64; BARS], [bool; BARS]), DiscoverError> {
    let ask = |index| {
        let info = vfio::region_info(&file.file, index).map_err(|errno| DiscoverError::Ask {
            name: name.to_owned(),
            what: "regions",
            errno,
        })?;
        if info.offset != in_region(index, 0) {
            return Err(DiscoverError::Region(name.to_owned(), index));
        }
        Ok(info)
    };
    ask(VFIO_PCI_CONFIG_REGION_INDEX)?;
    let (mut sizes, mut mappable) = ([0; BARS], [false; BARS]);
    for (bar, (size, mappable)) in sizes.iter_mut().zip(&mut mappable).enumerate() {
        let info = ask(bar as u32)?;
        *size = info.size;
        *mappable = info.flags & VFIO_REGION_INFO_FLAG_MMAP != 0;
    }
    Ok((sizes, mappable))
}

/// The BAR that is memory, if one is.
fn memory_bar(layout: &Layout, file: &DeviceFile) -> Result<Option<u8>, Errno> {
    if (layout.vendor, layout.device) == IVSHMEM {
        return Ok(Some(IVSHMEM_MEMORY));
    }
    if layout.class != NVME_CLASS {
        return Ok(None);
    }
    let [location, size] = [file.region_read(0, CMBLOC)?, file.region_read(0, CMBSZ)?];
    Ok((size != 0).then_some((location & CMBLOC_BAR) as u8))
}

fn takes_d3hot(file: &DeviceFile, pmcsr: u16) -> Result<bool, Errno> {
    let before = file.config_read(pmcsr, 2)?;
    file.config_write(pmcsr, 2, before | D3HOT)?;
    let during = file.config_read(pmcsr, 2)?;
    file.config_write(pmcsr, 2, before)?;
    Ok(during & D3HOT == D3HOT)
}

/// Whether it has its COMMAND when it comes out of D3hot by itself: vfio-pci would give it back, but not where a
/// reset in sysfs wakes the function up (`pci_dev_save_and_disable`), which leaves COMMAND as that found it.
fn wakes_whole(folder: &Folder, file: &DeviceFile, pmcsr: u16) -> Result<bool, Errno> {
    let (command, state) = (file.config_read(header::COMMAND, 2)?, file.config_read(pmcsr, 2)?);
    file.config_write(header::COMMAND, 2, command | u32::from(header::COMMAND_MEMORY))?;
    file.config_write(pmcsr, 2, state | D3HOT)?;
    folder.write("reset", "1")?;
    let after = file.config_read(header::COMMAND, 2)?;
    file.config_write(header::COMMAND, 2, command)?;
    Ok(after & u32::from(header::COMMAND_MEMORY) != 0)
}

/// A hot reset with every device of the set open in one context.
fn try_hot_reset(places: &[Place], set: &[usize], probe: &Probe) -> Result<BusReset, DiscoverError> {
    let open: Vec<_> = set.iter().map(|number| open(&places[*number], probe)).collect::<Result<_, _>>()?;
    match open.first().map(|file| vfio::hot_reset(&file.file)) {
        None | Some(Ok(())) => Ok(BusReset::Works),
        Some(Err(Errno::ENOTTY)) => Ok(BusReset::Fails),
        Some(Err(errno)) => {
            let name = places[set[0]].name.clone();
            Err(DiscoverError::Ask { name, what: "hot reset", errno })
        }
    }
}
