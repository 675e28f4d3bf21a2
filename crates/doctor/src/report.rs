//! All of it together: examined, and written as text. `--json` is the same, serialized.

mod device;
mod print;

use crate::function::Function;
use crate::machine::{self, Wanted};
use crate::peers::{self, Peer, Station};
use crate::roots::Roots;
use crate::row::{Row, State};
use barkeep_journal::DeviceAddress;
use barkeep_pci::windows::Window;
use serde::Serialize;

pub use device::{Bar, Device, Span};

/// Of the JSON form.
pub const VERSION: u32 = 1;

/// What opening a device showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It was opened, and each of its windows was exported as a dma-buf.
    Exports {
        /// Whether a CPU can map such a dma-buf itself, which guest memory slots then stand on.
        mappable: bool,
    },
    /// It was opened, and the kernel exports nothing of it, or not this window: the message.
    Refused(String),
    /// It cannot be opened: the message.
    Closed(String),
    /// Nobody tried.
    NotAsked,
}

/// Who opens devices. This crate does not: that needs ioctls.
pub trait Probe {
    /// Opens the device, exports each window of it, and closes all again.
    fn probe(&self, device: DeviceAddress, windows: &[Window]) -> Probed;
}

/// Opens nothing.
pub struct NoProbe;

impl Probe for NoProbe {
    fn probe(&self, _: DeviceAddress, _: &[Window]) -> Probed {
        Probed::NotAsked
    }
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub barkeep_doctor: u32,
    /// Whether everything needed is there.
    pub ok: bool,
    /// The machine.
    pub machine: Vec<Row>,
    /// The devices, in the order they were asked for.
    pub devices: Vec<Device>,
    /// Every ordered pair of them.
    pub peers: Vec<Peer>,
}

/// A device that was asked for and is not there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no PCI device {0}; `ls /sys/bus/pci/devices` lists those there are")]
pub struct NotThere(pub DeviceAddress);

/// Looks at the machine and at `devices`; without any, at those that vfio-pci has. `page` is the page
/// size, bytes.
///
/// # Errors
/// One of the devices is not there.
pub fn examine(
    roots: &Roots,
    devices: &[DeviceAddress],
    wanted: Wanted,
    page: u64,
    probe: &dyn Probe,
) -> Result<Report, NotThere> {
    let functions = functions(roots, devices)?;
    let (devices, probed): (Vec<Device>, Vec<Probed>) =
        functions.iter().map(|function| Device::examine(roots, function, page, probe)).unzip();
    let mut machine = machine::rows(roots, wanted);
    machine.push(dma_buf(roots, &probed));
    if devices.is_empty() {
        machine.push(Row::unknown(
            "devices",
            "no device is bound to vfio-pci, and none was named",
            "barkeep doctor BDF, and barkeep bind BDF",
        ));
    }
    let stations: Vec<Station<'_>> = functions
        .iter()
        .zip(&devices)
        .map(|(function, device)| Station { function, exports: device.exports() })
        .collect();
    let peers = peers::matrix(roots, &stations);
    let rows = machine.iter().chain(devices.iter().flat_map(|device| &device.rows));
    let ok = !rows.into_iter().any(|row| row.state == State::Fail);
    Ok(Report { barkeep_doctor: VERSION, ok, machine, devices, peers })
}

fn functions(roots: &Roots, named: &[DeviceAddress]) -> Result<Vec<Function>, NotThere> {
    if named.is_empty() {
        let all = roots.functions().into_iter().filter_map(|address| Function::find(roots, address));
        return Ok(all.filter(Function::is_passed_through).collect());
    }
    let mut functions: Vec<Function> = Vec::new();
    for address in named {
        if functions.iter().all(|function| function.address != *address) {
            functions.push(Function::find(roots, *address).ok_or(NotThere(*address))?);
        }
    }
    Ok(functions)
}

/// Proved by an export, refused by one, or as far as the kernel's configuration tells.
fn dma_buf(roots: &Roots, probed: &[Probed]) -> Row {
    const WHAT: &str = "dma-buf export";
    let mut exported = probed.iter().filter_map(|probed| match probed {
        Probed::Exports { mappable } => Some(*mappable),
        Probed::Refused(_) | Probed::Closed(_) | Probed::NotAsked => None,
    });
    if let Some(mappable) = exported.next() {
        return Row::ok(
            WHAT,
            format!("proved: windows of a device were exported; {}", slots_stand_on(mappable)),
        );
    }
    let refused = probed.iter().find_map(|probed| match probed {
        Probed::Refused(why) => Some(why.clone()),
        Probed::Exports { .. } | Probed::Closed(_) | Probed::NotAsked => None,
    });
    match refused {
        Some(why) => Row::fail(WHAT, why, "Linux 6.19 or newer with CONFIG_VFIO_PCI_DMABUF"),
        None => machine::dma_buf_by_configuration(roots),
    }
}

/// What a guest's memory slots are backed by.
fn slots_stand_on(mappable: bool) -> &'static str {
    match mappable {
        true => "guest memory slots are backed by the dma-buf itself",
        false => "this kernel has no mmap() of them, guest memory slots are backed by the device's region",
    }
}

#[cfg(test)]
#[path = "report_test.rs"]
mod tests;
