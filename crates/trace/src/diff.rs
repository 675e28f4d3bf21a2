//! `barkeep diff`: two journals side by side. Where they part first, then what they come to, A against B.

mod side;
mod table;

use crate::{Damages, sentence};
use barkeep_journal::{Actor, Event, Header, Kind};
use barkeep_report::names::Names;
use barkeep_report::style::fit;
use barkeep_report::time::lane_and_clock;
use barkeep_report::{Damage, jsonl};
use barkeep_timeline::{Follower, Numbers};
use side::Side;
use std::collections::VecDeque;
use std::io::{self, BufRead, Write};

/// Columns of a line.
const WIDTH: usize = 100;
/// Events before the first that differs, and after it.
const BEFORE: usize = 6;
const AFTER: usize = 6;

/// What is compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Times as well.
    pub times: bool,
    /// Lines of the kernel's log as well. What the testbed does around a run is never compared.
    pub kernel_log: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Diff {
    /// Whether nothing that is compared differs.
    pub same: bool,
    /// What of each could not be read.
    pub damages: [Damages; 2],
    lines: Vec<String>,
}

impl Diff {
    /// Compares two journals.
    ///
    /// # Errors
    /// One is none: which, 0 or 1, and why.
    pub fn of<R: BufRead>(a: R, b: R, options: Options) -> Result<Self, (usize, Damage)> {
        let (mut a, mut b) = (Side::open(a).map_err(|d| (0, d))?, Side::open(b).map_err(|d| (1, d))?);
        let mut lines = Vec::new();
        let parted = part(&mut a, &mut b, options, &mut lines);
        // To their ends, for the numbers.
        a.drain();
        b.drain();
        let (a, b) = (a.finish(), b.finish());
        // A lane's time is no other lane's, even if both count it.
        let clocks = a.header == b.header;
        let title = |letter, side: &side::Whole| {
            fit(&format!("{letter}: {}; {}", lane_and_clock(side.header), side.title), WIDTH)
        };
        lines.splice(0..0, [title('A', &a), title('B', &b), String::new()]);
        lines.push(String::new());
        lines.extend(table::outcomes(&a.numbers, &b.numbers));
        lines.push(String::new());
        if !clocks {
            lines.push(format!(
                "Times of A are {}, of B {}: not comparable, so they stand side by side without a ratio.",
                lane_and_clock(a.header),
                lane_and_clock(b.header)
            ));
        }
        lines.extend(table::outages(&a.numbers, &b.numbers, clocks));
        Ok(Self { same: !parted, damages: [a.damages, b.damages], lines })
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn print(&self, mut out: impl Write) -> io::Result<()> {
        self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        out.flush()
    }
}

/// Goes along both until they part. Whether they do.
fn part<R: BufRead>(a: &mut Side<R>, b: &mut Side<R>, options: Options, lines: &mut Vec<String>) -> bool {
    let mut before: VecDeque<String> = VecDeque::new();
    let (mut common, mut in_time) = (0u64, true);
    loop {
        let (one, other) = (a.next(options), b.next(options));
        let alike = match (&one, &other) {
            (None, None) => break,
            (Some(one), Some(other)) => {
                // Times are since the begin of each.
                let times = a.since(one) == b.since(other);
                if !times && in_time && !options.times {
                    in_time = false;
                    lines.push(format!(
                        "Times part first at A seq {}, B seq {}: {} and {} ns since the start; they are not compared \
                         without --times.",
                        one.seq,
                        other.seq,
                        a.since(one),
                        b.since(other)
                    ));
                }
                (times || !options.times) && same(one, other)
            }
            _ => false,
        };
        if !alike {
            lines.push(format!("They part after {common} events that are alike."));
            lines.extend(before);
            lines.extend(told('A', a, one, options));
            lines.extend(told('B', b, other, options));
            return true;
        }
        if let Some(event) = one {
            common += 1;
            if before.len() == BEFORE {
                before.pop_front();
            }
            before.push_back(line(' ', a, &event));
        }
    }
    lines.push(format!("They do not part: {common} events are alike."));
    false
}

/// The first event in which one differs, and a few more.
fn told<R: BufRead>(letter: char, side: &mut Side<R>, first: Option<Event>, options: Options) -> Vec<String> {
    let Some(first) = first else { return vec![format!("{letter}  ends here")] };
    let mut lines = vec![line(letter, side, &first)];
    for _ in 0..AFTER {
        match side.next(options) {
            Some(event) => lines.push(line(letter, side, &event)),
            None => {
                lines.push(format!("{letter}  ends here"));
                break;
            }
        }
    }
    lines
}

fn line<R>(letter: char, side: &Side<R>, event: &Event) -> String {
    let since = side.since(event);
    let time = format!("{}.{:06}", since / 1_000_000_000, since % 1_000_000_000 / 1000);
    let what = sentence::of(event, &side.names).1;
    fit(&format!("{letter} {:>6} {time:>10}  {what}", event.seq), WIDTH)
}

/// Whether two events say the same, at whatever place and time. Steps are numbered anew in each run, and what
/// a run is of stands above all.
fn same(a: &Event, b: &Event) -> bool {
    let Event {
        seq: _,
        time_ns: _,
        step: _,
        kind,
        phase,
        actor,
        index,
        trigger,
        seen_by,
        device,
        bar,
        address,
        size,
        value,
        result,
        text,
    } = a;
    *kind == b.kind
        && *phase == b.phase
        && *actor == b.actor
        && *index == b.index
        && *trigger == b.trigger
        && *seen_by == b.seen_by
        && *device == b.device
        && *bar == b.bar
        && *address == b.address
        && *size == b.size
        && *value == b.value
        && *result == b.result
        && (*text == b.text || *kind == Kind::RunStart)
}
