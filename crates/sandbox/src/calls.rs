//! Which system calls are left to whom.

use crate::filter::Role;
use libc::*;

/// What a filter asks of a call.
pub(crate) enum Call {
    /// Nothing.
    Any(c_long),
    /// An ioctl by its number.
    Ioctl(u64),
    /// openat(2) that only reads.
    OpenToRead,
}

use Call::{Any, Ioctl, OpenToRead};

/// Those of a role, beside what the process's own filter leaves.
pub(crate) fn of(role: Role) -> Vec<Call> {
    let any = |calls: &'static [c_long]| calls.iter().copied().map(Any);
    let ioctls = |numbers: &'static [u64]| numbers.iter().copied().map(Ioctl);
    let mut calls: Vec<Call> = any(RUNTIME).collect();
    match role {
        // A thread's filter comes on top of the process's, which therefore leaves what any of them does.
        Role::Process => {
            let roles = [&[SYS_ioctl], DEVICES, EVENTS, LOOKING, PROCESS];
            calls.extend(roles.into_iter().flat_map(any));
        }
        Role::Vcpu => {
            // First of all: each of its entries into the guest asks for it.
            calls.splice(0..0, ioctls(VCPU));
            calls.extend(any(DEVICES).chain(ioctls(DEVICE_IOCTLS)));
        }
        Role::Device => {
            calls.extend(any(DEVICES).chain(any(EVENTS)).chain(ioctls(DEVICE_IOCTLS)));
            // What this process has open is counted after a removal, by /proc/self/fd.
            calls.extend(any(LOOKING).chain([OpenToRead]));
        }
        // With fcntl a build for debugging asks whether a file is open that it closes.
        Role::Console => calls.extend(any(&[SYS_poll, SYS_ppoll, SYS_fcntl])),
    }
    calls
}

/// What any thread does: memory, locks, time, signals, its end, reading and writing what is open.
const RUNTIME: &[c_long] = &[
    SYS_futex,
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_close,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_madvise,
    SYS_brk,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_sched_yield,
    SYS_getrandom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_gettid,
    SYS_getpid,
    SYS_tgkill,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
    // The allocator asks how many CPUs there are.
    SYS_sched_getaffinity,
    // A signal's handler wakes the event loop with it, on whichever thread the signal meets.
    SYS_sendto,
];

/// What is done to a device and its mappings: regions and config space by file offset; eventfds of its interrupts,
/// made and duplicated.
const DEVICES: &[c_long] =
    &[SYS_pread64, SYS_pwrite64, SYS_eventfd2, SYS_fcntl, SYS_dup, SYS_dup3, SYS_poll, SYS_ppoll];

/// Waiting for several things.
const EVENTS: &[c_long] = &[SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_epoll_create1, SYS_lseek];

/// Looking around in what is open, or may be opened to be read.
const LOOKING: &[c_long] = &[
    SYS_getdents64,
    SYS_readlink,
    SYS_readlinkat,
    SYS_fstat,
    SYS_stat,
    SYS_lstat,
    SYS_newfstatat,
    SYS_statx,
];

/// `KVM_RUN` first. The others set a vCPU back when the machine is reset, or tell it of a pause.
const VCPU: &[u64] = &[
    0xae80,
    0xaead,
    0x4138_ae84,
    0x4400_ae8f,
    0x4090_ae82,
    0x41a0_ae8d,
    0x4080_aea2,
    0x4040_aea0,
    0x4004_ae99,
    0x4008_ae89,
    0x4188_aea7,
];

/// KVM's slots, interrupts and VFIO device; VFIO's and iommufd's of a device that is there, and of its end.
/// (include/uapi/linux/kvm.h, vfio.h, iommufd.h)
const DEVICE_IOCTLS: &[u64] = &[
    // KVM_SET_USER_MEMORY_REGION, _REGION2, KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_IRQ_LINE, KVM_SIGNAL_MSI,
    // KVM_SET_DEVICE_ATTR.
    0x4020_ae46,
    0x40a0_ae49,
    0x4008_ae6a,
    0x4020_ae76,
    0x4008_ae61,
    0x4020_aea5,
    0x4018_aee1,
    // VFIO_DEVICE_GET_INFO to VFIO_DEVICE_PCI_HOT_RESET, VFIO_DEVICE_FEATURE, VFIO_DEVICE_DETACH_IOMMUFD_PT.
    0x3b6b,
    0x3b6c,
    0x3b6d,
    0x3b6e,
    0x3b6f,
    0x3b70,
    0x3b71,
    0x3b75,
    0x3b78,
    // IOMMU_DESTROY, IOMMU_IOAS_MAP, IOMMU_IOAS_UNMAP, IOMMU_IOAS_MAP_FILE.
    0x3b80,
    0x3b85,
    0x3b86,
    0x3b8f,
];

/// What all threads together do from here on, beside the above: the last of the set-up, the control socket,
/// results, the end. No program is started, no other process looked into, no connection made, nothing mounted,
/// no user changed.
const PROCESS: &[c_long] = &[
    SYS_dup2,
    SYS_statfs,
    SYS_fstatfs,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_getcwd,
    SYS_open,
    SYS_openat,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_unlink,
    SYS_unlinkat,
    SYS_rename,
    SYS_renameat2,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_fchmod,
    SYS_flock,
    SYS_memfd_create,
    SYS_pipe2,
    SYS_socketpair,
    SYS_accept4,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_clone,
    SYS_clone3,
    SYS_membarrier,
    SYS_set_tid_address,
    SYS_sched_setaffinity,
    SYS_sched_setscheduler,
    SYS_sched_getscheduler,
    SYS_sched_getparam,
    SYS_setpriority,
    SYS_getpriority,
    SYS_prlimit64,
    SYS_getrlimit,
    SYS_getrusage,
    SYS_prctl,
    SYS_seccomp,
    SYS_capset,
    SYS_capget,
    SYS_uname,
    SYS_sysinfo,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getppid,
    SYS_kill,
    SYS_wait4,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_time,
    SYS_mlock,
    SYS_munlock,
    SYS_mincore,
    SYS_msync,
    SYS_process_madvise,
    SYS_rt_sigtimedwait,
    SYS_rt_sigpending,
];
