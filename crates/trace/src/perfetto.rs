//! A trace for Perfetto: a track for each lane, slices, flows, counters.
//!
//! Written as it is read, one packet after the other: nothing of it is kept but what is under way. A slice is
//! known when it is over, and Perfetto orders packets by their time, so the order of packets does not
//! matter. Slices of one track must nest, and what happens in one lane at the same time need not: so each lane
//! has as many tracks of one name as it needs, which Perfetto shows beside each other.
//!
//! A *flow* goes from what let a revoke through to what brought each way back. *Counters* say how many windows
//! are away by each way, and what a device's exports are.

mod schema;
mod tracks;

use crate::drawing::is_frame;
use crate::label;
use crate::sentence::trigger_name;
use crate::survey::Survey;
use barkeep_journal::{Clock, DeviceAddress, Event, Kind};
use barkeep_report::time::lane_and_clock;
use barkeep_timeline::{Edge, Follower, Handled, Outage, Party, Selection, Slice, State, Told, Way};
use prost::Message;
use schema::{Annotation, Track, TrackEvent, Type};
use std::collections::BTreeMap;
use std::io::{self, Write};
use tracks::Tracks;

/// The one sequence of packets.
const SEQUENCE: u32 = 1;

/// Writes packets, an event at a time.
pub struct Packets<'a, W: Write> {
    follower: Follower,
    writer: Writer<'a, W>,
}

impl<'a, W: Write> Packets<'a, W> {
    /// A trace of a selection of a journal; around the survey's point, if it has one.
    pub fn new(out: W, survey: &'a Survey, selection: Selection) -> Self {
        let (from, to) = survey.moments(&selection);
        let selection = Selection { from_ns: Some(from), to_ns: Some(to), ..selection };
        let tracks = Tracks::default();
        let (written, away, flow_of) = (Ok(()), [0; Way::ALL.len()], BTreeMap::new());
        let mut writer = Writer { out, survey, selection, tracks, written, away, flow_of };
        writer.begin();
        Self { follower: Follower::new(), writer }
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        let Self { follower, writer } = self;
        follower.event(event, writer);
        let selection = writer.selection;
        let about = |device, bar| selection.of_device(Some(device)) && selection.has_bar(Some(bar));
        writer.away(follower.away(about), event);
    }

    /// No event follows.
    ///
    /// # Errors
    /// It could not be written, at any time.
    pub fn finish(self) -> io::Result<()> {
        let Self { follower, mut writer } = self;
        follower.finish(&mut writer);
        writer.written?;
        writer.out.flush()
    }
}

struct Writer<'a, W: Write> {
    out: W,
    survey: &'a Survey,
    selection: Selection,
    tracks: Tracks,
    written: io::Result<()>,
    /// Windows that are away by each way.
    away: [usize; Way::ALL.len()],
    /// The flow that begins with the revoke a device has met last.
    flow_of: BTreeMap<DeviceAddress, u64>,
}

impl<W: Write> Writer<'_, W> {
    /// The process that the tracks are of, the lanes in their order, the counters.
    fn begin(&mut self) {
        let Survey { title, header, .. } = self.survey;
        let clock = match header.clock {
            Clock::Virtual | Clock::Emulated => " (not hardware time)",
            Clock::Hardware => "",
        };
        let name = format!("{title}: {}{clock}", lane_and_clock(*header));
        self.packet(schema::first(Track::root(tracks::ROOT, name)));
        for (rank, party) in Party::ALL.iter().enumerate() {
            self.track(Track::lane(tracks::of_lane(*party), tracks::ROOT, party.name(), rank));
        }
        for (rank, way) in Way::ALL.iter().enumerate() {
            let name = format!("windows away: {way}");
            let rank = Party::ALL.len() + rank;
            self.track(Track::counter(tracks::of_way(*way), tracks::ROOT, name, rank));
            self.count(tracks::of_way(*way), self.selection.from_ns.unwrap_or(0), 0);
        }
    }

    fn track(&mut self, track: Track) {
        self.packet(schema::descriptor(track));
    }

    fn count(&mut self, track: u64, ns: u64, value: i64) {
        let event = TrackEvent { counter_value: Some(value), ..TrackEvent::new(Type::Counter, track) };
        self.packet(schema::event(ns, event));
    }

    fn away(&mut self, now: [usize; Way::ALL.len()], event: &Event) {
        if !self.selection.overlaps(event.time_ns, Some(event.time_ns)) {
            return;
        }
        let before = std::mem::replace(&mut self.away, now);
        for (n, way) in Way::ALL.iter().enumerate().filter(|(n, _)| now[*n] != before[*n]) {
            self.count(tracks::of_way(*way), event.time_ns, now[n] as i64);
        }
    }

    fn packet(&mut self, packet: schema::TracePacket) {
        if self.written.is_ok() {
            let trace = schema::Trace { packet: vec![packet] };
            self.written = self.out.write_all(&trace.encode_to_vec());
        }
    }

    fn annotations(&self, slice: &Slice) -> Vec<Annotation> {
        let mut list = vec![Annotation::number("seq", slice.seq)];
        if slice.device.is_some() {
            list.push(Annotation::text("device", self.survey.names.full(slice.device)));
        }
        list.extend(slice.bar.map(|bar| Annotation::number("bar", bar.into())));
        list.extend(slice.address.map(|address| Annotation::text("address", format!("{address:#x}"))));
        list.extend(
            slice.result.map(|result| Annotation::text("result", barkeep_report::names::result(result))),
        );
        if slice.handling != 0 {
            list.push(Annotation::number("handling", slice.handling));
        }
        if slice.end_ns.is_none() {
            list.push(Annotation::text("ended", "never".to_owned()));
        }
        list
    }

    /// A slice begins what flows, or ends it.
    fn flows(&mut self, slice: &Slice) -> (Vec<u64>, Vec<u64>) {
        use barkeep_timeline::What::Step;
        let flow = slice.device.and_then(|device| self.flow_of.get(&device).copied());
        match slice.what {
            Step(Kind::Trigger) if barkeep_check::revokes(slice.trigger) => {
                (Vec::from_iter(flow), Vec::new())
            }
            Step(Kind::P2pMap | Kind::SlotAdd) if slice.result == Some(0) => {
                (Vec::new(), Vec::from_iter(flow))
            }
            _ => (Vec::new(), Vec::new()),
        }
    }
}

impl<W: Write> Told for Writer<'_, W> {
    fn slice(&mut self, slice: Slice) {
        let about = self.selection.of_device(slice.device) && self.selection.has_bar(slice.bar);
        if !about || !self.selection.overlaps(slice.begin_ns, slice.end_ns) {
            return;
        }
        let (track, new) = self.tracks.place(&slice, is_frame(&slice));
        if new {
            let lane = tracks::of_lane(slice.party);
            let name = if is_frame(&slice) { "actions" } else { slice.party.name() };
            self.track(Track::under(track, lane, name));
        }
        let (flow_ids, terminating_flow_ids) = self.flows(&slice);
        let begin = TrackEvent {
            name: Some(label::of(&slice)),
            categories: vec![slice.what.name().to_owned()],
            debug_annotations: self.annotations(&slice),
            flow_ids,
            terminating_flow_ids,
            ..TrackEvent::new(Type::SliceBegin, track)
        };
        self.packet(schema::event(slice.begin_ns, begin));
        // One without an end stays open to the end of the trace.
        if let Some(end) = slice.end_ns {
            self.packet(schema::event(end, TrackEvent::new(Type::SliceEnd, track)));
        }
    }

    fn outage(&mut self, outage: Outage) {
        let Outage { way, device, bar, taken, end, .. } = outage;
        let end_ns = end.map(|end| end.time_ns);
        let about = self.selection.of_device(Some(device)) && self.selection.has_bar(Some(bar));
        if !about || !self.selection.overlaps(taken.time_ns, end_ns) {
            return;
        }
        let (track, new) = self.tracks.of_outage(&outage);
        if new {
            let name = format!("{way} away: {} BAR {bar}", self.survey.names.short(Some(device)));
            self.track(Track::under(track, tracks::ROOT, &name));
        }
        let mut notes = vec![
            Annotation::number("seq", taken.seq),
            Annotation::text("taken by", taken.trigger.name().to_owned()),
        ];
        notes.extend(end.map(|end| Annotation::text("ended", end.by.name().to_owned())));
        let begin = TrackEvent {
            name: Some(format!("{way} away ({})", trigger_name(taken.trigger))),
            categories: vec!["outage".to_owned()],
            debug_annotations: notes,
            ..TrackEvent::new(Type::SliceBegin, track)
        };
        self.packet(schema::event(taken.time_ns, begin));
        if let Some(end) = end_ns {
            self.packet(schema::event(end, TrackEvent::new(Type::SliceEnd, track)));
        }
    }

    fn edge(&mut self, device: DeviceAddress, edge: Edge, event: &Event) {
        let here = self.selection.overlaps(event.time_ns, Some(event.time_ns));
        if !here || !self.selection.of_device(Some(device)) {
            return;
        }
        let (track, new) = self.tracks.of_state(device);
        if new {
            let name = format!("state of {}", self.survey.names.short(Some(device)));
            self.track(Track::counter(track, tracks::ROOT, name, 0));
        }
        let live = match edge.to {
            State::Live => 1,
            State::Revoked => 0,
            State::Closed => -1,
        };
        self.count(track, event.time_ns, live);
    }

    fn revoke(&mut self, number: u64, event: &Event) {
        self.flow_of.extend(event.device.map(|device| (device, number)));
    }

    fn handled(&mut self, handled: Handled) {
        // What came after the VMM's own end of it has nothing to come back to.
        if handled.outcome == barkeep_timeline::Outcome::Closed {
            self.flow_of.remove(&handled.device);
        }
    }
}
