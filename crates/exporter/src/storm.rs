//! Resets under importers that come and go as badly as they can: killed in the middle of whatever they do,
//! their device taken from its driver under them, the module taken out of the kernel. What is judged is
//! that every reset ends, that no importer is answered what it should not be, and, by whoever reads the
//! kernel's log, that it has nothing to say.

use crate::party::Part;
use crate::row::{StepExt, Trouble};
use crate::stage::{Event, Exporter, Opened, Stage};
use barkeep_real::importer::{DRIVER, Form, Limits, Manner};
use barkeep_scenario::draw::Draw;
use rustix::system::{delete_module, finit_module};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes that are exported.
const LENGTH: u64 = 1 << 20;
/// The module's name in the kernel.
const MODULE: &std::ffi::CStr = c"barkeep_importer";
/// An importer lives up to this long.
const LIFE_MS: u64 = 40;
/// Resets between two closes of the exporter, at the most.
const UNTIL_CLOSE: u64 = 40;

/// One.
pub struct Storm<'a> {
    /// Resets, and whatever else revokes.
    pub resets: u64,
    /// What all is drawn from.
    pub seed: u64,
    /// The importer's module, to be loaded again.
    pub module: &'a Path,
}

/// What it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Resets that ended.
    pub resets: u64,
    /// Closes of the exporter among them.
    pub closes: u64,
    /// Importers that were started.
    pub importers: u64,
    /// Those that were killed.
    pub killed: u64,
    /// Times the device was taken from the driver under one.
    pub unbound: u64,
    /// Times the module was taken out.
    pub unloaded: u64,
    /// Times it refused, because it was in use.
    pub in_use: u64,
}

/// Why it is no pass.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The exporter did not do something.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// An importer ended otherwise than by being killed.
    #[error("an importer ended by itself: {0}; what it says stands above")]
    Importer(ExitStatus),
    /// Something of the testbed's own.
    #[error("cannot {0}")]
    Io(&'static str, #[source] io::Error),
}

/// What both threads know.
struct Shared {
    buffer: Mutex<Option<File>>,
    /// Held by who starts a process, and by who closes the device. Between its fork and its exec a process has
    /// all of our files: closed meanwhile, the device would stay open, and `vfio_df_open` answers the next
    /// bind with EINVAL (a device's own file has one user at a time).
    forking: Mutex<()>,
    resets: AtomicU64,
    closes: AtomicU64,
    over: AtomicBool,
}

impl Storm<'_> {
    /// Carries it out; at its end everything works.
    ///
    /// # Errors
    /// See [`Broken`]. A reset that does not end is none of them: nobody comes back to tell.
    pub fn carry_out(&self, stage: &Stage) -> Result<Came, Broken> {
        let shared = Shared {
            buffer: Mutex::new(None),
            forking: Mutex::new(()),
            resets: AtomicU64::new(0),
            closes: AtomicU64::new(0),
            over: AtomicBool::new(false),
        };
        let came = thread::scope(|scope| {
            let resetting = scope.spawn(|| {
                let done = self.reset(&stage.function, &shared);
                shared.over.store(true, Ordering::Release);
                done
            });
            let came = self.disturb(stage, &shared);
            // Whoever was to disturb and cannot is no reason to leave resets half done.
            let reset = resetting.join().unwrap_or(Ok(()));
            reset.map_err(Broken::from).and(came)
        })?;
        self.load()?;
        works(stage)?;
        let (resets, closes) = (shared.resets.into_inner(), shared.closes.into_inner());
        Ok(Came { resets, closes, ..came })
    }

    fn reset(&self, exporter: &Exporter, shared: &Shared) -> Result<(), Trouble> {
        let mut draw = Draw::new(self.seed);
        let done = || shared.resets.load(Ordering::Relaxed);
        while done() < self.resets {
            let opened = exporter.open()?;
            let exported = opened.export(&[(0, LENGTH)])?;
            *shared.buffer.lock().unwrap_or_else(PoisonError::into_inner) = Some(exported);
            for _ in 0..1 + draw.up_to(UNTIL_CLOSE) {
                one(&opened, &mut draw)?;
                shared.resets.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_micros(draw.up_to(3000)));
            }
            // The dma-buf outlives it, in this process or in an importer's.
            let forking = shared.forking.lock().unwrap_or_else(PoisonError::into_inner);
            drop(opened);
            drop(forking);
            shared.closes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn disturb(&self, stage: &Stage, shared: &Shared) -> Result<Came, Broken> {
        let mut draw = Draw::new(!self.seed);
        let mut came = Came::default();
        while !shared.over.load(Ordering::Acquire) {
            let buffer = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            let buffer = buffer.as_ref().map(File::try_clone).transpose();
            let Some(buffer) = buffer.map_err(|e| Broken::Io("duplicate a descriptor", e))? else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            came.importers += 1;
            let forking = shared.forking.lock().unwrap_or_else(PoisonError::into_inner);
            let importer = (stage.start)(&buffer, stage.importer, Part::Anything(self.seed + came.importers));
            drop(forking);
            let mut importer = importer.map_err(|e| Broken::Io("start an importer", e))?;
            thread::sleep(Duration::from_millis(1 + draw.up_to(LIFE_MS)));
            let ended = match draw.up_to(9) {
                0 => self.unbind(stage, &mut came),
                1 => self.unload(&mut came),
                _ => Ok(()),
            };
            let kill = importer.kill().and_then(|()| importer.wait());
            let status = kill.map_err(|e| Broken::Io("end an importer", e))?;
            ended?;
            match status.code() {
                // By a signal, and nobody else sends one.
                None => came.killed += 1,
                Some(0) => {}
                Some(_) => return Err(Broken::Importer(status)),
            }
            if draw.up_to(9) == 0 {
                // Nobody has it now, unless the kernel is not done with who was killed.
                self.unload(&mut came)?;
            }
        }
        Ok(came)
    }

    /// Takes the device from the driver, under whoever has a session of it, and gives it back.
    fn unbind(&self, stage: &Stage, came: &mut Came) -> Result<(), Broken> {
        let driver = Path::new("/sys/bus/pci/drivers").join(DRIVER);
        let address = stage.importer.to_string();
        std::fs::write(driver.join("unbind"), &address)
            .map_err(|e| Broken::Io("unbind the importing device", e))?;
        came.unbound += 1;
        std::fs::write(driver.join("bind"), &address).map_err(|e| Broken::Io("bind the importing device", e))
    }

    /// Takes the module out, which it refuses while a session is open, and puts it back.
    fn unload(&self, came: &mut Came) -> Result<(), Broken> {
        match delete_module(MODULE, rustix::fs::OFlags::NONBLOCK.bits().cast_signed()) {
            Ok(()) => came.unloaded += 1,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::BUSY) => {
                came.in_use += 1;
                return Ok(());
            }
            Err(errno) => return Err(Broken::Io("take the module out", errno.into())),
        }
        self.load()
    }

    /// Loads it, if it is not.
    fn load(&self) -> Result<(), Broken> {
        let file = File::open(self.module).map_err(|e| Broken::Io("open the importer's module", e))?;
        match finit_module(&file, c"", 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(errno) => Err(Broken::Io("load the importer's module", errno.into())),
        }
    }
}

/// Something that revokes, and its end.
fn one(opened: &Opened<'_>, draw: &mut Draw) -> Result<(), Trouble> {
    let event = Event::ANYWHERE[draw.up_to(Event::ANYWHERE.len() as u64 - 1) as usize];
    if let Some(done) = opened.revoke(event) {
        done.step(event.name())?;
        if !event.ends_by_itself() {
            thread::sleep(Duration::from_micros(draw.up_to(2000)));
        }
        opened.restore(event).step("bring access back")?;
    }
    Ok(())
}

/// Whether it all still does.
fn works(stage: &Stage) -> Result<(), Trouble> {
    let opened = stage.function.open()?;
    let buffer = opened.export(&[(0, LENGTH)])?;
    let attachment = stage.import(Limits::NONE)?.attach(&buffer, Manner::PEER).step("attach in the end")?;
    attachment.map(Form::Table).step("map in the end").map(drop)
}
