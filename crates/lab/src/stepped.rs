//! A machine that is run up to an event of its journal, and stands still there.
//!
//! Its journal's header says after which event ([`barkeep_journal::written`]), and QEMU's debugger stub has a breakpoint
//! there. Up to that point it is the run it would have been. Behind it it is not: where a debugger stops a virtual CPU whose
//! time is counted, QEMU takes it for idle and lets time go on to the next timer (`icount_start_warp_timer`). So a machine
//! stands once, and whoever wants to look elsewhere boots another.

mod bars;
mod pages;
mod place;

use crate::child::Qemu;
use crate::command_line::JOURNAL_SIZE;
use crate::error::LabError;
use crate::gdb::{self, Gdb};
use crate::results::Results;
use crate::run::{Assembled, Request};
use crate::scratch::Scratch;
use crate::symbols::Symbols;
use barkeep_journal::layout::header;
use barkeep_journal::{DeviceAddress, Event, Reader};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The stub's socket, beside the other results.
const SOCKET: &str = "gdb.sock";
/// Bytes of a socket's path (`sun_path`).
const SUN_PATH: usize = 107;
/// Frames of a stack that are told.
const FRAMES: usize = 24;
/// Where the kernel revokes.
const REVOKE: &str = "vfio_pci_dma_buf_move";

/// Why a machine does not stand where it was to.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It cannot be run.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// Its emulator's stub does not do what it should.
    #[error("the emulator cannot be stopped")]
    Stub(#[source] io::Error),
    /// No symbols for a debugger.
    #[error("a debugger has nothing to go by")]
    Symbols(#[source] io::Error),
    /// It did not come to the event in time.
    #[error("it has not come there in {0} s of wall time")]
    TimedOut(u64),
    /// As it says.
    #[error("{0}")]
    Refused(String),
}

/// The machine.
pub struct Stepped {
    qemu: Qemu,
    scratch: Scratch,
    results: Results,
    reader: Option<Reader>,
    /// `None` once a debugger has been let in.
    gdb: Option<Gdb>,
    socket: Socket,
    /// Where it stops.
    stop: u64,
    timeout: Duration,
    kernel: PathBuf,
}

/// A socket's file, which goes with it.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // QEMU may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Why it went on no further.
enum Halt {
    /// The place where it stops is elsewhere.
    Elsewhere(u64),
    TimedOut,
}

impl Stepped {
    /// Boots it, and runs it up to the event at that place.
    ///
    /// # Errors
    /// It cannot be run or stopped, or does not come there.
    pub fn up_to(request: &Request, seq: u64) -> Result<Self, StepError> {
        let predicted = place::predicted().map_err(StepError::Stub)?;
        let mut machine = Self::start(request, seq, predicted)?;
        match machine.go()? {
            None => Ok(machine),
            // This kernel puts a program elsewhere; now it is known where, and it is the same again.
            Some(there) => {
                drop(machine);
                let mut machine = Self::start(request, seq, there)?;
                match machine.go()? {
                    None => Ok(machine),
                    Some(_) => Err(StepError::Refused("the program is never where it was before".to_owned())),
                }
            }
        }
    }

    fn start(request: &Request, seq: u64, stop: u64) -> Result<Self, StepError> {
        let Assembled { line, scratch, results } = Assembled::of(request)?;
        let after = (seq + 1).to_le_bytes();
        scratch.journal.write_all_at(&after, header::STOP_AFTER as u64).map_err(LabError::Scratch)?;
        let socket = socket(results.dir());
        let listen = format!("unix:{},server=on,wait=off", socket.0.display().to_string().replace(',', ",,"));
        let line: Vec<String> = line.into_iter().chain(["-S".into(), "-gdb".into(), listen]).collect();
        let mut qemu = Qemu::start(&line, scratch.inherited()).map_err(LabError::Spawn)?;
        let connected = Gdb::connect(&socket.0, || matches!(qemu.ended(), Ok(None)));
        let mut gdb = match (connected, qemu.ended().map_err(LabError::Spawn)?) {
            (Ok(gdb), _) => gdb,
            (Err(_), Some(status)) => {
                return Err(LabError::Crashed { status, stderr: qemu.said() }.into());
            }
            (Err(error), None) => return Err(StepError::Stub(error)),
        };
        gdb.breakpoint(stop, true).map_err(StepError::Stub)?;
        let (timeout, kernel) = (request.timeout, request.kernel.clone());
        Ok(Self { qemu, scratch, results, reader: None, gdb: Some(gdb), socket, stop, timeout, kernel })
    }

    /// Goes on until it stands; or gives where it would.
    fn go(&mut self) -> Result<Option<u64>, StepError> {
        let Some(gdb) = &mut self.gdb else { return Err(gone()) };
        let (reader, journal, stop) = (&mut self.reader, &self.scratch.journal, self.stop);
        let (start, timeout) = (Instant::now(), self.timeout);
        let went = gdb.go(|| {
            join(reader, journal);
            let there = reader.as_ref().map_or(0, Reader::stops_at);
            if there != 0 && there != stop {
                return Some(Halt::Elsewhere(there));
            }
            (start.elapsed() > timeout).then_some(Halt::TimedOut)
        });
        match went {
            Ok(None) => {
                join(&mut self.reader, &self.scratch.journal);
                Ok(None)
            }
            Ok(Some(Halt::Elsewhere(there))) => Ok(Some(there)),
            Ok(Some(Halt::TimedOut)) => Err(StepError::TimedOut(self.timeout.as_secs())),
            Err(_) => Err(StepError::Refused("the run is over and has not come there".to_owned())),
        }
    }

    /// The next event that it has written. `None`: there is no more up to here.
    ///
    /// # Errors
    /// Its journal cannot be written out.
    pub fn next_event(&mut self) -> Result<Option<Event>, StepError> {
        let event = self.reader.as_mut().and_then(Reader::next_event);
        event.map(|event| self.given(event)).transpose()
    }

    /// Bytes of a BAR, from the machine's own physical memory: nobody in it knows.
    ///
    /// # Errors
    /// It does not answer now, or the machine is gone.
    pub fn bytes(
        &mut self,
        device: DeviceAddress,
        bar: u8,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, StepError> {
        let gdb = self.gdb.as_mut().ok_or_else(gone)?;
        let bars = bars::parse(&gdb.monitor("info pci").map_err(StepError::Stub)?);
        let there = bars.iter().find(|there| there.device == device && there.bar == bar);
        let there =
            there.ok_or_else(|| StepError::Refused(format!("BAR {bar} of {device} does not decode now")))?;
        let at = there.begin.checked_add(offset).filter(|at| *at <= there.end);
        let at =
            at.ok_or_else(|| StepError::Refused(format!("BAR {bar} of {device} ends before {offset:#x}")))?;
        let length = length.min((there.end - at) as usize + 1);
        gdb.physical(at, length).map_err(StepError::Stub)
    }

    /// What the process that wrote the last event has mapped, by its page tables.
    ///
    /// # Errors
    /// The machine is gone.
    pub fn mappings(&mut self) -> Result<Vec<String>, StepError> {
        let gdb = self.gdb.as_mut().ok_or_else(gone)?;
        let bars = bars::parse(&gdb.monitor("info pci").map_err(StepError::Stub)?);
        pages::mappings(gdb, &bars).map_err(StepError::Stub)
    }

    /// Lets it go on to where the kernel next revokes, leaves it standing there, and says where that is and how a
    /// debugger gets at it.
    ///
    /// # Errors
    /// It has no symbols, or does not get there.
    pub fn let_debugger_in(&mut self) -> Result<Vec<String>, StepError> {
        let symbols = &Symbols::of_kernel(&self.kernel).map_err(StepError::Symbols)?;
        let none = || StepError::Refused(format!("{} has no function {REVOKE}", symbols.path.display()));
        let address = symbols.address(REVOKE).ok_or_else(none)?;
        let mut gdb = self.gdb.take().ok_or_else(gone)?;
        let (start, timeout) = (Instant::now(), self.timeout);
        let stopped = gdb
            .breakpoint(self.stop, false)
            .and_then(|()| gdb.breakpoint(address, true))
            .and_then(|()| gdb.go(|| (start.elapsed() > timeout).then_some(())))
            .map_err(|_| {
                StepError::Refused(format!("the run has ended and not come to {REVOKE} any more"))
            })?;
        if stopped.is_some() {
            return Err(StepError::TimedOut(timeout.as_secs()));
        }
        let stack = stack(&mut gdb, symbols).map_err(StepError::Stub)?;
        gdb.breakpoint(address, false).map_err(StepError::Stub)?;
        // Without a word to the stub: so the machine stays where it is.
        drop(gdb);
        let mut told = vec!["the emulated kernel stands at".to_owned()];
        told.extend(stack.iter().map(|frame| format!("  {frame}")));
        told.push("a debugger gets at it by".to_owned());
        told.push(format!(
            "  gdb -ex 'target remote {}' {}",
            self.socket.0.display(),
            symbols.path.display()
        ));
        told.push("and lets it go on by detaching".to_owned());
        Ok(told)
    }

    fn given(&mut self, event: Event) -> Result<Event, StepError> {
        self.results.write(&event)?;
        self.results.flush()?;
        Ok(event)
    }

    /// Waits for the end of the machine, which a debugger lets go on; gives what it writes until then.
    ///
    /// # Errors
    /// Its journal cannot be written out.
    pub fn rest(&mut self) -> Result<Vec<Event>, StepError> {
        let mut rest = Vec::new();
        loop {
            let ended = self.qemu.ended().map_err(LabError::Spawn)?;
            while let Some(event) = self.next_event()? {
                rest.push(event);
            }
            if ended.is_some() {
                while let Some(event) = self.reader.as_mut().and_then(Reader::next_after_death) {
                    rest.push(self.given(event)?);
                }
                return Ok(rest);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn gone() -> StepError {
    StepError::Refused("the machine is gone".to_owned())
}

fn socket(folder: &Path) -> Socket {
    let beside = folder.join(SOCKET);
    if beside.as_os_str().len() <= SUN_PATH {
        // A former run's.
        let _ = std::fs::remove_file(&beside);
        return Socket(beside);
    }
    Socket(std::env::temp_dir().join(format!("barkeep-{}-{SOCKET}", std::process::id())))
}

/// Maps the journal once PID 1 has set it up.
fn join(reader: &mut Option<Reader>, journal: &std::fs::File) {
    if reader.is_none()
        && let Ok(file) = journal.try_clone()
    {
        *reader = Reader::open(file, JOURNAL_SIZE).ok();
    }
}

/// The innermost function first, by the frame pointers that a kernel with `CONFIG_FRAME_POINTER` keeps.
fn stack(gdb: &mut Gdb, symbols: &Symbols) -> io::Result<Vec<String>> {
    let (rip, rsp) = (gdb.register(gdb::RIP)?, gdb.register(gdb::RSP)?);
    let named = |address: u64| symbols.name(address).unwrap_or_else(|| "?".to_owned());
    let mut frames = vec![format!("{rip:#x} {}", named(rip))];
    let word = |bytes: Vec<u8>| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    // At its first instruction a function has no frame yet: its caller is on top of the stack.
    let mut next = word(gdb.memory(rsp, 8)?);
    let mut frame = gdb.register(gdb::RBP)?;
    while frames.len() < FRAMES && next >> 63 == 1 {
        frames.push(format!("{next:#x} {}", named(next)));
        let Ok(bytes) = gdb.memory(frame, 16) else { break };
        let (up, back) = bytes.split_at(8);
        let up = word(up.to_vec());
        next = word(back.to_vec());
        if up <= frame {
            break;
        }
        frame = up;
    }
    Ok(frames)
}
