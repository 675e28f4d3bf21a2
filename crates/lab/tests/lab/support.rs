//! Runs the smoke program and looks at what it left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Names a kernel built from `guest-kernel/configs`, for the tests that boot.
pub const KERNEL: &str = "BARKEEP_TEST_KERNEL";

/// The kernel to boot; says why where there is none.
pub fn kernel() -> Option<PathBuf> {
    let kernel = std::env::var_os(KERNEL).map(PathBuf::from);
    if kernel.is_none() {
        eprintln!("skipped: {KERNEL} names no kernel image to boot");
    }
    kernel
}

/// A directory for one test, with a word nobody else has on a command line.
pub struct Bench {
    pub dir: TempDir,
    pub mark: String,
}

impl Bench {
    pub fn new(name: &str) -> Self {
        let mark = format!("mark={name}-{}", std::process::id());
        Self { dir: tempfile::tempdir().unwrap(), mark }
    }

    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// The smoke program with its usual arguments.
    pub fn command(&self, kernel: &Path, options: &[&str], inner: &[&str]) -> Command {
        let mut command = Command::new(smoke());
        // The first of a key counts: `options` may have an `append` of its own.
        command.arg(kernel).arg(self.out()).args(options).arg(format!("append={}", self.mark));
        command.arg("--").args(inner);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, kernel: &Path, options: &[&str], inner: &[&str]) -> Output {
        self.command(kernel, options, inner).output().unwrap()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.out().join(name)).unwrap_or_default()
    }

    pub fn journal_has(&self, words: &str) -> bool {
        self.read("journal.jsonl").contains(words)
    }

    /// Starts it, and waits until `words` are in the journal.
    pub fn start_until(&self, kernel: &Path, options: &[&str], inner: &[&str], words: &str) -> Child {
        let child = self.command(kernel, options, inner).spawn().unwrap();
        eventually(&format!("{words} in the journal"), || self.journal_has(words));
        child
    }

    /// Processes, by their command lines, that this test started.
    pub fn processes(&self) -> Vec<String> {
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|l| l.contains(&self.mark))
            .collect()
    }

    /// A program for `BARKEEP_QEMU` that answers `--version` as QEMU does and otherwise does
    /// `script`.
    pub fn qemu(&self, version: &str, script: &str) -> PathBuf {
        let path = self.dir.path().join("qemu");
        let answer = format!("[ \"$1\" = --version ] && echo 'QEMU emulator version {version}' && exit 0");
        fs::write(&path, format!("#!/bin/sh\n{answer}\n{script}\n")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    /// A file that has all a bzImage's header promises.
    pub fn image(&self) -> PathBuf {
        let path = self.dir.path().join("bzImage");
        let mut bytes = vec![0; 4096];
        bytes[0x1f1] = 1;
        // In sixteenths, beside two sectors of set-up code.
        bytes[0x1f4] = ((4096 - 1024) / 16) as u8;
        bytes[0x1fe..0x206].copy_from_slice(b"\x55\xaa\0\0HdrS");
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// Standard output and error together.
pub fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends `signal` (`INT`, `KILL`) to a child.
pub fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
}

fn smoke() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let smoke = deps.parent().unwrap().parent().unwrap().join("examples/lab_smoke");
    assert!(smoke.exists(), "the example lab_smoke is not built: run cargo test without --test");
    smoke
}
