//! `bind` and `unbind`: a device to vfio-pci, and exactly back.

use crate::exit::{Exit, Wrong};
use barkeep_doctor::Roots;
use barkeep_doctor::bind::{self, BindError, Plan, Sysfs, Wish};
use barkeep_journal::DeviceAddress;
use clap::Args;
use std::path::PathBuf;

/// Options of `bind` and `unbind`.
#[derive(Debug, Args)]
pub struct BindOptions {
    /// Its PCI address, e.g. 0000:01:00.0.
    #[arg(value_name = "BDF")]
    device: DeviceAddress,
    /// Write nothing: print what would be written where, in which order and why.
    #[arg(long)]
    dry_run: bool,
    /// Also if the machine loses a mounted filesystem, swap space, its only network link or virtual
    /// functions by it; or, back, if some process has the device open.
    #[arg(long)]
    force: bool,
    /// Where is remembered how devices were; /run/barkeep/bound if not given.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Gives a device to vfio-pci.
///
/// # Errors
/// It is refused, or the kernel refuses; then all is as before.
pub fn bind(options: &BindOptions) -> anyhow::Result<Exit> {
    carry_out(options, bind::to_vfio, "bind", "bound to vfio-pci")
}

/// Puts a device back.
///
/// # Errors
/// As [`bind`].
pub fn unbind(options: &BindOptions) -> anyhow::Result<Exit> {
    carry_out(options, bind::back, "unbind", "as it was before")
}

fn carry_out(
    options: &BindOptions,
    plan: fn(&Roots, &Wish<'_>) -> Result<Plan, BindError>,
    name: &str,
    done: &str,
) -> anyhow::Result<Exit> {
    let BindOptions { device, dry_run, force, state } = options;
    let roots = Roots::default();
    let state = state.clone().unwrap_or_else(|| bind::state_folder(&roots));
    let failed = |error: BindError| {
        let exit = if error.is_usage() { Exit::Usage } else { Exit::Broken };
        anyhow::Error::new(error).context(Wrong::new(exit, format!("cannot {name} {device}")))
    };
    let wish = Wish { address: *device, force: *force, state: &state };
    match plan(&roots, &wish).map_err(failed)? {
        Plan::Nothing(why) => println!("{why}: nothing to do"),
        Plan::Steps(way) if *dry_run => print!("{way}"),
        Plan::Steps(way) => {
            bind::carry_out(&way, &mut Sysfs).map_err(failed)?;
            println!("{device} is {done}");
        }
    }
    Ok(Exit::Pass)
}
