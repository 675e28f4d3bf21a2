//! A confined process whose thread makes a call that it may not make: for a test, which has it die.
//!
//! `forbidden MODE ROLE CALL`: MODE is `trap`, `log` or `off`, ROLE `process`, `vcpu`, `device` or `console`, CALL
//! `socket`, `ioctl`, `open-to-write`, `clone` or `none`.

use barkeep_sandbox::{Mode, Role, Sandbox};
use std::fs::{self, File};
use std::net::TcpListener;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [mode, role, call] = words[..] else { panic!("forbidden MODE ROLE CALL") };
    let mode = match mode {
        "trap" => Mode::Trap,
        "log" => Mode::Log,
        _ => Mode::Off,
    };
    let role = match role {
        "vcpu" => Role::Vcpu,
        "device" => Role::Device,
        "console" => Role::Console,
        _ => Role::Process,
    };
    let null = File::open("/dev/null").unwrap();
    let sandbox = Sandbox::prepare(mode).unwrap();
    sandbox.confine_process().unwrap();
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    println!("{} {} {}", line("Seccomp:"), line("NoNewPrivs:"), line("CapEff:"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if role != Role::Process {
                sandbox.confine_thread(role).unwrap();
            }
            match call {
                "socket" => drop(TcpListener::bind("127.0.0.1:0")),
                // TCGETS2, which no thread that works for the guest has any use for.
                "ioctl" => drop(rustix::termios::tcgetattr(&null)),
                "open-to-write" => drop(File::create("/dev/null")),
                "clone" => drop(std::thread::Builder::new().spawn(|| ())),
                _ => {}
            }
        });
    });
    println!("it lived");
}
