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
        if let Some(driver) = &device.bind {
            let event = Event::new(Kind::Action, Actor::Lab).device(address);
            let step = journal.begin(event.text(format!("bind {} to {driver}", device.name)));
            let bound = bind(&sysfs(address), address, driver);
            let result = bound.as_ref().map_or_else(|error| -errno_of(error), |()| 0);
            journal.end(step, result);
            bound.map_err(|error| InnerError::Bind {
                name: device.name.clone(),
                driver: driver.clone(),
                why: error.to_string(),
            })?;
        }
    }
    Ok(found)
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
    if bound.exists() {
        fs::write(bound.join("unbind"), address.to_string())?;
    }
    if driver == NO_DRIVER {
        return Ok(());
    }
    fs::write(device.join("driver_override"), driver)?;
    fs::write("/sys/bus/pci/drivers_probe", address.to_string())?;
    let now = fs::read_link(&bound).ok().and_then(|link| link.file_name().map(ToOwned::to_owned));
    if now.as_deref() != Some(driver.as_ref()) {
        return Err(io::Error::other("the kernel has no such driver, or it refused the device"));
    }
    if driver == VFIO && !device.join("vfio-dev").exists() {
        return Err(io::Error::other("it has no character device: the kernel lacks CONFIG_VFIO_DEVICE_CDEV"));
    }
    Ok(())
}
