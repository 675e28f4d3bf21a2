//! KVM: there, to be opened, and on what.

use crate::roots::{self, Roots};
use crate::row::Row;
use std::io::ErrorKind;

const WHAT: &str = "kvm";

pub(super) fn row(roots: &Roots) -> Row {
    match roots::openable(&roots.dev.join("kvm")) {
        Ok(()) => opened(roots),
        Err(error) if error.kind() == ErrorKind::NotFound => Row::fail(
            WHAT,
            "there is no /dev/kvm",
            "turn VT-x or SVM on in the firmware, and load kvm_intel or kvm_amd; in a virtual machine its host has \
             to allow nesting",
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Row::fail(
            WHAT,
            "/dev/kvm is there, and you may not open it",
            "add yourself to the group that owns it, mostly `kvm`, and log in again",
        ),
        Err(error) => Row::fail(
            WHAT,
            format!("/dev/kvm cannot be opened: {error}"),
            "the kernel's log (dmesg) says what kvm_intel or kvm_amd lacks",
        ),
    }
}

fn opened(roots: &Roots) -> Row {
    let paging = paging(roots);
    let paged = match paging {
        Some((name, true)) => format!("{name} on"),
        Some((name, false)) => format!("{name} off: every access of a guest CPU to a BAR is an exit"),
        None => "by a module whose paging is not known".to_owned(),
    };
    match machine(roots) {
        Machine::Bare if paging.is_none_or(|(_, on)| on) => Row::ok(WHAT, format!("opens, {paged}")),
        Machine::Bare => Row::note(WHAT, format!("opens, {paged}")),
        Machine::Emulated => {
            Row::note(WHAT, format!("opens, {paged}; the CPU is emulated (QEMU TCG), slow and exact"))
        }
        Machine::Virtual(vendor) => {
            let by = vendor.map(|vendor| format!(" ({vendor})")).unwrap_or_default();
            Row::note(WHAT, format!("opens, {paged}; nested: this machine is itself virtual{by}"))
        }
    }
}

/// Hardware paging of guests: its name, and whether it is on.
fn paging(roots: &Roots) -> Option<(&'static str, bool)> {
    let parameters = [("kvm_intel/parameters/ept", "EPT"), ("kvm_amd/parameters/npt", "NPT")];
    parameters.into_iter().find_map(|(file, name)| {
        let on = roots::text(&roots.sys.join("module").join(file))?;
        Some((name, matches!(on.as_str(), "Y" | "1")))
    })
}

enum Machine {
    Bare,
    /// By QEMU without KVM.
    Emulated,
    /// By a hypervisor of this vendor.
    Virtual(Option<String>),
}

/// CPUID has a bit for "there is a hypervisor", and emulators name themselves in the CPU's name.
fn machine(roots: &Roots) -> Machine {
    let cpus = roots::text(&roots.proc.join("cpuinfo")).unwrap_or_default();
    let value = |key: &str| {
        let line = cpus.lines().find(|line| line.split(':').next().map(str::trim) == Some(key))?;
        Some(line.split_once(':')?.1.trim())
    };
    if value("model name").is_some_and(|name| name.contains("TCG")) {
        return Machine::Emulated;
    }
    let hypervisor =
        value("flags").is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    match hypervisor {
        true => Machine::Virtual(roots::text(&roots.sys.join("class/dmi/id/sys_vendor"))),
        false => Machine::Bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::State;
    use crate::tree::Tree;

    #[test]
    fn kvm_and_what_it_stands_on() {
        let tree = Tree::new();
        let row = || row(&tree.roots());
        assert_eq!(row().state, State::Fail);
        assert!(row().found.contains("no /dev/kvm"));
        tree.write("dev/kvm", "");
        tree.write("sys/module/kvm_intel/parameters/ept", "Y\n");
        tree.write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu vmx\n");
        assert_eq!(row(), Row::ok("kvm", "opens, EPT on"));
        tree.write("sys/module/kvm_intel/parameters/ept", "N\n");
        assert_eq!(row().state, State::Note);
        tree.write("proc/cpuinfo", "model name\t: Xeon\nflags\t\t: fpu hypervisor vmx\n");
        tree.write("sys/class/dmi/id/sys_vendor", "Somebody\n");
        assert!(row().found.contains("nested: this machine is itself virtual (Somebody)"));
        tree.write(
            "proc/cpuinfo",
            "model name\t: QEMU TCG CPU version 2.5+\nflags\t\t: fpu hypervisor svm\n",
        );
        assert!(row().found.contains("emulated"));
    }

    #[test]
    fn what_is_no_file_is_told_as_it_is() {
        let tree = Tree::new();
        tree.write("dev/kvm/inside", "");
        let row = row(&tree.roots());
        assert_eq!(row.state, State::Fail);
        assert!(row.found.contains("cannot be opened"), "{row:?}");
    }
}
