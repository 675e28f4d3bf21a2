// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A command on its way: `guest-kernel/probe/{commands,memory,edu}.c`, access by access.

use super::hammer::Hammering;
use super::paging::Paging;
use super::scribble::Scribbling;
use super::watch::Watching;
use super::{Again, Memory};
use crate::command::pattern_word;
use crate::reply::Mismatch;
use crate::{Command, DmaDirection, Refusal, Reply, Width};

const DMA_SOURCE: u64 = 0x80;
const DMA_DESTINATION: u64 = 0x88;
const DMA_COUNT: u64 = 0x90;
const DMA_COMMAND: u64 = 0x98;
const COMMAND_START: u64 = 1;
const COMMAND_DIRECTION_SHIFT: u32 = 1;
const FIRST_PAUSE_NS: u64 = 1_000_000;
const LONGEST_PAUSE_NS: u64 = 16_000_000;

/// How far a command came.
pub(super) enum Progress {
    Went,
    Sleeps(u64),
    Over(Result<Reply, Refusal>),
}

/// A command on its way. Arguments were looked at before its first access.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Nothing is left to do.
    Done(Result<Reply, Refusal>),
    Read(u64, Width),
    Write(u64, Width, u64),
    Fill(Words),
    Verify(Words, Option<Mismatch>),
    /// From, to, and the word that was read and is to be written.
    Copy(u64, Words, Option<u64>),
    /// Writes that are still to be made, the last one first.
    Program(Vec<(u64, u64)>),
    Look(u64),
    Wait(Waiting),
    Sleep(u64),
    Hammer(Box<Hammering>),
    Watch(Box<Watching>),
    /// Looks at its table in memory before it begins: whether it can is not known before.
    Scribble(Box<Scribbling>),
}

/// A walk through `u32` words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    address: u64,
    length: u64,
    offset: u64,
    pattern: u32,
    step: u32,
}

/// Waiting for edu.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    bar: u64,
    max_ns: u64,
    looks: u64,
    waited_ns: u64,
    /// How long it sleeps before the next look, and whether it has.
    pause_ns: u64,
    slept: bool,
}

impl Work {
    /// Begins a command on vCPU `own` of `up`.
    pub fn new(command: Command, paging: &mut Paging, up: u64, own: u64) -> Self {
        Self::begin(command, paging, up, own).unwrap_or_else(|refusal| Self::Done(Err(refusal)))
    }

    fn begin(command: Command, paging: &mut Paging, up: u64, own: u64) -> Result<Self, Refusal> {
        Ok(match command {
            Command::Echo { value } => Self::Done(Ok(Reply::Value(value))),
            Command::Cpus => Self::Done(Ok(Reply::Cpus { up, own })),
            Command::Read { address, width } => {
                one(address, width, paging)?;
                Self::Read(address, width)
            }
            Command::Write { address, width, value } => {
                one(address, width, paging)?;
                Self::Write(address, width, value & width.all_ones())
            }
            Command::Fill { address, length, pattern, step } => {
                Self::Fill(Words::new(address, length, pattern, step, paging)?)
            }
            Command::Verify { address, length, pattern, step } => {
                Self::Verify(Words::new(address, length, pattern, step, paging)?, None)
            }
            Command::Copy { from, to, length } => {
                // Both are looked at before the first is touched.
                Words::new(from, length, 0, 0, paging)?;
                Self::Copy(from, Words::new(to, length, 0, 0, paging)?, None)
            }
            Command::EduStart { edu_bar, source, destination, length, direction } => {
                paging.cover(edu_bar, 4096)?;
                let direction: u64 = match direction {
                    DmaDirection::FromMemory => 0,
                    DmaDirection::ToMemory => 1,
                };
                let start = COMMAND_START | direction << COMMAND_DIRECTION_SHIFT;
                Self::Program(vec![
                    (edu_bar + DMA_COMMAND, start),
                    (edu_bar + DMA_COUNT, length),
                    (edu_bar + DMA_DESTINATION, destination),
                    (edu_bar + DMA_SOURCE, source),
                ])
            }
            Command::EduBusy { edu_bar } => {
                paging.cover(edu_bar, 4096)?;
                Self::Look(edu_bar)
            }
            Command::EduWait { edu_bar, max_ns } => {
                paging.cover(edu_bar, 4096)?;
                Self::Wait(Waiting {
                    bar: edu_bar,
                    max_ns,
                    looks: 0,
                    waited_ns: 0,
                    pause_ns: FIRST_PAUSE_NS,
                    slept: false,
                })
            }
            Command::Sleep { ns } => Self::Sleep(ns),
            Command::Hammer { .. } => Self::Hammer(Box::new(Hammering::new(command, paging)?)),
            Command::Watch { .. } => Self::Watch(Box::new(Watching::new(command, paging)?)),
            Command::Scribble { .. } => Self::Scribble(Box::new(Scribbling::new(command, paging)?)),
            Command::Halt => Self::Done(Ok(Reply::Done)),
            Command::Trap => {
                const INVALID_OPCODE: u64 = 6;
                return Err(Refusal::Exception { vector: INVALID_OPCODE, error: 0, rip: 0, cr2: 0 });
            }
        })
    }

    /// Takes it to its next access.
    ///
    /// # Errors
    /// The access did not take place.
    pub fn step(&mut self, memory: &mut dyn Memory) -> Result<Progress, Again> {
        let done = Progress::Over(Ok(Reply::Done));
        Ok(match self {
            Self::Done(reply) => Progress::Over(*reply),
            Self::Read(address, width) => Progress::Over(Ok(Reply::Value(memory.read(*address, *width)?))),
            Self::Write(address, width, value) => {
                memory.write(*address, *width, *value)?;
                done
            }
            Self::Fill(words) if words.over() => done,
            Self::Fill(words) => {
                memory.write(words.at(), Width::Four, words.word().into())?;
                words.next()
            }
            Self::Verify(words, mismatch) if words.over() => {
                Progress::Over(Ok(Reply::Verified { mismatch: *mismatch }))
            }
            Self::Verify(words, mismatch) => {
                let found = memory.read(words.at(), Width::Four)? as u32;
                if found != words.word() {
                    let first = Mismatch { words: 0, first_offset: words.offset, first_value: found };
                    mismatch.get_or_insert(first).words += 1;
                }
                words.next()
            }
            Self::Copy(_, words, _) if words.over() => done,
            Self::Copy(from, words, held) => match *held {
                None => {
                    *held = Some(memory.read(*from + words.offset, Width::Four)?);
                    Progress::Went
                }
                Some(word) => {
                    memory.write(words.at(), Width::Four, word)?;
                    *held = None;
                    words.next()
                }
            },
            Self::Program(writes) => match writes.last() {
                None => done,
                Some(&(register, value)) => {
                    memory.write(register, Width::Eight, value)?;
                    writes.pop();
                    Progress::Went
                }
            },
            Self::Look(bar) => Progress::Over(look(*bar, memory)?.map(Reply::Busy)),
            Self::Wait(waiting) => waiting.step(memory)?,
            Self::Sleep(0) => done,
            Self::Sleep(ns) => Progress::Sleeps(std::mem::take(ns)),
            Self::Hammer(hammering) => hammering.step(memory)?,
            Self::Watch(watching) => watching.step(memory)?,
            Self::Scribble(scribbling) => scribbling.step(memory)?,
        })
    }
}

impl Words {
    fn new(address: u64, length: u64, pattern: u32, step: u32, paging: &mut Paging) -> Result<Self, Refusal> {
        if !address.is_multiple_of(4) || !length.is_multiple_of(4) {
            return Err(Refusal::BadArgument);
        }
        paging.cover(address, length)?;
        Ok(Self { address, length, offset: 0, pattern, step })
    }

    fn over(&self) -> bool {
        self.offset == self.length
    }

    fn at(&self) -> u64 {
        self.address + self.offset
    }

    fn word(&self) -> u32 {
        pattern_word(self.pattern, self.step, (self.offset / 4) as u32)
    }

    fn next(&mut self) -> Progress {
        self.offset += 4;
        Progress::Went
    }
}

impl Waiting {
    /// Sleeps before the first look, too, as the probe does.
    fn step(&mut self, memory: &mut dyn Memory) -> Result<Progress, Again> {
        if !self.slept {
            self.slept = true;
            return Ok(Progress::Sleeps(self.pause_ns));
        }
        let looked = look(self.bar, memory)?;
        self.slept = false;
        self.looks += 1;
        self.waited_ns += self.pause_ns;
        let (looks, left_ns) = (self.looks, self.max_ns.saturating_sub(self.waited_ns));
        self.pause_ns = (2 * self.pause_ns).min(LONGEST_PAUSE_NS).min(left_ns);
        Ok(match looked {
            Err(refusal) => Progress::Over(Err(refusal)),
            Ok(false) => Progress::Over(Ok(Reply::Waited { looks })),
            Ok(true) if left_ns == 0 => Progress::Over(Err(Refusal::TimedOut { looks })),
            Ok(true) => Progress::Went,
        })
    }
}

/// Whether edu is busy.
fn look(bar: u64, memory: &mut dyn Memory) -> Result<Result<bool, Refusal>, Again> {
    let command = memory.read(bar + DMA_COMMAND, Width::Eight)?;
    Ok(if command == u64::MAX { Err(Refusal::Gone) } else { Ok(command & COMMAND_START != 0) })
}

fn one(address: u64, width: Width, paging: &mut Paging) -> Result<(), Refusal> {
    if !address.is_multiple_of(width.bytes()) {
        return Err(Refusal::BadArgument);
    }
    paging.cover(address, width.bytes())
}
