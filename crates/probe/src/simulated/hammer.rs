// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Writing and reading back a page of a BAR, on and on: `guest-kernel/probe/hammer.c`, which
//! tells why each answer is judged as it is.

use super::paging::Paging;
use super::work::Progress;
use super::{Again, Memory};
use crate::mailbox::{
    HAMMER_CELL_STRIDE, HAMMER_CELLS, HAMMER_MOST_ITERATIONS, PHASE_CLOSING, PHASE_LIVE, PHASE_OPENING,
    PHASE_OUT,
};
use crate::{Command, HammerCounts, HammerViolation, Refusal, Reply, Width};

const ALL_ONES: u32 = u32::MAX;
const WALK: u64 = 37;

/// What is known of a cell's content. 0 is no iteration: "none".
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// The last iteration known to have written it.
    landed: u32,
    /// The latest run of visits known to have been dropped,
    out_first: u32,
    out_last: u32,
    /// and that another visit has followed it.
    run_ended: bool,
}

/// One iteration: what was written, what came back, what the VMM said around it.
#[derive(Debug, Clone, Copy, Default)]
struct Visit {
    before: u64,
    after: u64,
    written: u32,
    read: u32,
    offset: u64,
}

/// The next access of an iteration.
#[derive(Debug, Clone, Copy)]
enum Next {
    Stop,
    Before,
    Write,
    Read,
    After,
}

/// A Hammer on its way.
#[derive(Debug, Clone)]
pub(super) struct Hammering {
    page: u64,
    outage_word: u64,
    stop_word: u64,
    pause_ns: u64,
    most: u64,
    reset_value: u32,
    seed: u64,
    cells: Vec<Cell>,
    counts: HammerCounts,
    iteration: u64,
    next: Next,
    visit: Visit,
}

impl Hammering {
    /// Looks at the arguments of a [`Command::Hammer`].
    pub fn new(command: Command, paging: &mut Paging) -> Result<Self, Refusal> {
        let Command::Hammer { page, outage_word, stop_word, pause_ns, max_iterations, reset_value, seed } =
            command
        else {
            return Err(Refusal::BadOpcode);
        };
        let words = outage_word != 0 && outage_word.is_multiple_of(8) && stop_word.is_multiple_of(8);
        if !page.is_multiple_of(4096) || !words {
            return Err(Refusal::BadArgument);
        }
        paging.cover(page, 4096)?;
        paging.cover(outage_word, 8)?;
        paging.cover(stop_word, 8)?;
        let most = match max_iterations {
            0 => HAMMER_MOST_ITERATIONS,
            most => most.min(HAMMER_MOST_ITERATIONS),
        };
        let cells = vec![Cell::default(); HAMMER_CELLS as usize];
        let (counts, visit) = (HammerCounts::default(), Visit::default());
        let (iteration, next) = (1, Next::Stop);
        Ok(Self {
            page,
            outage_word,
            stop_word,
            pause_ns,
            most,
            reset_value,
            seed,
            cells,
            counts,
            iteration,
            next,
            visit,
        })
    }

    /// Takes it to its next access.
    pub fn step(&mut self, memory: &mut dyn Memory) -> Result<Progress, Again> {
        let cell = self.page + self.visit.offset;
        self.next = match self.next {
            Next::Stop if self.iteration > self.most => return Ok(self.over()),
            Next::Stop => {
                if self.stop_word != 0 && memory.read(self.stop_word, Width::Eight)? != 0 {
                    self.counts.stopped = true;
                    return Ok(self.over());
                }
                let offset = self.cell() as u64 * HAMMER_CELL_STRIDE;
                self.visit = Visit { written: self.iteration as u32, offset, ..Visit::default() };
                Next::Before
            }
            Next::Before => {
                self.visit.before = memory.read(self.outage_word, Width::Eight)?;
                Next::Write
            }
            Next::Write => {
                memory.write(cell, Width::Four, self.visit.written.into())?;
                Next::Read
            }
            Next::Read => {
                self.visit.read = memory.read(cell, Width::Four)? as u32;
                Next::After
            }
            Next::After => {
                self.visit.after = memory.read(self.outage_word, Width::Eight)?;
                self.judge();
                self.counts.iterations = self.iteration;
                self.iteration += 1;
                Next::Stop
            }
        };
        Ok(match self.next {
            Next::Stop if self.pause_ns != 0 => Progress::Sleeps(self.pause_ns),
            Next::Stop | Next::Before | Next::Write | Next::Read | Next::After => Progress::Went,
        })
    }

    fn over(&self) -> Progress {
        Progress::Over(Ok(Reply::Hammered(self.counts)))
    }

    fn cell(&self) -> usize {
        (self.iteration.wrapping_mul(WALK).wrapping_add(self.seed) % HAMMER_CELLS) as usize
    }

    fn judge(&mut self) {
        let (number, visit) = (self.cell(), self.visit);
        let cell = &mut self.cells[number];
        let came_back = visit.read == visit.written;
        let certain = (visit.before == visit.after).then_some(visit.before % 4);
        match certain {
            Some(PHASE_LIVE) if came_back => {
                self.counts.live_ok += 1;
                *cell = Cell { landed: visit.written, ..Cell::default() };
            }
            Some(PHASE_OUT) if visit.read == ALL_ONES => {
                self.counts.out_ones += 1;
                cell.dropped(visit.written);
            }
            Some(PHASE_LIVE | PHASE_OUT) => {
                // The write may have landed or not: one violation must not make others.
                cell.run_ended = true;
                violation(&mut self.counts, &visit);
            }
            None | Some(PHASE_CLOSING | PHASE_OPENING | 4..) => self.judge_ambiguous(number, &visit),
        }
    }

    fn judge_ambiguous(&mut self, number: usize, visit: &Visit) {
        let (cell, counts) = (&mut self.cells[number], &mut self.counts);
        if visit.read == visit.written {
            counts.ambiguous_value += 1;
            *cell = Cell { landed: visit.written, ..Cell::default() };
            return;
        }
        cell.run_ended = true;
        if visit.read == ALL_ONES {
            counts.ambiguous_ones += 1;
        } else if cell.can_have_held(visit, self.reset_value) {
            counts.ambiguous_value += 1;
        } else if cell.landed == 0 {
            counts.ambiguous_initial += 1;
        } else {
            violation(counts, visit);
        }
    }
}

impl Cell {
    fn dropped(&mut self, iteration: u32) {
        if self.out_first == 0 || self.run_ended {
            self.out_first = iteration;
            self.run_ended = false;
        }
        self.out_last = iteration;
    }

    fn can_have_held(&self, visit: &Visit, reset_value: u32) -> bool {
        let value = visit.read;
        if value == reset_value {
            return true;
        }
        if value == 0 || value < self.landed || value > visit.written {
            return false;
        }
        if !u64::from(visit.written - value).is_multiple_of(HAMMER_CELLS) {
            return false;
        }
        !(self.out_first != 0 && (self.out_first..=self.out_last).contains(&value))
    }
}

fn violation(counts: &mut HammerCounts, visit: &Visit) {
    counts.violations += 1;
    let Visit { before, after, written, read, offset } = *visit;
    counts.first_violation.get_or_insert(HammerViolation { before, after, written, read, offset });
}
