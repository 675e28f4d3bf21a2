//! tracefs: probes on functions, and a buffer of our own for what they record.
//!
//! The buffer is an instance (`instances/NAME`), with its own clock and its own switch, so that whoever else
//! traces on this machine is not disturbed. Probes are the machine's; their group has our name.

use crate::format::{self, Field};
use crate::functions::Function;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, unlinkat};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where it is mounted: by itself, or below debugfs as it once was.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// What names of ours begin with; the number of the process follows.
const PREFIX: &str = "barkeep_";
/// KiB of each CPU's buffer: some 50,000 records.
const BUFFER_KIB: u32 = 4096;
/// `CLOCK_MONOTONIC`, as the journal's.
const CLOCK: &str = "mono";

/// Why the kernel's side cannot be recorded at all.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// No tracefs, or it is not mounted.
    #[error(
        "there is no tracefs in /sys/kernel/tracing: the kernel needs CONFIG_KPROBE_EVENTS, and `mount -t tracefs \
         tracefs /sys/kernel/tracing`"
    )]
    NoTracefs,
    /// It cannot be used.
    #[error("cannot use {path}: it takes root, and a kernel that is not locked down")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not one function can be traced.
    #[error("not one function of the kernel's can be traced: {0}")]
    Nothing(String),
}

/// What a probe's records mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub function: Function,
    pub what: Moment,
}

/// When a probe is hit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// The function is entered.
    Entry { argument: Option<Field> },
    /// It returns.
    Return { value: Option<Field> },
}

/// An instance, and the probes it records.
pub(crate) struct Tracefs {
    root: PathBuf,
    name: String,
    /// By the number of their event.
    pub probes: Vec<(u16, Probe)>,
    /// What cannot be traced, and why.
    pub absent: Vec<(&'static str, Errno)>,
    /// Each CPU's buffer.
    pub buffers: Vec<File>,
    /// Open from the beginning: a process that is confined later has no way to open them.
    switch: File,
    commands: File,
}

impl Tracefs {
    /// Sets probes on these functions and switches the buffer on.
    pub fn set_up(functions: &[Function]) -> Result<Self, TraceError> {
        let root = PLACES.map(Path::new).into_iter().find(|place| place.join("kprobe_events").exists());
        let root = root.ok_or(TraceError::NoTracefs)?.to_owned();
        clear_away_the_dead(&root);
        let name = format!("{PREFIX}{}", std::process::id());
        let instance = root.join("instances").join(&name);
        let commands = open(&root.join("kprobe_events"), OFlags::WRONLY | OFlags::APPEND)?;
        fs::create_dir(&instance).map_err(|source| refused(&instance, source))?;
        let set_up = Self::in_instance(root.clone(), name.clone(), &commands, functions);
        match set_up {
            Ok((switch, buffers, probes, absent)) => {
                Ok(Self { root, name, probes, absent, buffers, switch, commands })
            }
            Err(error) => {
                remove(&root, &name, &commands, functions.iter().map(|function| function.name));
                Err(error)
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "the parts of one value, named where they are put together")]
    fn in_instance(
        root: PathBuf,
        name: String,
        commands: &File,
        functions: &[Function],
    ) -> Result<(File, Vec<File>, Vec<(u16, Probe)>, Vec<(&'static str, Errno)>), TraceError> {
        let instance = root.join("instances").join(&name);
        set(&instance.join("trace_clock"), CLOCK)?;
        set(&instance.join("buffer_size_kb"), &BUFFER_KIB.to_string())?;
        let (mut probes, mut absent) = (Vec::new(), Vec::new());
        for function in functions {
            match probe(&root, &name, commands, *function) {
                Ok(both) => probes.extend(both),
                Err(errno) => absent.push((function.name, errno)),
            }
        }
        if probes.is_empty() {
            let why = absent.first().map_or_else(String::new, |(name, errno)| format!("{name}: {errno}"));
            return Err(TraceError::Nothing(why));
        }
        let buffers = buffers(&instance)?;
        let switch = open(&instance.join("events").join(&name).join("enable"), OFlags::WRONLY)?;
        (&switch).write_all(b"1").map_err(|source| refused(&instance, source))?;
        Ok((switch, buffers, probes, absent))
    }

    /// Switches the buffer off. What is in it can still be read.
    pub fn switch_off(&self) -> io::Result<()> {
        (&self.switch).write_all(b"0")
    }

    /// How often a function's return was not recorded because too many were inside at the same time
    /// (`kprobe_profile`).
    pub fn misses(&self) -> u64 {
        let profile = fs::read_to_string(self.root.join("kprobe_profile")).unwrap_or_default();
        let of_ours = profile.lines().filter(|line| line.trim_start().starts_with(&self.name));
        of_ours.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
    }

    /// Takes the probes and the instance away.
    pub fn tear_down(self) -> io::Result<()> {
        let Self { root, name, probes, buffers, switch, commands, .. } = self;
        // An instance in use cannot be removed.
        drop((buffers, switch));
        let mut names: Vec<_> = probes.iter().map(|(_, probe)| probe.function.name).collect();
        names.dedup();
        remove(&root, &name, &commands, names.into_iter());
        match root.join("instances").join(&name).exists() {
            true => Err(io::Error::other(format!("instances/{name} is still there"))),
            false => Ok(()),
        }
    }
}

/// What a killed process has left would cost this machine at every reset.
fn clear_away_the_dead(root: &Path) {
    let Ok(instances) = fs::read_dir(root.join("instances")) else { return };
    for name in instances.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(pid) = name.strip_prefix(PREFIX) else { continue };
        let alive = Path::new("/proc").join(pid).exists();
        if !alive && let Ok(commands) = open(&root.join("kprobe_events"), OFlags::WRONLY | OFlags::APPEND) {
            let names = crate::FUNCTIONS.iter().map(|function| function.name);
            remove(root, &name, &commands, names);
        }
    }
}

/// Takes away what is there; what is not is nobody's loss.
fn remove(root: &Path, name: &str, commands: &File, probes: impl Iterator<Item = &'static str>) {
    let instance = root.join("instances").join(name);
    // A probe that is switched on cannot be removed; without the instance nobody has it on.
    let _ = unlinkat(CWD, &instance, AtFlags::REMOVEDIR);
    for probe in probes {
        for suffix in [ENTRY, RETURN] {
            let _ = (&mut &*commands).write_all(format!("-:{name}/{probe}{suffix}\n").as_bytes());
        }
    }
}

/// What the names of a function's two events end with.
const ENTRY: &str = "_entry";
const RETURN: &str = "_return";

/// Both ends of a function: its entry alone would be a step that never ends.
fn probe(root: &Path, group: &str, commands: &File, function: Function) -> Result<[(u16, Probe); 2], Errno> {
    let mut last = Errno::NOENT;
    for symbol in function.symbols {
        match probe_symbol(root, group, commands, function, symbol) {
            Ok(both) => return Ok(both),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

fn probe_symbol(
    root: &Path,
    group: &str,
    commands: &File,
    function: Function,
    symbol: &str,
) -> Result<[(u16, Probe); 2], Errno> {
    let Function { name, argument, returns_errno, .. } = function;
    let command = |text: String| {
        let written = (&mut &*commands).write_all(text.as_bytes());
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    let fetched = argument.map_or_else(String::new, |(name, from)| format!(" {name}={from}"));
    let value = if returns_errno { " ret=$retval:s32" } else { "" };
    command(format!("p:{group}/{name}{ENTRY} {symbol}{fetched}\n"))?;
    if let Err(errno) = command(format!("r:{group}/{name}{RETURN} {symbol}{value}\n")) {
        let _ = command(format!("-:{group}/{name}{ENTRY}\n"));
        return Err(errno);
    }
    let format = |suffix: &str| {
        let path = root.join("events").join(group).join(format!("{name}{suffix}")).join("format");
        fs::read_to_string(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    let (entry, back) = (format(ENTRY)?, format(RETURN)?);
    let argument = argument.and_then(|(name, _)| format::field(&entry, name));
    let value = if returns_errno { format::field(&back, "ret") } else { None };
    let number = |format: &str| format::id(format).ok_or(Errno::INVAL);
    Ok([
        (number(&entry)?, Probe { function, what: Moment::Entry { argument } }),
        (number(&back)?, Probe { function, what: Moment::Return { value } }),
    ])
}

fn buffers(instance: &Path) -> Result<Vec<File>, TraceError> {
    let folder = instance.join("per_cpu");
    let mut cpus: Vec<PathBuf> = fs::read_dir(&folder)
        .map_err(|source| refused(&folder, source))?
        .flatten()
        .map(|entry| entry.path().join("trace_pipe_raw"))
        .collect();
    cpus.sort();
    cpus.iter().map(|path| open(path, OFlags::RDONLY | OFlags::NONBLOCK)).collect()
}

fn open(path: &Path, flags: OFlags) -> Result<File, TraceError> {
    let opened = rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
    opened.map(File::from).map_err(|errno| refused(path, errno.into()))
}

fn set(path: &Path, value: &str) -> Result<(), TraceError> {
    fs::write(path, value).map_err(|source| refused(path, source))
}

fn refused(path: &Path, source: io::Error) -> TraceError {
    TraceError::Refused { path: path.to_owned(), source }
}
