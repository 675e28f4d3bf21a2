// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Waiting for an outage, to look and to act inside it: `guest-kernel/probe/watch.c`.

use super::paging::Paging;
use super::work::Progress;
use super::{Again, Memory};
use crate::mailbox::PHASE_OUT;
use crate::{Command, Refusal, Reply, Seen, Width};

/// The next access.
#[derive(Debug, Clone, Copy)]
enum Next {
    Look,
    Stop,
    Read(u64),
    Bell(u64, u32),
    After(u64, u32),
}

/// A Watch on its way.
#[derive(Debug, Clone)]
pub(super) struct Watching {
    outage_word: u64,
    address: u64,
    bell: u64,
    bell_value: u32,
    stop_word: u64,
    pause_ns: u64,
    max_ns: u64,
    waited: u64,
    looks: u64,
    next: Next,
}

impl Watching {
    /// Looks at the arguments of a [`Command::Watch`].
    pub fn new(command: Command, paging: &mut Paging) -> Result<Self, Refusal> {
        let Command::Watch { outage_word, address, bell, bell_value, stop_word, pause_ns, max_ns } = command
        else {
            return Err(Refusal::BadOpcode);
        };
        let words = outage_word != 0 && outage_word.is_multiple_of(8) && stop_word.is_multiple_of(8);
        if !words || !address.is_multiple_of(4) || !bell.is_multiple_of(4) {
            return Err(Refusal::BadArgument);
        }
        paging.cover(outage_word, 8)?;
        paging.cover(address, 4)?;
        paging.cover(bell, 4)?;
        paging.cover(stop_word, 8)?;
        if pause_ns == 0 {
            return Err(Refusal::BadArgument);
        }
        let (waited, looks, next) = (0, 0, Next::Look);
        Ok(Self { outage_word, address, bell, bell_value, stop_word, pause_ns, max_ns, waited, looks, next })
    }

    /// Takes it to its next access.
    pub fn step(&mut self, memory: &mut dyn Memory) -> Result<Progress, Again> {
        self.next = match self.next {
            Next::Look => {
                let word = memory.read(self.outage_word, Width::Eight)?;
                self.looks += 1;
                if word % 4 == PHASE_OUT {
                    Next::Read(word)
                } else if self.waited >= self.max_ns {
                    return Ok(self.over(None));
                } else if self.stop_word == 0 {
                    return Ok(self.sleep());
                } else {
                    Next::Stop
                }
            }
            Next::Stop => {
                if memory.read(self.stop_word, Width::Eight)? != 0 {
                    return Ok(self.over(None));
                }
                self.next = Next::Look;
                return Ok(self.sleep());
            }
            Next::Read(before) => {
                let value = memory.read(self.address, Width::Four)? as u32;
                if self.bell == 0 { Next::After(before, value) } else { Next::Bell(before, value) }
            }
            Next::Bell(before, value) => {
                memory.write(self.bell, Width::Four, self.bell_value.into())?;
                Next::After(before, value)
            }
            Next::After(before, value) => {
                let after = memory.read(self.outage_word, Width::Eight)?;
                return Ok(self.over(Some(Seen { value, before, after })));
            }
        };
        Ok(Progress::Went)
    }

    fn sleep(&mut self) -> Progress {
        let left = self.max_ns - self.waited;
        self.waited = if self.pause_ns > left { self.max_ns } else { self.waited + self.pause_ns };
        Progress::Sleeps(self.pause_ns)
    }

    fn over(&self, seen: Option<Seen>) -> Progress {
        Progress::Over(Ok(Reply::Watched { seen, looks: self.looks }))
    }
}
