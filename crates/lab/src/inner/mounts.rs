//! The file systems and limits a program may count on.

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs;
use std::io;
use std::path::Path;

/// Where, what, and whether to go on without it: a kernel need not have it.
const MOUNTS: [(&str, &str, bool); 8] = [
    ("/proc", "proc", false),
    ("/sys", "sysfs", false),
    ("/dev", "devtmpfs", false),
    ("/dev/shm", "tmpfs", false),
    ("/tmp", "tmpfs", false),
    ("/out", "tmpfs", false),
    ("/sys/kernel/debug", "debugfs", true),
    ("/sys/kernel/tracing", "tracefs", true),
];

/// Open files a storm of devices, dma-bufs and event file descriptors needs, with room.
const OPEN_FILES: u64 = 65_536;

pub(super) fn mount_all() -> io::Result<()> {
    // Whatever is made here has the modes it asks for.
    rustix::process::umask(Mode::empty());
    for (target, kind, optional) in MOUNTS {
        if !Path::new(target).exists() {
            if optional {
                continue;
            }
            fs::create_dir(target)?;
        }
        match mount(kind, target, kind, MountFlags::empty(), None) {
            // A kernel may have mounted /dev by itself.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(Errno::NODEV | Errno::NOENT) if optional => {}
            Err(error) => {
                return Err(io::Error::new(
                    io::Error::from(error).kind(),
                    format!("mount {target}: {error}"),
                ));
            }
        }
    }
    rustix::system::sethostname(b"barkeep")?;
    Ok(())
}

/// DMA pins guest memory, and that counts as locked.
pub(super) fn raise_limits() -> rustix::io::Result<()> {
    setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None })?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum: Some(OPEN_FILES) })
}
