//! Finds the topology's devices and gives each to its driver.

use super::InnerError;
use crate::inside::Device;
use crate::topology_rules::parse_slot;
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The driver that exports.
pub(super) const VFIO: &str = "vfio-pci";
const NO_DRIVER: &str = "none";
const DEVICES: &str = "/sys/bus/pci/devices";

/// The topology's names and the addresses the kernel gave them, in the topology's order.
pub(super) fn bind_all(
    devices: &[Device],
    journal: &Journal,
) -> Result<Vec<(String, DeviceAddress)>, InnerError> {
    let mut found: Vec<(String, DeviceAddress)> = Vec::new();
    for device in devices {
        let address = find(device, &found).ok_or_else(|| InnerError::NoDevice {
            name: device.name.clone(),
            slot: device.slot.clone(),
            bus: device.bus.clone(),
        })?;
        found.push((device.name.clone(), address));
        bind_to(&device.name, address, device.bind.as_deref(), journal)?;
        // By the driver that has the physical function now.
        let functions = make_functions(device, address, journal)?;
        for (function, address) in device.virtual_functions.iter().zip(functions) {
            found.push((function.name.clone(), address));
            bind_to(&function.name, address, function.bind.as_deref(), journal)?;
        }
    }
    Ok(found)
}

fn bind_to(
    name: &str,
    address: DeviceAddress,
    driver: Option<&str>,
    journal: &Journal,
) -> Result<(), InnerError> {
    let Some(driver) = driver else { return Ok(()) };
    let event = Event::new(Kind::Action, Actor::Lab).device(address);
    let step = journal.begin(event.text(format!("bind {name} to {driver}")));
    let bound = bind(&sysfs(address), address, driver);
    let result = bound.as_ref().map_or_else(|error| -errno_of(error), |()| 0);
    journal.end(step, result);
    bound.map_err(|error| InnerError::Bind {
        name: name.to_owned(),
        driver: driver.to_owned(),
        why: error.to_string(),
    })
}

/// Has the driver of a physical function make its virtual ones; gives their addresses.
fn make_functions(
    device: &Device,
    address: DeviceAddress,
    journal: &Journal,
) -> Result<Vec<DeviceAddress>, InnerError> {
    let count = device.virtual_functions.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let event = Event::new(Kind::Action, Actor::Lab).device(address).value(count as u64);
    let step = journal.begin(event.text(format!("make the virtual functions of {}", device.name)));
    let made = make(&sysfs(address), count);
    journal.end(step, made.as_ref().map_or_else(|error| -errno_of(error), |_| 0));
    made.map_err(|error| InnerError::NoFunctions { name: device.name.clone(), count, why: error.to_string() })
}

fn make(function: &Path, count: usize) -> io::Result<Vec<DeviceAddress>> {
    if !function.join("sriov_totalvfs").exists() {
        return Err(io::Error::other("it has no SR-IOV capability"));
    }
    // Nobody takes one before it is given to its driver.
    fs::write(function.join("sriov_drivers_autoprobe"), "0")?;
    fs::write(function.join("sriov_numvfs"), count.to_string())?;
    let address = |number: usize| {
        let link = fs::read_link(function.join(format!("virtfn{number}")))?;
        let name = link.file_name().map(|name| name.to_string_lossy().into_owned());
        name.and_then(|name| name.parse().ok())
            .ok_or_else(|| io::Error::other("it has an address of no form"))
    };
    (0..count).map(address).collect()
}

/// On the root complex the slot is the address; behind a port the kernel numbered the bus.
fn find(device: &Device, found: &[(String, DeviceAddress)]) -> Option<DeviceAddress> {
    let (number, function) = parse_slot(&device.slot)?;
    let devfn = number << 3 | function;
    let Some(bus) = &device.bus else {
        let address = DeviceAddress { domain: 0, bus: 0, devfn };
        return sysfs(address).exists().then_some(address);
    };
    let (_, port) = found.iter().find(|(name, _)| name == bus)?;
    let below = fs::read_dir(sysfs(*port)).ok()?;
    let names = below.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).find(|address: &DeviceAddress| address.devfn == devfn)
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(Errno::NODEV.raw_os_error())
}

fn sysfs(address: DeviceAddress) -> PathBuf {
    Path::new(DEVICES).join(address.to_string())
}

fn bind(device: &Path, address: DeviceAddress, driver: &str) -> io::Result<()> {
    let bound = device.join("driver");
    let has = || fs::read_link(&bound).ok().and_then(|link| link.file_name().map(ToOwned::to_owned));
    if has().as_deref() == Some(driver.as_ref()) {
        return Ok(());
    }
    if bound.exists() {
        fs::write(bound.join("unbind"), address.to_string())?;
    }
    if driver == NO_DRIVER {
        return Ok(());
    }
    fs::write(device.join("driver_override"), driver)?;
    fs::write("/sys/bus/pci/drivers_probe", address.to_string())?;
    if has().as_deref() != Some(driver.as_ref()) {
        return Err(io::Error::other("the kernel has no such driver, or it refused the device"));
    }
    if driver == VFIO && !device.join("vfio-dev").exists() {
        return Err(io::Error::other("it has no character device: the kernel lacks CONFIG_VFIO_DEVICE_CDEV"));
    }
    Ok(())
}
