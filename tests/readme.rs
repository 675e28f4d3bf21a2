//! What the README tells a reader to type is typed here.

mod common;

use common::bench::Bench;
use common::gate;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

/// Programs that are no part of the command: what of them is tested, and where.
const ELSEWHERE: [(&str, &str); 2] = [
    ("scripts/demo", "it installs packages and builds a kernel; tests/scripts has its parts"),
    ("scripts/test", "it runs this"),
];
/// What the README says of a command that takes long.
const LONG: &str = "(minutes)";

#[test]
fn the_commands_do_what_they_should() {
    type_all(|line| !line.contains(LONG));
}

#[test]
#[ignore = "takes minutes"]
fn the_long_commands_do_what_they_should() {
    type_all(|line| line.contains(LONG));
}

fn type_all(wanted: impl Fn(&str) -> bool) {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).expect("a README.md");
    let commands = commands(&readme);
    assert!(commands.iter().any(|line| line.starts_with("barkeep ")), "no commands in README.md");
    let desk = Desk::new(&root, &kernel);
    for line in commands.iter().filter(|line| wanted(line)) {
        match ELSEWHERE.iter().find(|(program, _)| line.split_whitespace().next() == Some(program)) {
            Some((_, why)) => gate::say(&format!("skipped: `{line}`: {why}")),
            None => desk.type_in(line),
        }
    }
}

/// The lines of all blocks that begin with ```` ```sh ````; a backslash at the end goes on.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in readme.split("\n```sh\n").skip(1) {
        let block = block.split("\n```").next().unwrap_or_default().replace("\\\n", " ");
        let lines = block.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        commands.extend(lines.map(str::to_owned));
    }
    commands
}

/// A folder with what a checkout has, `barkeep` in `PATH`, and the kernel in its cache.
struct Desk {
    bench: Bench,
    path: String,
}

impl Desk {
    fn new(root: &Path, kernel: &Path) -> Self {
        let bench = Bench::new();
        for name in ["crates", "docs", "scripts", "tests"] {
            symlink(root.join(name), bench.path(name)).unwrap();
        }
        bench.write("cache/kernels/test/recipe", "variant plain\n");
        symlink(kernel, bench.path("cache/kernels/test/bzImage")).unwrap();
        symlink(
            kernel.with_file_name("barkeep_importer.ko"),
            bench.path("cache/kernels/test/barkeep_importer.ko"),
        )
        .unwrap();
        fs::create_dir(bench.path("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_barkeep"), bench.path("bin/barkeep")).unwrap();
        let path = format!("{}:{}", bench.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        Self { bench, path }
    }

    /// A command, which ends well.
    fn type_in(&self, line: &str) {
        // What cargo would build and run is there already.
        let line = &line.replace("cargo run --release --", "barkeep");
        if (line.contains("--lane kvm") || !line.contains("--lane") && line.contains("sim:"))
            && gate::kvm().is_none()
        {
            return;
        }
        let _alone = gate::emulator();
        let mut shell = Command::new("sh");
        shell.arg("-euc").arg(line).current_dir(self.bench.path("")).stdin(Stdio::null());
        shell.env("PATH", &self.path).env("BARKEEP_CACHE", self.bench.path("cache"));
        let ran = self.bench.run(shell);
        assert_eq!(ran.status, Some(0), "{line}\n{}\n{}", ran.stdout, ran.stderr);
    }
}
