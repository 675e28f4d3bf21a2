//! Runs the `barkeep` command as a user does, and looks at what it left.

use super::gate;
use super::journal::Journal;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// After this a run hangs, on the slowest machine. Nothing is measured with it.
const HANG: Duration = Duration::from_secs(1200);

/// A folder for one test. Its name is on the command line of every process a run starts.
pub struct Bench {
    dir: TempDir,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub fn new() -> Self {
        Self { dir: TempDir::with_prefix("barkeep-test-").unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the results of a run go.
    pub fn out(&self) -> PathBuf {
        self.path("out")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `barkeep` with these arguments, in this folder.
    pub fn barkeep<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barkeep"));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// `barkeep lab` with this kernel, its results in [`Bench::out`].
    pub fn lab(&self, kernel: &Path, options: &[&str], inner: &[&str]) -> Command {
        let mut command = self.barkeep([OsStr::new("lab"), "--kernel".as_ref(), kernel.as_ref()]);
        command.arg("--out").arg(self.out()).args(options);
        if !inner.is_empty() {
            command.arg("--").args(inner);
        }
        command
    }

    /// The same, run to its end, with the emulator to itself.
    pub fn run_lab(&self, kernel: &Path, options: &[&str], inner: &[&str]) -> Ran {
        let _alone = gate::emulator();
        self.run(self.lab(kernel, options, inner))
    }

    /// Runs a command to its end; nothing of it may be left.
    pub fn run(&self, mut command: Command) -> Ran {
        let child = self.start(&mut command);
        let ran = self.wait(child);
        assert_eq!(self.processes(), Vec::<String>::new(), "left behind by {command:?}: {ran:?}");
        ran
    }

    /// Starts a command; [`Bench::wait`] is its end.
    pub fn start(&self, command: &mut Command) -> Child {
        let file = |name| File::create(self.path(name)).unwrap();
        command.stdout(file(".stdout")).stderr(file(".stderr")).spawn().unwrap()
    }

    pub fn wait(&self, mut child: Child) -> Ran {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > HANG {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("it hangs; so far: {}", self.read(".stderr"));
            }
            thread::sleep(Duration::from_millis(20));
        };
        Ran { status: status.code(), stdout: self.read(".stdout"), stderr: self.read(".stderr") }
    }

    /// A file of this folder; nothing if it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read(self.path(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The journal of the last run.
    pub fn journal(&self) -> Journal {
        Journal::read(&self.out().join("journal.jsonl"))
    }

    /// Processes that have this folder's name on their command line.
    pub fn processes(&self) -> Vec<String> {
        let mark = self.dir.path().to_string_lossy().into_owned();
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&mark)).collect()
    }
}

impl Ran {
    /// It ended with this status, or the test fails with all it said.
    #[track_caller]
    pub fn ended(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard error has these words.
    #[track_caller]
    pub fn tells(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in what it tells:\n{}", self.stderr);
        }
        self
    }

    /// The verdict, on standard output, begins with this word.
    #[track_caller]
    pub fn verdict(&self, word: &str) -> &Self {
        let first = self.stdout.lines().find(|line| !line.is_empty()).unwrap_or_default();
        assert!(first.starts_with(word), "the verdict is not {word}:\n{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Waits for something that must come.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < HANG, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
