//! What a test needs from the machine it runs on: a kernel, QEMU, and the emulator to itself.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The kernel with everything, and those with one option less. `scripts/test` names them.
pub const PLAIN: &str = "BARKEEP_TEST_KERNEL";
pub const NO_IOMMUFD: &str = "BARKEEP_TEST_KERNEL_NO_IOMMUFD";
/// The one with our own patches.
pub const MMAP: &str = "BARKEEP_TEST_KERNEL_MMAP";
/// The one that can be told of PCI Express errors.
pub const AER_INJECT: &str = "BARKEEP_TEST_KERNEL_AER_INJECT";
/// The one that has huge pages to give.
pub const HUGE_PAGES: &str = "BARKEEP_TEST_KERNEL_HUGE_PAGES";
pub const NO_DMABUF_EXPORT: &str = "BARKEEP_TEST_KERNEL_NO_DMABUF_EXPORT";

/// The kernel a variable names, where that and QEMU are there.
pub fn kernel(variable: &str) -> Option<PathBuf> {
    let Some(kernel) = std::env::var_os(variable).filter(|name| !name.is_empty()) else {
        return skip(&format!("{variable} names no kernel; scripts/test builds them"));
    };
    qemu()?;
    Some(kernel.into())
}

/// The folder of a distribution's `vmlinuz` and `initrd.img`, where there is one. Also in CI there are machines
/// without: it is made of packages that are others'.
pub fn distribution() -> Option<PathBuf> {
    let named = std::env::var_os("BARKEEP_TEST_DISTRIBUTION").filter(|name| !name.is_empty());
    if named.is_none() {
        say("skipped: BARKEEP_TEST_DISTRIBUTION names no guest; scripts/distribution-guest makes one");
    }
    named.map(PathBuf::from)
}

/// QEMU, where it is there.
pub fn qemu() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BARKEEP_QEMU").filter(|name| !name.is_empty()) {
        return Some(named.into());
    }
    let program = "qemu-system-x86_64";
    find(program).or_else(|| skip(&format!("{program} is not in PATH; scripts/setup installs it")))
}

/// `/dev/kvm`, where it is there and may be used. Also in CI there are machines without.
pub fn kvm() -> Option<()> {
    let opened = File::options().read(true).write(true).open("/dev/kvm");
    opened.map(drop).map_err(|error| say(&format!("skipped: no lane kvm: /dev/kvm: {error}"))).ok()
}

/// A program in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|candidate| candidate.is_file())
}

/// Says why there is no test. In CI nothing may be missing.
pub fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "in CI this must not be: {why}");
    say(&format!("skipped: {why}"));
    None
}

/// Says something past the test harness, which keeps to itself what a test that passes prints.
pub fn say(what: &str) {
    let thread = std::thread::current();
    // A terminal that is gone is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{}: {what}", thread.name().unwrap_or("a test"));
}

/// Waits until no other test, of this binary or another, has the emulator; keeps them from it
/// while it lives. Two would take twice as long, and more memory than a small machine has.
pub fn emulator() -> impl Drop {
    struct Held(File);
    impl Drop for Held {
        fn drop(&mut self) {
            // Closing it would do as well.
            let _ = flock(&self.0, FlockOperation::Unlock);
        }
    }
    let file = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator.lock")).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    Held(file)
}
