// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Random accesses to a list of places: `guest-kernel/probe/scribble.c`.

use super::paging::Paging;
use super::work::Progress;
use super::{Again, Memory};
use crate::mailbox::SCRIBBLE_MOST_PLACES;
use crate::{Command, Refusal, Reply, ScribbleCounts, Width};

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_ENABLE: u64 = 0x8000_0000;
const ECAM_SIZE: u64 = 0x1000_0000;
const LAST_PLACE: u64 = (4 << 30) - 16;
/// Bytes of an entry of the table.
const ENTRY: u64 = 16;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Drawn,
    Plain,
    Known,
    Flipped,
}

/// What is drawn of an access.
#[derive(Debug, Clone, Copy)]
struct How(u64);

impl How {
    fn width(self) -> Width {
        match self.0 & 3 {
            0 => Width::One,
            1 => Width::Two,
            2 => Width::Four,
            _ => Width::Eight,
        }
    }

    fn port_width(self) -> Width {
        match self.width() {
            Width::Eight => Width::Four,
            narrow => narrow,
        }
    }

    fn writes(self) -> bool {
        self.0 >> 2 & 1 != 0
    }

    fn odd_start(self) -> u64 {
        (self.0 >> 6 & 1) * (self.0 >> 3 & 7)
    }

    fn by_port(self) -> bool {
        self.0 >> 7 & 15 == 0
    }

    fn sort(self) -> Sort {
        match self.0 >> 11 & 3 {
            0 => Sort::Drawn,
            1 => Sort::Plain,
            2 => Sort::Known,
            _ => Sort::Flipped,
        }
    }

    fn odd_port(self) -> bool {
        self.0 >> 13 & 3 == 0
    }

    fn port(self) -> u16 {
        (self.0 >> 16 & 7) as u16
    }

    fn flipped(self) -> u64 {
        self.0 >> 24 & 63
    }

    fn entry(self) -> u64 {
        self.0 >> 32
    }
}

/// The next access.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Whether an entry of the table is a place.
    Check(u64),
    Stop,
    Place(How, u64),
    /// The value beside the place.
    Known(How, u64),
    /// What is to be written back changed.
    Flip(How, u64),
    Memory(How, u64, u64),
    /// The address port, then the other.
    Select(How, u64, u64),
    Port(How, u16, u64),
}

/// A Scribble on its way.
#[derive(Debug, Clone)]
pub(super) struct Scribbling {
    table: u64,
    entries: u64,
    accesses: u64,
    state: u64,
    ecam: u64,
    stop_word: u64,
    counts: ScribbleCounts,
    next: Next,
}

impl Scribbling {
    /// Looks at the arguments of a [`Command::Scribble`].
    pub fn new(command: Command, paging: &mut Paging) -> Result<Self, Refusal> {
        let Command::Scribble { table, entries, accesses, seed, ecam, stop_word } = command else {
            return Err(Refusal::BadOpcode);
        };
        let words = table != 0 && table.is_multiple_of(8) && stop_word.is_multiple_of(8);
        if !words || !(1..=SCRIBBLE_MOST_PLACES).contains(&entries) {
            return Err(Refusal::BadArgument);
        }
        paging.cover(table, ENTRY * entries)?;
        paging.cover(stop_word, 8)?;
        let (counts, next) = (ScribbleCounts::default(), Next::Check(0));
        Ok(Self { table, entries, accesses, state: seed, ecam, stop_word, counts, next })
    }

    /// Takes it to its next access.
    pub fn step(&mut self, memory: &mut dyn Memory) -> Result<Progress, Again> {
        match self.next {
            Next::Check(entry) => {
                if memory.read(self.table + ENTRY * entry, Width::Eight)? > LAST_PLACE {
                    return Ok(Progress::Over(Err(Refusal::BadArgument)));
                }
                self.next = if entry + 1 < self.entries { Next::Check(entry + 1) } else { Next::Stop };
            }
            Next::Stop => return self.begin(memory),
            Next::Place(how, value) => {
                let place = memory.read(self.entry(how), Width::Eight)?;
                self.next = match how.sort() {
                    Sort::Known => Next::Known(how, place),
                    Sort::Drawn | Sort::Plain | Sort::Flipped => self.place(how, place, value),
                };
            }
            Next::Known(how, place) => {
                let value = memory.read(self.entry(how) + 8, Width::Eight)?;
                self.next = self.place(how, place, value);
            }
            Next::Flip(how, address) => {
                let width = how.width();
                let read = memory.read(address, width)?;
                self.count_read(read, width);
                self.next = Next::Memory(how, address, read ^ 1 << (how.flipped() % (8 * width.bytes())));
            }
            Next::Memory(how, address, value) => {
                let width = how.width();
                if how.writes() {
                    memory.write(address, width, value & width.all_ones())?;
                    self.counts.writes += 1;
                } else {
                    let read = memory.read(address, width)?;
                    self.count_read(read, width);
                }
                self.done();
            }
            Next::Select(how, register, value) => {
                let select = CONFIG_ENABLE | register >> 12 << 8 | register & 0xfc;
                memory.port_write(CONFIG_ADDRESS, Width::Four, select)?;
                self.next = Next::Port(how, CONFIG_DATA + (how.port() & 3), value);
            }
            Next::Port(how, port, value) => {
                let width = how.port_width();
                if how.writes() {
                    memory.port_write(port, width, value & width.all_ones())?;
                    self.counts.writes += 1;
                } else {
                    let read = memory.port_read(port, width)?;
                    self.count_read(read, width);
                }
                self.counts.ports += 1;
                self.done();
            }
        }
        Ok(Progress::Went)
    }

    fn begin(&mut self, memory: &mut dyn Memory) -> Result<Progress, Again> {
        if self.counts.accesses == self.accesses {
            return Ok(self.over());
        }
        if self.stop_word != 0 && memory.read(self.stop_word, Width::Eight)? != 0 {
            self.counts.stopped = true;
            return Ok(self.over());
        }
        let how = How(self.draw());
        let drawn = self.draw();
        let value = match how.sort() {
            Sort::Plain => (drawn & 1).wrapping_neg(),
            Sort::Drawn | Sort::Known | Sort::Flipped => drawn,
        };
        self.next = Next::Place(how, value);
        Ok(Progress::Went)
    }

    fn place(&self, how: How, place: u64, value: u64) -> Next {
        let register = place.wrapping_sub(self.ecam);
        if how.by_port() && self.ecam != 0 && register < ECAM_SIZE {
            return match how.odd_port() {
                true => Next::Port(how, CONFIG_ADDRESS + how.port(), value),
                false => Next::Select(how, register, value),
            };
        }
        let address = place + how.odd_start();
        match how.sort() {
            Sort::Flipped if how.writes() => Next::Flip(how, address),
            Sort::Drawn | Sort::Plain | Sort::Known | Sort::Flipped => Next::Memory(how, address, value),
        }
    }

    fn entry(&self, how: How) -> u64 {
        self.table + ENTRY * (how.entry() % self.entries)
    }

    fn count_read(&mut self, value: u64, width: Width) {
        self.counts.reads += 1;
        self.counts.ones += u64::from(value == width.all_ones());
    }

    fn done(&mut self) {
        self.counts.accesses += 1;
        self.next = Next::Stop;
    }

    fn over(&self) -> Progress {
        Progress::Over(Ok(Reply::Scribbled(self.counts)))
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }
}
