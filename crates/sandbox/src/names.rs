//! Names of system calls, for the line that tells of one.

use libc::*;

macro_rules! names {
    ($($name:ident: $call:ident),+ $(,)?) => {
        /// Its name, or that it has none here.
        pub(crate) fn of(number: c_long) -> &'static str {
            $(if number == $call { return stringify!($name); })+
            "without a name here"
        }
    };
}

names! {
    accept: SYS_accept, accept4: SYS_accept4, bind: SYS_bind, bpf: SYS_bpf, brk: SYS_brk, chdir: SYS_chdir,
    chmod: SYS_chmod, chown: SYS_chown, chroot: SYS_chroot, clone: SYS_clone, clone3: SYS_clone3,
    connect: SYS_connect, dup: SYS_dup, epoll_ctl: SYS_epoll_ctl, epoll_wait: SYS_epoll_wait,
    eventfd2: SYS_eventfd2, execve: SYS_execve, execveat: SYS_execveat, fcntl: SYS_fcntl, fork: SYS_fork,
    fstat: SYS_fstat, ftruncate: SYS_ftruncate, getcwd: SYS_getcwd, getdents64: SYS_getdents64,
    getpid: SYS_getpid, getrandom: SYS_getrandom, getuid: SYS_getuid, init_module: SYS_init_module,
    io_uring_setup: SYS_io_uring_setup, ioctl: SYS_ioctl, keyctl: SYS_keyctl, kill: SYS_kill,
    lseek: SYS_lseek, madvise: SYS_madvise, membarrier: SYS_membarrier, memfd_create: SYS_memfd_create,
    mkdir: SYS_mkdir, mmap: SYS_mmap, mount: SYS_mount, mprotect: SYS_mprotect, newfstatat: SYS_newfstatat,
    open: SYS_open, openat: SYS_openat, openat2: SYS_openat2, perf_event_open: SYS_perf_event_open,
    pipe2: SYS_pipe2, pidfd_open: SYS_pidfd_open, poll: SYS_poll, ppoll: SYS_ppoll, prctl: SYS_prctl,
    pread64: SYS_pread64, prlimit64: SYS_prlimit64, process_vm_readv: SYS_process_vm_readv,
    process_vm_writev: SYS_process_vm_writev, ptrace: SYS_ptrace, pwrite64: SYS_pwrite64, read: SYS_read,
    readlink: SYS_readlink, reboot: SYS_reboot, recvmsg: SYS_recvmsg, rename: SYS_rename,
    sched_getaffinity: SYS_sched_getaffinity, sched_setscheduler: SYS_sched_setscheduler, sendmsg: SYS_sendmsg,
    setgid: SYS_setgid, setns: SYS_setns, setuid: SYS_setuid, socket: SYS_socket, socketpair: SYS_socketpair,
    stat: SYS_stat, statx: SYS_statx, umask: SYS_umask, umount2: SYS_umount2, unlink: SYS_unlink,
    unshare: SYS_unshare, vfork: SYS_vfork, wait4: SYS_wait4, waitid: SYS_waitid, write: SYS_write,
}
