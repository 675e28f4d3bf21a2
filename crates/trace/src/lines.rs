//! `barkeep trace`: one line for each event, beside five lanes and the two ways that may be away.
//!
//! ```text
//!    seq       time    took  C P  G V K E I  what
//!    463   0.908885              ┬          …
//! ```

mod lanes;
mod marks;

use crate::sentence;
use crate::survey::{Stretch, Survey};
use barkeep_journal::{Event, Kind, Phase};
use barkeep_report::style::{Style, Tone, fit};
use barkeep_report::time::{lane_and_clock, rough};
use barkeep_timeline::{Follower, Handled, Outage, Party, Selection, Slice, Told, What};
use lanes::Lanes;
use marks::Ways;
use std::collections::VecDeque;
use std::io::{self, Write};

/// Columns of a line.
const WIDTH: usize = 100;
/// Events before and after a point.
pub const CONTEXT: usize = 8;

/// Writes lines, an event at a time.
pub struct Lines<'a, W: Write> {
    out: W,
    style: Style,
    survey: &'a Survey,
    selection: Selection,
    around: Option<Around>,
    follower: Follower,
    lanes: Lanes,
    ways: Ways,
    /// The first thing that went wrong with `out`.
    written: io::Result<()>,
    told: u64,
}

/// The lines around a point.
struct Around {
    stretch: Stretch,
    context: usize,
    before: VecDeque<String>,
    after: usize,
}

/// What an event that is over has taken.
#[derive(Default)]
struct Over {
    took: Option<u64>,
    outcome: Option<Handled>,
    revoke: Option<u64>,
    /// What the begin of the step said.
    text: String,
}

impl<'a, W: Write> Lines<'a, W> {
    /// Lines of a selection of a journal; around the survey's point, if it has one, with so many
    /// selected events on either side. The first lines say what is what.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(
        mut out: W,
        survey: &'a Survey,
        selection: Selection,
        context: usize,
        style: Style,
    ) -> io::Result<Self> {
        let Survey { header, names, devices, title, .. } = survey;
        let title = fit(title, WIDTH / 2);
        writeln!(out, "{title}; {}; times in seconds since the start of the run", lane_and_clock(*header))?;
        for address in devices.values() {
            writeln!(out, "  {}", names.full(Some(*address)))?;
        }
        let lanes: Vec<_> = Party::ALL.iter().map(|party| format!("{} {party}", party.letter())).collect();
        writeln!(out, "  lanes: {}", lanes.join(", "))?;
        writeln!(out, "  ║ under C: CPU access is away; under P: peers' DMA is away")?;
        let letters: Vec<_> = Party::ALL.iter().map(|party| party.letter().to_string()).collect();
        writeln!(out, "{:>6} {:>10} {:>7}  C P  {}  what", "seq", "time", "took", letters.join(" "))?;
        let around =
            survey.point.map(|stretch| Around { stretch, context, before: VecDeque::new(), after: 0 });
        Ok(Self {
            out,
            style,
            survey,
            selection,
            around,
            follower: Follower::new(),
            lanes: Lanes::default(),
            ways: Ways::default(),
            written: Ok(()),
            told: 0,
        })
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        let mut over = Over::default();
        self.follower.event(event, &mut over);
        let about = |device, bar| self.selection.of_device(Some(device)) && self.selection.has_bar(Some(bar));
        let ways = self.ways.next(self.follower.away(about));
        let lanes = self.lanes.next(event);
        if self.written.is_err() || !self.selection.has(event) {
            return;
        }
        let line = self.line(event, ways, &lanes, &over);
        self.written = self.tell(event.seq, line);
    }

    /// No event follows.
    ///
    /// # Errors
    /// Those of `out`, at any time.
    pub fn finish(mut self) -> io::Result<u64> {
        self.written?;
        self.out.flush()?;
        Ok(self.told)
    }

    fn tell(&mut self, seq: u64, line: String) -> io::Result<()> {
        let Some(around) = &mut self.around else {
            self.told += 1;
            return writeln!(self.out, "{line}");
        };
        let (first, last) = around.stretch.seq;
        if seq < first {
            if around.before.len() == around.context {
                around.before.pop_front();
            }
            around.before.push_back(line);
            return Ok(());
        }
        for line in around.before.drain(..) {
            self.told += 1;
            writeln!(self.out, "{line}")?;
        }
        if seq > last {
            around.after += 1;
            if around.after > around.context {
                return Ok(());
            }
        }
        self.told += 1;
        writeln!(self.out, "{line}")
    }

    fn line(&self, event: &Event, ways: [char; 2], lanes: &str, over: &Over) -> String {
        let took = over.took.map_or_else(String::new, rough);
        let time = self.time(event);
        let (tone, text) = self.text(event, over);
        let [cpu, p2p] = ways;
        let before = format!("{:>6} {time:>10} {took:>7}  ", event.seq);
        // The two ways, the lanes, and the space behind each.
        let room = WIDTH.saturating_sub(before.chars().count() + 16);
        // What is looked for by its number is never cut off.
        let mark = over.revoke.map_or_else(String::new, |number| format!("  [revoke:{number}]"));
        let text = fit(&text, room.saturating_sub(mark.chars().count())) + &mark;
        let away =
            self.style.paint(if ways == [' '; 2] { Tone::Quiet } else { Tone::Bad }, &format!("{cpu} {p2p}"));
        format!("{before}{away}  {lanes}  {}", self.style.paint(tone, &text)).trim_end().to_owned()
    }

    fn text(&self, event: &Event, over: &Over) -> (Tone, String) {
        let (tone, text) = sentence::of(event, &self.survey.names);
        match &over.outcome {
            Some(handled) if event.kind == Kind::Expect => (tone, format!("{text}: {}", handled.outcome)),
            // Its text stands at the begin.
            _ if event.kind == Kind::Action && ends(event) => (tone, format!("{text}: {}", over.text)),
            _ if event.kind == Kind::KernelStep && ends(event) => (tone, format!("{} {text}", over.text)),
            _ => (tone, text),
        }
    }

    /// Seconds since the start of the run, to the microsecond, as the kernel's log has them.
    fn time(&self, event: &Event) -> String {
        if event.kind == Kind::Lost {
            return "?".to_owned();
        }
        let start = self.survey.numbers.start_ns();
        let sign = if event.time_ns < start { "-" } else { "" };
        let since = event.time_ns.abs_diff(start);
        format!("{sign}{}.{:06}", since / 1_000_000_000, since % 1_000_000_000 / 1000)
    }
}

impl Told for Over {
    fn slice(&mut self, slice: Slice) {
        if slice.what != What::Handling || self.took.is_none() {
            self.took = slice.ns();
            self.text = slice.text;
        }
    }

    fn outage(&mut self, outage: Outage) {
        self.took = outage.ns().or(self.took);
    }

    fn handled(&mut self, handled: Handled) {
        self.took = handled.ns();
        self.outcome = Some(handled);
    }

    fn revoke(&mut self, number: u64, _: &Event) {
        self.revoke = Some(number);
    }
}

/// Whether an event only ends something.
fn ends(event: &Event) -> bool {
    event.phase == Phase::End
}
