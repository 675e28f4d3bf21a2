//! Makes the machine what its topology says: when it has booted, and again between two runs
//! in one boot, whatever the run before left of it.
//!
//! For the inside only. A run may have removed devices, given them to other drivers, taken
//! their reset methods out or their virtual functions away. What it left *in* a device the open of
//! the device file resets, as far as it can be reset; memory survives that, and is cleared where
//! the topology has a target.

mod clear;
mod function;

use crate::inside::{Device, Orders};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind};
use function::Function;
use rustix::io::Errno;
use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

const RESCAN: &str = "/sys/bus/pci/rescan";

/// How long a removal may go on once nobody should hold the device file any more. The kernel
/// looks for the end of one at once; resetting what is closed takes 100 ms and more.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// Why the machine is not what its topology says.
#[derive(Debug, thiserror::Error)]
pub enum WardError {
    /// The topology that PID 1 was given cannot be read; outside the machine there is none.
    #[error("cannot read what the lab was told to be")]
    Orders(#[source] io::Error),
    /// Somebody asked for a removal that does not come to its end.
    #[error(
        "{address} is still being removed: somebody holds its device file open, by a descriptor or by a \
         mapping of a BAR; end that process"
    )]
    BeingRemoved {
        /// Of the function.
        address: DeviceAddress,
    },
    /// The kernel does not look for devices.
    #[error("cannot have the kernel look for devices that are gone")]
    Rescan(#[source] io::Error),
    /// There is nothing where the topology has a device.
    #[error("device `{name}`: nothing answers at {slot}{}", behind(bus.as_deref()))]
    NoDevice {
        /// The topology's name for it.
        name: String,
        /// Where it was looked for.
        slot: String,
        /// Behind which port.
        bus: Option<String>,
    },
    /// A driver does not let go of it, or the one it is for does not take it.
    #[error("device `{name}` cannot be bound to {driver}: {why}")]
    Bind {
        /// The topology's name for it.
        name: String,
        /// Who was to have it.
        driver: String,
        /// What the kernel said.
        why: String,
    },
    /// The driver of a physical function does not make what the topology says.
    #[error("device `{name}` cannot make {count} virtual functions: {why}")]
    NoFunctions {
        /// The topology's name for it.
        name: String,
        /// How many.
        count: usize,
        /// What the kernel said.
        why: String,
    },
    /// What runs left in a BAR cannot be taken out.
    #[error("device `{name}`: cannot clear its target in BAR {bar}")]
    Clear {
        /// The topology's name for it.
        name: String,
        /// Which BAR.
        bar: u8,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel knows it, and reads all ones from it.
    #[error("device `{name}` at {address} does not answer any more")]
    Dead {
        /// The topology's name for it.
        name: String,
        /// Of the function.
        address: DeviceAddress,
    },
}

fn behind(bus: Option<&str>) -> String {
    bus.map(|bus| format!(" behind `{bus}`")).unwrap_or_default()
}

/// Makes the machine again what its topology says, and says what was done in `journal`: waits
/// for removals to end, has devices found that are gone, gives each the reset methods the
/// kernel finds for it, the driver and the virtual functions that the topology says, and writes
/// zeros to the topology's targets.
///
/// To be called when nobody holds a device file: taking a device from `vfio-pci` waits for its
/// last file without an end. Gives the topology's names and the addresses they have now, in its
/// order, as `BARKEEP_DEVICES` has them. Addresses behind a port may be others than before;
/// the numbers of the files below `/dev/vfio/devices` often are.
///
/// # Errors
/// This is not the inside of the lab, or the machine cannot be made what it was.
pub fn put_right(journal: &Journal) -> Result<Vec<(String, DeviceAddress)>, WardError> {
    let orders = Orders::read().map_err(WardError::Orders)?;
    let found = arrange(&orders.devices, journal)?;
    for (name, target) in orders.targets() {
        for (_, address) in found.iter().filter(|(known, _)| known == name) {
            let cleared = clear::clear(&Function::at(*address), target);
            cleared.map_err(|source| WardError::Clear { name: name.to_owned(), bar: target.bar, source })?;
        }
    }
    Ok(found)
}

/// [`put_right`] for `devices`.
pub(crate) fn arrange(
    devices: &[Device],
    journal: &Journal,
) -> Result<Vec<(String, DeviceAddress)>, WardError> {
    // Before anything else: a removal that waits holds the lock a rescan would wait for.
    wait_for_removals()?;
    if locate(devices).is_err() {
        rescan(journal)?;
    }
    let mut found = Vec::new();
    for (device, address) in devices.iter().zip(locate(devices)?) {
        found.push((device.name.clone(), address));
        hand_over(&device.name, address, device.bind.as_deref(), journal)?;
        // By the driver that has the physical function now.
        let functions = virtual_functions(device, address, journal)?;
        for (function, address) in device.virtual_functions.iter().zip(functions) {
            found.push((function.name.clone(), address));
            hand_over(&function.name, address, function.bind.as_deref(), journal)?;
        }
    }
    match found.iter().find(|(_, address)| !Function::at(*address).answers()) {
        Some((name, address)) => Err(WardError::Dead { name: name.clone(), address: *address }),
        None => Ok(found),
    }
}

fn wait_for_removals() -> Result<(), WardError> {
    let start = Instant::now();
    while let Some(address) = function::all().into_iter().find(|&f| Function::at(f).is_being_removed()) {
        if start.elapsed() > PATIENCE {
            return Err(WardError::BeingRemoved { address });
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

fn rescan(journal: &Journal) -> Result<(), WardError> {
    let step = journal.begin(Event::new(Kind::Action, Actor::Lab).text("look for devices that are gone"));
    let done = fs::write(RESCAN, "1");
    journal.end(step, result_of(&done));
    done.map_err(WardError::Rescan)
}

/// Where the devices are, one address for each.
fn locate(devices: &[Device]) -> Result<Vec<DeviceAddress>, WardError> {
    let mut found: Vec<DeviceAddress> = Vec::new();
    for device in devices {
        let port = device.bus.as_ref().map(|bus| {
            let place = devices.iter().position(|device| device.name == *bus);
            place.and_then(|place| found.get(place).copied())
        });
        let address = match port {
            None => function::on_the_root_complex(&device.slot),
            Some(port) => port.and_then(|port| function::behind(port, &device.slot)),
        };
        found.push(address.ok_or_else(|| WardError::NoDevice {
            name: device.name.clone(),
            slot: device.slot.clone(),
            bus: device.bus.clone(),
        })?);
    }
    Ok(found)
}

/// Has the kernel's own reset methods put back and gives the function to `driver`.
fn hand_over(
    name: &str,
    address: DeviceAddress,
    driver: Option<&str>,
    journal: &Journal,
) -> Result<(), WardError> {
    let function = Function::at(address);
    let failed = |error: io::Error| WardError::Bind {
        name: name.to_owned(),
        driver: driver.unwrap_or("its driver").to_owned(),
        why: error.to_string(),
    };
    function.restore_reset_methods().map_err(failed)?;
    let Some(driver) = driver.filter(|driver| !function.is_bound_to(driver)) else { return Ok(()) };
    let event = Event::new(Kind::Action, Actor::Lab).device(address);
    let step = journal.begin(event.text(format!("bind {name} to {driver}")));
    let bound = function.bind(driver);
    journal.end(step, result_of(&bound));
    bound.map_err(failed)
}

/// The virtual functions of a physical one, which its driver is told to make where some are
/// not there.
fn virtual_functions(
    device: &Device,
    address: DeviceAddress,
    journal: &Journal,
) -> Result<Vec<DeviceAddress>, WardError> {
    let count = device.virtual_functions.len();
    let function = Function::at(address);
    if let Ok(functions) = function.virtual_functions(count) {
        return Ok(functions);
    }
    let event = Event::new(Kind::Action, Actor::Lab).device(address).value(count as u64);
    let step = journal.begin(event.text(format!("make the virtual functions of {}", device.name)));
    let made = function.make_virtual_functions(count);
    journal.end(step, result_of(&made));
    made.map_err(|error| WardError::NoFunctions { name: device.name.clone(), count, why: error.to_string() })
}

fn result_of<T>(done: &io::Result<T>) -> i32 {
    let errno = |error: &io::Error| -error.raw_os_error().unwrap_or(Errno::NODEV.raw_os_error());
    done.as_ref().err().map_or(0, errno)
}
