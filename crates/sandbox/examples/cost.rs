//! What being confined costs, in nanoseconds: making the filters, putting them on, and a vCPU's ioctl through them.

use barkeep_sandbox::{Mode, Role, Sandbox};
use std::fs::File;
use std::time::Instant;

const CALLS: u32 = 200_000;

fn main() {
    let null = File::open("/dev/null").unwrap();
    let bare = ioctls(&null);
    let start = Instant::now();
    let sandbox = Sandbox::prepare(Mode::Trap).unwrap();
    let prepared = start.elapsed();
    let start = Instant::now();
    sandbox.confine_process().unwrap();
    let process = start.elapsed();
    let start = Instant::now();
    sandbox.confine_thread(Role::Vcpu).unwrap();
    let thread = start.elapsed();
    let confined = ioctls(&null);
    println!("prepare {prepared:?}, process {process:?}, thread {thread:?}");
    println!("an ioctl with KVM_RUN's number: {bare} ns, confined {confined} ns");
}

/// Of one call, on a file that knows none.
fn ioctls(file: &File) -> u64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        run(file);
    }
    start.elapsed().as_nanos() as u64 / u64::from(CALLS)
}

#[allow(unsafe_code, reason = "an ioctl by its number")]
fn run(file: &File) {
    use std::os::fd::AsRawFd;
    // SAFETY: KVM_RUN takes no argument, and the file is no vCPU.
    unsafe { libc::ioctl(file.as_raw_fd(), 0xae80, 0) };
}
