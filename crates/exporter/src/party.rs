//! A process that imports, until somebody ends it: what [`crate::storm`] starts, kills, and starts again, and
//! what a row starts that is about one who dies.

use barkeep_journal::DeviceAddress;
use barkeep_model::Errno;
use barkeep_real::importer::{Attachment, Form, Limits, Manner, Session, WhenTold};
use barkeep_real::parts::BarMapping;
use barkeep_scenario::draw::Draw;
use std::fs::File;
use std::io;
use std::process::Child;
use std::thread;
use std::time::Duration;

const THREADS: u64 = 2;
const PAGE: u64 = 0x1000;
/// Bytes that are mapped for the CPU.
const MAPPED: u64 = 16 * PAGE;
/// Pauses are drawn up to this.
const PAUSE_US: u64 = 2000;

/// An answer that no importer should have had.
#[derive(Debug, thiserror::Error)]
#[error("{what} was answered {errno}")]
pub struct Unexpected {
    what: &'static str,
    errno: Errno,
}

/// What such a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Two threads do whatever an importer may, on one session, in an order drawn from this.
    Anything(u64),
    /// It maps, does not let go when it is told to, and has its CPU read the mapping all the time.
    HoldsAndReads,
}

/// Starts one that imports a dma-buf by a device, with [`serve`] in it.
pub type Start = fn(&File, DeviceAddress, Part) -> io::Result<Child>;

/// Imports `buffer` by a device, for ever; until the device is taken away, which is no failure.
///
/// # Errors
/// An answer that should not be.
pub fn serve(buffer: &File, device: DeviceAddress, part: Part) -> Result<(), Unexpected> {
    let session = match Session::open(device, Limits::NONE) {
        Ok(session) => session,
        // Not loaded, not bound, or still another's, who is being killed.
        Err(Errno::ENOENT | Errno::ENODEV | Errno::EBUSY | Errno::ENXIO) => return Ok(()),
        Err(errno) => return Err(Unexpected { what: "opening a session", errno }),
    };
    match part {
        Part::Anything(seed) => do_anything(&session, buffer, seed),
        Part::HoldsAndReads => hold_and_read(&session, buffer),
    }
}

fn hold_and_read(session: &Session, buffer: &File) -> Result<(), Unexpected> {
    let mapping = BarMapping::of_buffer(buffer, 0, MAPPED).named("mmap")?;
    let attachment = session.attach(buffer, Manner::peer(WhenTold::Hold(0))).named("attach")?;
    attachment.map(Form::Table).named("map")?;
    loop {
        mapping.read(PAGE).map(drop).but(Errno::EFAULT).named("reading by mmap")?;
        thread::sleep(Duration::from_micros(PAUSE_US));
    }
}

fn do_anything(session: &Session, buffer: &File, seed: u64) -> Result<(), Unexpected> {
    thread::scope(|scope| {
        let threads = (0..THREADS).map(|number| {
            let session = session.clone();
            scope.spawn(move || Importer { session, buffer }.import(&mut Draw::new(seed * THREADS + number)))
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}

struct Importer<'a> {
    session: Session,
    buffer: &'a File,
}

impl Importer<'_> {
    fn import(&self, draw: &mut Draw) -> Result<(), Unexpected> {
        loop {
            match self.once(draw) {
                // Revoked, or there is no device any more: what tells them apart is the next session.
                Ok(()) | Err(Unexpected { errno: Errno::ENODEV, .. }) => {}
                Err(unexpected) => return Err(unexpected),
            }
            if self.is_over() {
                return Ok(());
            }
            thread::sleep(Duration::from_micros(draw.up_to(PAUSE_US)));
        }
    }

    /// Whether the device was taken from this session: then nothing is ever attached again.
    fn is_over(&self) -> bool {
        // Something that is no dma-buf is refused as such only by a session that has a device.
        let node = File::open("/dev/null");
        node.is_ok_and(|node| {
            self.session.attach(&node, Manner::PEER).is_err_and(|errno| errno == Errno::ENODEV)
        })
    }

    /// One attachment, from its begin to its end, or as far as it gets.
    fn once(&self, draw: &mut Draw) -> Result<(), Unexpected> {
        let when_told = match draw.up_to(4) {
            0 => WhenTold::MapAgain,
            1 => WhenTold::Hold(1 + draw.up_to(20) as u32),
            // Whoever kills this process lets it go.
            2 if draw.up_to(7) == 0 => WhenTold::Hold(0),
            _ => WhenTold::LetGo,
        };
        let attachment = self.session.attach(self.buffer, Manner::peer(when_told)).named("attach")?;
        for _ in 0..draw.up_to(6) {
            self.step(&attachment, when_told, draw)?;
            thread::sleep(Duration::from_micros(draw.up_to(PAUSE_US)));
        }
        if draw.up_to(15) == 0 {
            attachment.leave();
        }
        Ok(())
    }

    fn step(&self, attachment: &Attachment, when_told: WhenTold, draw: &mut Draw) -> Result<(), Unexpected> {
        match draw.up_to(6) {
            0 | 1 => {
                let holds = matches!(when_told, WhenTold::Hold(_));
                let form = if !holds && draw.up_to(2) == 0 { Form::Range } else { Form::Table };
                attachment.map(form).map(drop).but(Errno::EEXIST).named("map")
            }
            2 => attachment.unmap().but(Errno::ENOLINK).named("unmap"),
            3 => attachment.use_at(PAGE).map(drop).named("use"),
            4 => attachment.segments(draw.up_to(1) == 0).map(drop).but(Errno::ENOLINK).named("segments"),
            5 => {
                attachment.pin().but(Errno::EALREADY).named("pin")?;
                attachment.state().map(drop).named("state")
            }
            _ => touch(self.buffer),
        }
    }
}

/// A CPU's access, where the kernel has mmap() of dma-bufs.
fn touch(buffer: &File) -> Result<(), Unexpected> {
    match BarMapping::of_buffer(buffer, 0, MAPPED) {
        Ok(mapping) => mapping.read(PAGE).map(drop).but(Errno::EFAULT).named("reading by mmap"),
        Err(Errno::EINVAL) => Ok(()),
        Err(errno) => Err(Unexpected { what: "mmap", errno }),
    }
}

trait Answered: Sized {
    /// With this errno as good an answer as any.
    fn but(self, errno: Errno) -> Self;
}

impl Answered for Result<(), Errno> {
    fn but(self, errno: Errno) -> Self {
        self.or_else(|other| if other == errno { Ok(()) } else { Err(other) })
    }
}

trait Named<T> {
    fn named(self, what: &'static str) -> Result<T, Unexpected>;
}

impl<T> Named<T> for Result<T, Errno> {
    fn named(self, what: &'static str) -> Result<T, Unexpected> {
        self.map_err(|errno| Unexpected { what, errno })
    }
}
