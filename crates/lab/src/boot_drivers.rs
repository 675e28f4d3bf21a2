//! Keeps the kernel's own drivers away from devices that somebody else is to drive.
//!
//! A driver that probes an NVMe at boot waits for QEMU's main loop while the rest of the
//! boot goes on beside it: the one thing in a boot that is not the same twice. Unbinding it
//! afterwards also takes longer than all of PID 1's own work.

use crate::topology::Topology;

/// Device models, and the initcall of the driver the kernel would choose.
const DRIVERS: [(&str, &str); 3] =
    [("nvme", "nvme_init"), ("igb", "igb_init_module"), ("e1000e", "e1000_init_module")];

/// The initcalls to leave out: those of drivers none of whose devices is theirs.
pub(crate) fn unwanted(topology: &Topology) -> Vec<&'static str> {
    // These drivers have the name of the device model.
    let someone_elses = |name: &str| {
        let mut devices = topology.devices.iter().filter(|device| device.model == name).peekable();
        devices.peek().is_some()
            && devices.all(|device| device.bind.as_deref().is_some_and(|bind| bind != name))
    };
    let unwanted = DRIVERS.iter().filter(|(name, _)| someone_elses(name));
    unwanted.map(|(_, initcall)| *initcall).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwanted_with(binds: &[&str]) -> Vec<&'static str> {
        let mut text = "version = 1\nname = 'x'\n".to_owned();
        for (number, bind) in binds.iter().enumerate() {
            text += &format!("[[device]]\nname = 'd{number}'\nmodel = 'nvme'\nslot = '0{}.0'\n", number + 3);
            text += bind;
        }
        unwanted(&Topology::parse(&text).unwrap())
    }

    #[test]
    fn a_driver_stays_where_one_device_may_be_its_own() {
        assert_eq!(unwanted_with(&["bind = 'vfio-pci'\n", "bind = 'none'\n"]), ["nvme_init"]);
        assert!(unwanted_with(&["bind = 'vfio-pci'\n", "bind = 'nvme'\n"]).is_empty());
        assert!(unwanted_with(&["bind = 'vfio-pci'\n", ""]).is_empty());
        assert!(unwanted_with(&[]).is_empty());
    }
}
