//! A second process beside a VMM: the importer of this crate, with the window of a VM's device. From
//! here it is started, asked and ended; [`crate::process::second`] is how it runs.

use crate::children::{PROCESS_COMMAND, SECOND};
use crate::step::ImporterStep;
use crate::talk::{Ask, ask, pair, say};
use barkeep_export::{Errno, Imported, Importing, SECOND_IOVA, SecondEnd, SecondProcess};
use barkeep_journal::DeviceAddress;
use barkeep_model::Answer;
use barkeep_real::parts::send;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SIGKILL: i32 = 9;

/// One that runs. Dropped, it is killed.
pub struct Second {
    child: Mutex<Child>,
    conductor: Mutex<OwnedFd>,
}

impl Second {
    /// Starts one and hands `buffer`, the dma-buf of the window, over. With `engine` it opens that
    /// device and attaches it to its I/O address space.
    ///
    /// # Errors
    /// No process, no sockets; EINVAL where somebody has the engine open.
    pub fn start(buffer: &File, imported: Imported, engine: Option<DeviceAddress>) -> Result<Self, Errno> {
        let (conductor, theirs) = pair().map_err(errno)?;
        let (handing, taking) = pair().map_err(errno)?;
        let mut command = Command::new("/proc/self/exe");
        command.args([PROCESS_COMMAND, SECOND]).stdin(Stdio::from(theirs)).stdout(Stdio::from(taking));
        let child = command.spawn().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        // The command has the other ends of both sockets; with it they go.
        drop(command);
        let second = Self { child: Mutex::new(child), conductor: Mutex::new(conductor) };
        let Imported { device, bar, address, size } = imported;
        second.ask(&Ask::Outlives { device: device.to_string(), bar, address, size })?;
        let engine = engine.map(|engine| engine.to_string());
        second.ask(&Ask::SetUpImporter { address: engine, iova: SECOND_IOVA, length: size })?;
        send(&handing, buffer).map_err(errno)?;
        second.ask(&Ask::Importer(ImporterStep::Receive))?;
        Ok(second)
    }

    fn ask(&self, what: &Ask) -> Result<u64, Errno> {
        // One question at a time; its end needs none.
        match ask(&lock(&self.conductor), what).map_err(errno)? {
            Answer::Ok(value) => Ok(value),
            Answer::Failed(refused) => Err(errno(refused)),
            // It has given up what that takes.
            Answer::Idle => Err(Errno::BADF),
            Answer::Hung => Err(Errno::TIMEDOUT),
        }
    }
}

impl Importing for Second {
    fn import(&self) -> Result<(), Errno> {
        self.ask(&Ask::Importer(ImporterStep::Map)).map(drop)
    }

    fn unmap(&self) -> Result<u64, Errno> {
        self.ask(&Ask::Importer(ImporterStep::Unmap))
    }

    fn drop_buffer(&self) -> Result<(), Errno> {
        self.ask(&Ask::Importer(ImporterStep::CloseBuffer)).map(drop)
    }
}

impl SecondProcess for Second {
    fn dma_start(&self, iova: u64, word: u32) -> Result<(), Errno> {
        self.ask(&Ask::StartDma(iova, word)).map(drop)
    }

    fn dma_finish(&self) -> Result<(), Errno> {
        self.ask(&Ask::FinishDma).map(drop)
    }

    fn end(&self, how: SecondEnd) -> Result<(), Errno> {
        match how {
            // Without a word it would take us for dead.
            SecondEnd::Exit => say(&lock(&self.conductor), &Ask::Exit).map_err(errno)?,
            SecondEnd::Kill => lock(&self.child).kill().map_err(|_| Errno::IO)?,
        }
        // Files and mappings are given up before a parent gets to know (`do_exit`).
        let status = lock(&self.child).wait().map_err(|_| Errno::IO)?;
        let expected = match how {
            SecondEnd::Exit => status.code() == Some(0),
            SecondEnd::Kill => status.signal() == Some(SIGKILL),
        };
        if expected { Ok(()) } else { Err(Errno::IO) }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // Both fail only where it has been waited for.
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn errno(errno: barkeep_model::Errno) -> Errno {
    Errno::from_raw_os_error(errno.number())
}
