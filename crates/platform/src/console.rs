//! The serial port, as the guest's console: a 16550 whose output goes to a writer and whose input comes
//! from whoever types.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use vm_superio::Trigger;
use vm_superio::serial::{Serial, SerialEvents};

/// What raises the port's interrupt: an edge, each time.
pub type Line = Box<dyn Fn() + Send + Sync>;

/// What a console writes to, and what interrupts the guest.
pub struct Ends {
    /// Where what the guest writes goes.
    pub output: Box<dyn Write + Send>,
    /// `None`: the guest polls, and has no interrupts (the probe).
    pub line: Option<Line>,
}

/// A guest's console.
pub struct Console {
    port: Mutex<Serial<Wire, Arc<Room>, Box<dyn Write + Send>>>,
    room: Arc<Room>,
}

/// The interrupt, where it is wired.
struct Wire(Option<Line>);

impl Trigger for Wire {
    type E = std::convert::Infallible;

    fn trigger(&self) -> Result<(), Self::E> {
        if let Some(raise) = &self.0 {
            raise();
        }
        Ok(())
    }
}

/// Whether there is room for more input, as far as is known without looking.
#[derive(Default)]
struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The guest has read all there was since somebody last waited.
    emptied: bool,
    /// Nobody reads any more.
    closed: bool,
}

impl Room {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the guest has read what there was; false if it never will.
    fn wait(&self) -> bool {
        let state = self.changed.wait_while(self.state(), |state| !state.emptied && !state.closed);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.emptied = false;
        !state.closed
    }
}

impl SerialEvents for Room {
    fn buffer_read(&self) {}

    fn out_byte(&self) {}

    fn tx_lost_byte(&self) {}

    fn in_buffer_empty(&self) {
        self.state().emptied = true;
        self.changed.notify_all();
    }
}

impl Console {
    /// A port as after power-on.
    #[must_use]
    pub fn new(Ends { output, line }: Ends) -> Self {
        let room = Arc::new(Room::default());
        Self { port: Mutex::new(Serial::with_events(Wire(line), Arc::clone(&room), output)), room }
    }

    /// A read of one of its eight registers.
    #[must_use]
    pub fn read(&self, register: u8) -> u8 {
        self.port.lock().unwrap_or_else(PoisonError::into_inner).read(register)
    }

    /// A write to one of them.
    pub fn write(&self, register: u8, value: u8) {
        // The output's own errors are the terminal's, and not the guest's to know.
        let _ = self.port.lock().unwrap_or_else(PoisonError::into_inner).write(register, value);
    }

    /// Types, and waits for the guest to read where it types slower than that. False once nobody will
    /// ever read it: see [`Self::close`].
    pub fn type_in(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            // Locked for a moment only: the guest has to read meanwhile.
            let taken = self.port.lock().unwrap_or_else(PoisonError::into_inner).enqueue_raw_bytes(bytes);
            match taken {
                // In loopback mode there is no outside: what is typed then is lost, as on a real one.
                Ok(0) => return !self.room.state().closed,
                Ok(taken) => bytes = &bytes[taken..],
                Err(_full) => {
                    if !self.room.wait() {
                        return false;
                    }
                }
            }
        }
        !self.room.state().closed
    }

    /// Has whoever types give up.
    pub fn close(&self) {
        self.room.state().closed = true;
        self.room.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const DATA: u8 = 0;
    const INTERRUPTS: u8 = 1;
    const LINE_STATUS: u8 = 5;
    const READY: u8 = 1;

    fn console(raised: &Arc<AtomicUsize>) -> Console {
        let raised = Arc::clone(raised);
        let line: Line = Box::new(move || {
            raised.fetch_add(1, Ordering::Relaxed);
        });
        Console::new(Ends { output: Box::new(std::io::sink()), line: Some(line) })
    }

    #[test]
    fn who_types_faster_than_the_guest_reads_waits_and_nothing_is_lost() {
        let raised = Arc::new(AtomicUsize::new(0));
        let console = console(&raised);
        console.write(INTERRUPTS, 1);
        let text: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut read = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(console.type_in(&text)));
            while read.len() < text.len() {
                if console.read(LINE_STATUS) & READY != 0 {
                    read.push(console.read(DATA));
                } else {
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(read, text);
        assert!(raised.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn who_types_to_nobody_gives_up_once_it_is_closed() {
        let console = console(&Arc::default());
        std::thread::scope(|scope| {
            let typist = scope.spawn(|| console.type_in(&[b'x'; 1000]));
            console.close();
            assert!(!typist.join().unwrap());
        });
    }
}
