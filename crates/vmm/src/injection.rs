//! Keeps an emulated CPU from delivering an interrupt twice.
//!
//! QEMU's VMRUN (10.0, `helper_vmrun`) delivers an interrupt that KVM injects by itself, and leaves its
//! vector behind as an exception that is pending. The next #VMEXIT, or the guest's next exception,
//! forgets it; if the emulator leaves its loop for anything else before, a timer of a device's say, the vector is
//! delivered a second time, whatever the guest's interrupt flag says. A guest whose handler holds a
//! lock by then waits for it for ever.
//!
//! So the guest has to exit right behind every injection. Nothing asks KVM for that, but an interrupt of the host's
//! that waits does it: KVM enters guests with interrupts off, and its tracepoint `kvm_entry` is behind that. A perf
//! event on the tracepoint, for entries that inject, wakes its reader up by an interrupt to this very CPU
//! (`irq_work_queue`). Nobody reads it.
#![allow(
    unsafe_code,
    reason = "perf_event_open, its ioctl and its mmap have no safe wrapper that takes a filter and wakes by overwriting"
)]

use perf_event_open_sys::bindings::{PERF_FLAG_FD_CLOEXEC, PERF_TYPE_TRACEPOINT, perf_event_attr};
use perf_event_open_sys::{ioctls, perf_event_open};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::{CpuSet, sched_getaffinity};
use std::arch::x86_64::__cpuid;
use std::ffi::c_void;
use std::fs;
use std::io::{self, Error};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// CPUID: there is a hypervisor, in ECX of the leaf of features; its first leaf is who it is.
const FEATURES: u32 = 1;
const HYPERVISOR: u32 = 1 << 31;
const HYPERVISOR_VENDOR: u32 = 0x4000_0000;
/// "TCGTCGTCGTCG" in EBX, ECX and EDX: QEMU's own emulation.
const TCG: [u32; 3] = [0x5447_4354, 0x4354_4743, 0x4743_5447];

const TRACEPOINT: &str = "/sys/kernel/tracing/events/kvm/kvm_entry/id";
/// An entry that injects: `EVENTINJ` has its valid bit (AMD APM 2, 15.20).
const THAT_INJECTS: &[u8] = b"intr_info & 0x80000000\0";
/// A page that says what is in the buffer, and one of buffer, which is written over.
const BUFFER: usize = 2 << 12;

/// Whether this CPU does it.
pub(crate) fn comes_twice() -> bool {
    let is_guest = __cpuid(FEATURES).ecx & HYPERVISOR != 0;
    let vendor = __cpuid(HYPERVISOR_VENDOR);
    is_guest && [vendor.ebx, vendor.ecx, vendor.edx] == TCG
}

/// While it lives, entries of the threads that the maker's thread starts exit right behind an injection.
#[derive(Default)]
pub(crate) struct ExitsBehindInjections {
    _of_cpus: Vec<OnOneCpu>,
}

impl ExitsBehindInjections {
    /// To be made before the process gives up its privileges, by the thread that starts the vCPUs' ones.
    ///
    /// # Errors
    /// The kernel has no tracefs, mounted at its usual place, no perf events, or this process may not have them
    /// (`CAP_PERFMON`).
    pub(crate) fn new() -> io::Result<Self> {
        let id = fs::read_to_string(TRACEPOINT)?;
        let id = id.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
        let may_run_on = sched_getaffinity(None)?;
        let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| may_run_on.is_set(*cpu));
        Ok(Self { _of_cpus: cpus.map(|cpu| OnOneCpu::new(id, cpu)).collect::<io::Result<_>>()? })
    }
}

/// The kernel maps the buffer of an event that threads inherit only if it is of one CPU (`perf_mmap`).
struct OnOneCpu {
    event: OwnedFd,
    /// Where its buffer is mapped.
    buffer: usize,
}

impl OnOneCpu {
    fn new(id: u64, cpu: usize) -> io::Result<Self> {
        let mut attr = perf_event_attr {
            type_: PERF_TYPE_TRACEPOINT,
            size: size_of::<perf_event_attr>() as u32,
            config: id,
            ..Default::default()
        };
        attr.sample_period = 1;
        attr.wakeup_events = 1;
        attr.set_inherit(1);
        let (this_thread, no_group, flags) = (0, -1, PERF_FLAG_FD_CLOEXEC.into());
        // SAFETY: the attributes are initialised, and ask for nothing but to be told of a tracepoint.
        let fd = unsafe { perf_event_open(&raw mut attr, this_thread, cpu as i32, no_group, flags) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: just made, and nobody else's.
        let event = unsafe { OwnedFd::from_raw_fd(fd) };
        // Without a right to write there it is written over when it is full, and wakes all the same.
        // SAFETY: a fresh mapping at an address of the kernel's choosing aliases nothing.
        let buffer = unsafe { mmap(ptr::null_mut(), BUFFER, ProtFlags::READ, MapFlags::SHARED, &event, 0)? };
        let made = Self { event, buffer: buffer as usize };
        // SAFETY: the kernel copies the filter, which ends with a zero, and writes nothing to it.
        match unsafe { ioctls::SET_FILTER(made.event.as_raw_fd(), THAT_INJECTS.as_ptr() as *mut _) } {
            0 => Ok(made),
            _ => Err(Error::last_os_error()),
        }
    }
}

impl Drop for OnOneCpu {
    fn drop(&mut self) {
        // SAFETY: made by `new`; nothing holds an address in it.
        let _ = unsafe { munmap(self.buffer as *mut c_void, BUFFER) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendor_is_spelled_as_the_emulator_does() {
        let bytes: Vec<u8> = TCG.iter().flat_map(|part| part.to_le_bytes()).collect();
        assert_eq!(bytes, b"TCGTCGTCGTCG");
    }
}
