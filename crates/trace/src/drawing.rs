//! What a page or a still shows: the second reading of a journal.
//!
//! What is short is kept whole. Of a long stretch each lane is cut into [`bins::BINS`] equal parts, and of
//! each part is kept how much was in it; beside that the outages and events that are worth a look of their
//! own. Nothing is left out silently: [`Drawing::put_together`] says what was put together.

pub(crate) mod bins;
mod worth;

use crate::sentence;
use crate::survey::Survey;
use barkeep_journal::{Event, Kind, Phase};
use barkeep_report::Damage;
use barkeep_report::style::Tone;
use barkeep_timeline::{Follower, Handled, Outage, Party, Selection, Slice, Told, What};
use bins::Bins;
use std::io::BufRead;
use worth::Worth;

/// Slices, marks and outages together that are shown one by one.
pub const WHOLE: usize = 20_000;

/// A moment of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Whose lane.
    pub party: Party,
    /// Its event.
    pub seq: u64,
    /// When, nanoseconds of the run's clock.
    pub ns: u64,
    /// What a person should think of it.
    pub tone: Tone,
    /// What it says.
    pub text: String,
}

/// How much there was, whether shown one by one or put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Slices.
    pub slices: u64,
    /// Marks.
    pub marks: u64,
    /// Outages.
    pub outages: u64,
    /// Events that were handled.
    pub handled: u64,
}

impl Amount {
    fn all(self) -> u64 {
        let Self { slices, marks, outages, handled } = self;
        slices + marks + outages + handled
    }
}

/// A stretch of a run, to be drawn.
#[derive(Debug)]
pub struct Drawing {
    /// Its first moment and its last, nanoseconds of the run's clock.
    pub ns: (u64, u64),
    /// What is shown one by one.
    pub slices: Vec<Slice>,
    /// Likewise.
    pub marks: Vec<Mark>,
    /// Likewise.
    pub outages: Vec<Outage>,
    /// Likewise.
    pub handled: Vec<Handled>,
    /// How much there was of it.
    pub amount: Amount,
    /// Where not all is shown one by one: all of it, put together.
    pub bins: Option<Bins>,
}

impl Drawing {
    /// Reads a journal for a selection of it.
    ///
    /// # Errors
    /// It is none (any more).
    pub fn of<R: BufRead>(lines: R, survey: &Survey, selection: Selection) -> Result<Self, Damage> {
        let ns = survey.moments(&selection);
        let selection = Selection { from_ns: Some(ns.0), to_ns: Some(ns.1), ..selection };
        let mut taking = Taking::new(ns, selection);
        let mut follower = Follower::new();
        crate::read(lines, |event, _| {
            follower.event(event, &mut taking);
            taking.mark(event, survey);
        })?;
        follower.finish(&mut taking);
        Ok(taking.done())
    }

    /// What is not shown one by one, in a sentence.
    pub fn put_together(&self) -> Option<String> {
        let bins = self.bins.as_ref()?;
        let Amount { slices, marks, outages, handled } = self.amount;
        let width = barkeep_report::time::rough(bins.width_ns());
        let shown = [self.slices.len(), self.marks.len(), self.outages.len(), self.handled.len()];
        let [some_slices, some_marks, some_outages, some_handled] = shown;
        Some(format!(
            "{slices} slices, {marks} marks and {outages} outages are put together in parts of {width} each. \
             One by one are shown: {some_slices} slices that failed or never ended, {some_marks} marks of \
             something wrong, the {some_outages} longest outages, and of {handled} handled events the \
             {some_handled} that went wrong or took longest. Counts, states, outcomes and percentiles are of all."
        ))
    }
}

/// A drawing in the making.
struct Taking {
    ns: (u64, u64),
    selection: Selection,
    slices: Worth<Slice>,
    marks: Worth<Mark>,
    outages: Worth<Outage>,
    handled: Worth<Handled>,
    amount: Amount,
    bins: Bins,
    /// Not everything fits.
    full: bool,
}

impl Taking {
    fn new(ns: (u64, u64), selection: Selection) -> Self {
        Self {
            ns,
            selection,
            slices: Worth::new(|slice| {
                u64::from(slice.end_ns.is_none() || slice.result.is_some_and(|r| r < 0))
            }),
            marks: Worth::new(|mark| u64::from(mark.tone == Tone::Bad)),
            outages: Worth::new(|outage| outage.ns().map_or(u64::MAX, |ns| ns.max(1))),
            handled: Worth::new(|handled| match handled.outcome {
                barkeep_timeline::Outcome::NotBack | barkeep_timeline::Outcome::NotOver => u64::MAX,
                _ => handled.ns().map_or(u64::MAX, |ns| ns.max(1)),
            }),
            amount: Amount::default(),
            bins: Bins::new(ns),
            full: false,
        }
    }

    fn mark(&mut self, event: &Event, survey: &Survey) {
        if event.phase != Phase::Point || !is_mark(event) || !self.selection.has(event) {
            return;
        }
        let (tone, text) = sentence::of(event, &survey.names);
        let (party, seq, ns) = (Party::of(event), event.seq, event.time_ns);
        self.amount.marks += 1;
        self.bins.mark(party, ns);
        self.marks.add(Mark { party, seq, ns, tone, text });
        self.room();
    }

    /// Whether there is room for more; from when on there is not, only what is worth it is kept.
    fn room(&mut self) {
        if !self.full && self.amount.all() > WHOLE as u64 {
            self.full = true;
            self.slices.only_the_worthiest();
            self.marks.only_the_worthiest();
            self.outages.only_the_worthiest();
            self.handled.only_the_worthiest();
        }
    }

    fn done(self) -> Drawing {
        let mut slices = self.slices.into_all();
        let mut outages = self.outages.into_all();
        let mut handled = self.handled.into_all();
        let mut marks = self.marks.into_all();
        // As they began; what contains another first.
        slices.sort_by_key(|slice| {
            (slice.begin_ns, std::cmp::Reverse(slice.end_ns.unwrap_or(u64::MAX)), slice.seq)
        });
        outages.sort_by_key(|outage| (outage.taken.time_ns, outage.taken.seq, outage.way));
        handled.sort_by_key(|handled| handled.begun);
        marks.sort_by_key(|mark| (mark.ns, mark.seq));
        let bins = self.full.then_some(self.bins);
        Drawing { ns: self.ns, slices, marks, outages, handled, amount: self.amount, bins }
    }
}

impl Told for Taking {
    fn slice(&mut self, slice: Slice) {
        let about = self.selection.of_device(slice.device) && self.selection.has_bar(slice.bar);
        if !about || !self.selection.overlaps(slice.begin_ns, slice.end_ns) {
            return;
        }
        self.amount.slices += 1;
        if !is_frame(&slice) {
            self.bins.slice(slice.party, slice.begin_ns, slice.end_ns);
        }
        self.slices.add(slice);
        self.room();
    }

    fn outage(&mut self, outage: Outage) {
        let end = outage.end.map(|end| end.time_ns);
        let about = self.selection.of_device(Some(outage.device)) && self.selection.has_bar(Some(outage.bar));
        if !about || !self.selection.overlaps(outage.taken.time_ns, end) {
            return;
        }
        self.amount.outages += 1;
        self.bins.outage(outage.way, outage.taken.time_ns, end);
        self.outages.add(outage);
        self.room();
    }

    fn handled(&mut self, handled: Handled) {
        let end = handled.ended.map(|(_, ns)| ns);
        if !self.selection.of_device(Some(handled.device)) || !self.selection.overlaps(handled.begun.1, end) {
            return;
        }
        self.amount.handled += 1;
        self.handled.add(handled);
        self.room();
    }
}

/// What everything else happens inside of.
pub(crate) fn is_frame(slice: &Slice) -> bool {
    matches!(slice.what, What::Step(Kind::Action | Kind::Hold | Kind::Process))
}

/// Whether a moment is worth a mark.
fn is_mark(event: &Event) -> bool {
    match event.kind {
        // Slices, outages and numbers have it.
        Kind::Outage | Kind::Expect | Kind::AccessCount | Kind::Continuation | Kind::DmabufClose => false,
        Kind::Leftover | Kind::Answered => event.value.unwrap_or(0) > 0,
        Kind::Expectation => event.result.unwrap_or(0) != 0,
        _ => true,
    }
}
