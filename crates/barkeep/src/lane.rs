//! Which lane a run takes place in, and whether what was asked for can be had there.

use crate::cli::{DeviceWord, LaneName, RunOptions, inside_lab};
use crate::exit::{Exit, wrong};
use barkeep_journal::Lane;

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process, in this lane.
    Here(Lane),
    /// In an emulator around it.
    Emulator,
}

/// Where a run with these options takes place. Without `--lane`: what its devices are decides.
///
/// # Errors
/// Its devices are of several lanes, or not of the one asked for; a lane cannot be had here, or has
/// no many times.
pub fn place(options: &RunOptions) -> anyhow::Result<Place> {
    let place = decide(options.lane, &options.devices, inside_lab())?;
    if let (Some(path), Place::Here(Lane::Model) | Place::Emulator) = (&options.control, place) {
        let what = format!(
            "--control {} is for a VMM that runs here: --lane kvm or host, or inside of the lab: barkeep lab -- run \
             --control …",
            path.display()
        );
        return Err(wrong(Exit::Usage, what));
    }
    match (options.times, place) {
        (None, _) | (Some(_), Place::Here(Lane::Model | Lane::Lab) | Place::Emulator) => Ok(place),
        (Some(_), Place::Here(Lane::Kvm | Lane::Host)) => {
            let what = "--times is for --lane model and --lane lab: in no other is a time the same again from its seed";
            Err(wrong(Exit::Usage, what))
        }
    }
}

fn decide(lane: Option<LaneName>, devices: &[DeviceWord], inside_lab: bool) -> anyhow::Result<Place> {
    let usage = |what: String| Err(wrong(Exit::Usage, what));
    let simulated = devices.iter().find(|device| matches!(device, DeviceWord::Simulated(_)));
    let real = devices.iter().find_map(|device| match device {
        DeviceWord::Real(device) => Some(device.address),
        DeviceWord::Simulated(_) => None,
    });
    if let (Some(_), Some(real)) = (simulated, real) {
        let what = format!(
            "{real} is a real device and another one is simulated: they have no kernel in common; give \
             devices of one sort"
        );
        return usage(what);
    }
    match (lane, inside_lab) {
        (None | Some(LaneName::Lab), true) if simulated.is_none() => Ok(Place::Here(Lane::Lab)),
        (None, false) if simulated.is_some() => Ok(Place::Here(Lane::Kvm)),
        (None | Some(LaneName::Host), false) if simulated.is_none() => Ok(Place::Here(Lane::Host)),
        (Some(LaneName::Lab), false) if simulated.is_none() => Ok(Place::Emulator),
        (Some(LaneName::Kvm | LaneName::Model), false) if real.is_some() => usage(format!(
            "{} is a real device, and this lane has simulated ones: --lane host, or --device sim:…",
            real.map(|address| address.to_string()).unwrap_or_default()
        )),
        (Some(LaneName::Kvm), false) => Ok(Place::Here(Lane::Kvm)),
        (Some(LaneName::Model), false) => Ok(Place::Here(Lane::Model)),
        (Some(LaneName::Host | LaneName::Kvm | LaneName::Model), true) => {
            usage("inside the lab there is lane lab and no other".into())
        }
        (None | Some(LaneName::Lab | LaneName::Host), _) => {
            usage("this lane has real devices; simulated ones are for --lane kvm and --lane model".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(lane: Option<LaneName>, devices: &[&str], inside_lab: bool) -> Result<Place, String> {
        let devices: Vec<DeviceWord> = devices.iter().map(|word| word.parse().unwrap()).collect();
        decide(lane, &devices, inside_lab).map_err(|error| error.to_string())
    }

    #[test]
    fn devices_decide_where_nothing_else_does() {
        const REAL: &str = "nvme=0000:01:00.0";
        const SIMULATED: &str = "sim:memory";
        use LaneName::{Host, Kvm, Lab, Model};
        for (lane, devices, inside, place) in [
            (None, &[][..], false, Place::Here(Lane::Host)),
            (None, &[REAL], false, Place::Here(Lane::Host)),
            (None, &[SIMULATED], false, Place::Here(Lane::Kvm)),
            (None, &[], true, Place::Here(Lane::Lab)),
            (None, &[REAL], true, Place::Here(Lane::Lab)),
            (Some(Lab), &[], true, Place::Here(Lane::Lab)),
            (Some(Lab), &[REAL], false, Place::Emulator),
            (Some(Host), &[REAL], false, Place::Here(Lane::Host)),
            (Some(Kvm), &[], false, Place::Here(Lane::Kvm)),
            (Some(Kvm), &[SIMULATED], false, Place::Here(Lane::Kvm)),
            (Some(Model), &[SIMULATED], false, Place::Here(Lane::Model)),
        ] {
            assert_eq!(decided(lane, devices, inside), Ok(place), "{lane:?} {devices:?} {inside}");
        }
        for (lane, devices, inside, told) in [
            (None, &[REAL, SIMULATED][..], false, "devices of one sort"),
            (Some(Kvm), &[SIMULATED, REAL], false, "devices of one sort"),
            (Some(Kvm), &[REAL], false, "0000:01:00.0 is a real device"),
            (Some(Model), &[REAL], false, "--lane host"),
            (Some(Lab), &[SIMULATED], false, "--lane kvm"),
            (Some(Host), &[SIMULATED], false, "--lane kvm"),
            (None, &[SIMULATED], true, "real devices"),
            (Some(Host), &[], true, "lane lab and no other"),
            (Some(Kvm), &[], true, "lane lab and no other"),
        ] {
            let error = decided(lane, devices, inside).unwrap_err();
            assert!(error.contains(told), "{lane:?} {devices:?} {inside}: {error}");
        }
    }
}
