//! `doctor`: what this machine can do, and what is in the way.

use crate::exit::{self, Exit, UsageExt};
use barkeep_doctor::machine::Wanted;
use barkeep_doctor::{NoProbe, Probe, Probed, Roots, examine};
use barkeep_export::Backing;
use barkeep_journal::DeviceAddress;
use barkeep_pci::windows::Window;
use barkeep_scenario::units::Size;
use barkeep_vfio::{Device, DeviceError, Sharing, Space};
use clap::Args;
use std::error::Error;
use std::io::Write;

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// Devices by their PCI addresses, e.g. 0000:01:00.0; without any, those that vfio-pci has.
    #[arg(value_name = "BDF")]
    devices: Vec<DeviceAddress>,
    /// The memory of the guest that is to be passed devices: it is pinned whole.
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    memory: Size,
    /// Open no device. Otherwise those that vfio-pci has and nobody uses are opened, which has the kernel
    /// reset them, to prove that their BARs can be exported.
    #[arg(long)]
    look_only: bool,
    /// Print JSON; docs/interfaces.md describes it.
    #[arg(long)]
    json: bool,
}

/// Looks, and says what it found.
///
/// # Errors
/// A device is not there.
pub fn doctor(options: &DoctorOptions) -> anyhow::Result<Exit> {
    let DoctorOptions { devices, memory, look_only, json } = options;
    let probe: &dyn Probe = if *look_only { &NoProbe } else { &Opener };
    let page = rustix::param::page_size() as u64;
    let report = examine(&Roots::default(), devices, Wanted { memory: memory.0 }, page, probe)
        .usage("cannot look at a device")?;
    let mut out = std::io::stdout().lock();
    // A reader that is gone has read enough.
    let _ = match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&report)?),
        false => write!(out, "{report}"),
    };
    Ok(if report.ok { Exit::Pass } else { Exit::Broken })
}

/// Opens a device as a VM would, and exports its windows.
struct Opener;

impl Probe for Opener {
    fn probe(&self, device: DeviceAddress, windows: &[Window]) -> Probed {
        let space = match Space::new(Sharing::Shared) {
            Ok(space) => space,
            Err(error) => return Probed::Closed(told(error)),
        };
        let opened = match Device::open(device, &space) {
            Ok(opened) => opened,
            Err(error) => return Probed::Closed(told(error)),
        };
        // Each dma-buf is gone with its descriptor, and the mapping with the device.
        let exported: Result<bool, DeviceError> = windows.iter().try_fold(true, |mappable, window| {
            let buffer = opened.export(window)?;
            let (_, of) = opened.map(window, Some(&buffer))?;
            Ok(mappable && of == Backing::Buffer)
        });
        match exported {
            Ok(mappable) => Probed::Exports { mappable },
            Err(error) => Probed::Refused(told(error)),
        }
    }
}

/// An error and what is behind it, in one line.
fn told(error: impl Error + Send + Sync + 'static) -> String {
    exit::told(&anyhow::Error::new(error))
}
