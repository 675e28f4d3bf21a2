//! `barkeep explain`: why an address is, or is not, mapped at a moment, in sentences.
//!
//! What is said is what the journal says: which event took a way, what the registers were found to say
//! after it, which steps the VMM then took and what the kernel answered. Where a step that had to come did
//! not come, or came in another order than it had to, that is the cause that is named.

mod blame;
mod record;
mod target;
mod window;

use crate::sentence::{self, trigger_name};
use crate::survey::Survey;
use barkeep_journal::{DeviceAddress, Event};
use barkeep_report::style::fit;
use barkeep_report::time::{duration, lane_and_clock};
use barkeep_timeline::{EndedBy, Follower, Outage, Point, Told, Way};
use record::Records;
pub use target::{BadTarget, Target};
use window::{Life, Window, Windows};

/// Characters of a line at the most.
const LINE: usize = 1000;

/// What is asked, and the answer in the making.
pub struct Explainer<'a> {
    survey: &'a Survey,
    target: Target,
    /// The moment: right after the event at this place.
    at: u64,
    /// The event at the moment, or the last one before it.
    event: Option<Event>,
    /// The event that is asked about.
    asked: Option<Event>,
    follower: Follower,
    windows: Windows,
    records: Records,
}

impl<'a> Explainer<'a> {
    /// A question. Without a moment it is that of the event that is asked about, or of the checker's first
    /// finding about the device, or the end of what the scenario did.
    ///
    /// # Errors
    /// The journal has no such device.
    pub fn new(survey: &'a Survey, target: Target, at: Option<u64>) -> Result<Self, crate::survey::NoDevice> {
        let device = match &target {
            Target::Bar { device, .. } => Some(survey.device(device)?),
            Target::Address(_) | Target::Event(_) => None,
        };
        let finding = survey.verdict.findings.iter().find(|f| device.is_none() || f.device == device);
        let asked = survey.point_seq.filter(|_| matches!(target, Target::Event(_)));
        let at = at.or(asked).or(finding.map(|finding| finding.seq)).unwrap_or(survey.last_action);
        let (windows, records) = (Windows::new(at), Records::new(at));
        Ok(Self { survey, target, at, event: None, asked: None, follower: Follower::new(), windows, records })
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        self.follower.event(event, &mut self.windows);
        self.windows.event(event);
        self.records.event(event);
        if event.seq <= self.at {
            self.event = Some(event.clone());
        }
        let Target::Event(point) = self.target else { return };
        let seq = match point {
            Point::Seq(seq) => seq,
            Point::Revoke(_) | Point::Time(_) => self.at,
        };
        if event.seq >= seq && self.asked.is_none() {
            self.asked = Some(event.clone());
        }
    }

    /// No event follows: the answer, a sentence or two in each line.
    pub fn answer(self) -> Vec<String> {
        let Self { survey, target, at, event, asked, follower, mut windows, records } = self;
        follower.finish(&mut windows);
        let answer = Answer { survey, records: &records, at };
        let mut lines = vec![format!("{}; {}", survey.title, lane_and_clock(survey.header))];
        let asked = asked.as_ref();
        match asked {
            Some(event) => lines.extend(answer.about_event(event)),
            None => lines.push(answer.moment(event.as_ref())),
        }
        let chosen: Vec<_> = match (&target, asked) {
            (Target::Address(address), _) => windows.holding(*address),
            (Target::Bar { device, bar }, _) => match survey.device(device) {
                Ok(device) => windows.of(device, Some(*bar)),
                Err(_) => Vec::new(),
            },
            (Target::Event(_), Some(event)) => match (event.device, event.address) {
                (_, Some(address)) if is_iova(event) => windows.holding(address),
                (Some(device), _) => windows.of(device, event.bar),
                (None, _) => Vec::new(),
            },
            (Target::Event(_), None) => Vec::new(),
        };
        if chosen.is_empty() && !matches!(target, Target::Event(_)) {
            lines.push(answer.never(&target));
        }
        for window in &chosen {
            lines.push(String::new());
            lines.extend(answer.about_window(window));
        }
        lines.extend(answer.findings(&chosen));
        // Texts of a guest and of the kernel are in it, and it goes to a terminal.
        lines.iter().map(|line| fit(line, LINE)).collect()
    }
}

/// Whether an event's address is one of the I/O address space, and its device not whose it is.
fn is_iova(event: &Event) -> bool {
    use barkeep_journal::Kind;
    matches!(event.kind, Kind::Faulted | Kind::DmaStart)
}

struct Answer<'a> {
    survey: &'a Survey,
    records: &'a Records,
    at: u64,
}

impl Answer<'_> {
    fn time(&self, ns: u64) -> String {
        let since = ns.saturating_sub(self.survey.numbers.start_ns());
        format!("{}.{:06} s", since / 1_000_000_000, since % 1_000_000_000 / 1000)
    }

    fn name(&self, device: DeviceAddress) -> String {
        self.survey.names.short(Some(device))
    }

    fn moment(&self, event: Option<&Event>) -> String {
        match event {
            None => "At the start of the run, before its first event.".to_owned(),
            Some(event) => {
                let what = sentence::of(event, &self.survey.names).1;
                format!("The moment is {}, right after seq {}: {what}.", self.time(event.time_ns), event.seq)
            }
        }
    }

    fn about_event(&self, event: &Event) -> Vec<String> {
        let what = sentence::of(event, &self.survey.names).1;
        let mut lines =
            vec![format!("seq {}, at {}, by {}: {what}.", event.seq, self.time(event.time_ns), event.actor)];
        if let Some(record) = event.device.and_then(|device| self.records.around(device, event.seq)) {
            lines.push(format!("It belongs to {}.", record.described(&self.name(record.device))));
        }
        lines
    }

    fn about_window(&self, window: &Window) -> Vec<String> {
        let Window { device, bar, address, size, .. } = *window;
        let mut lines = vec![format!("{} BAR {bar}, the window {address:#x}+{size:#x}:", self.name(device))];
        for way in Way::ALL {
            lines.extend(self.about_way(window, *way));
        }
        lines
    }

    fn about_way(&self, window: &Window, way: Way) -> Vec<String> {
        let what = match way {
            Way::Cpu => "CPU access",
            Way::P2p => "Peers' DMA",
        };
        match window.life(way) {
            Life::Never => vec![format!("  {what}: this journal has never seen it there.")],
            Life::There { since } => {
                let since = since
                    .map_or_else(String::new, |(seq, ns)| format!(" since {} (seq {seq})", self.time(ns)));
                let mut lines = vec![format!("  {what} is there{since}.")];
                lines.extend(self.contrary(window, way));
                lines
            }
            Life::Away(outage) => self.away(window, way, what, &outage),
        }
    }

    fn away(&self, window: &Window, way: Way, what: &str, outage: &Outage) -> Vec<String> {
        let taken = outage.taken;
        let revoke = self.records.revoke_at(window.device, taken.seq).or(taken.revoke);
        let revoke = revoke.map_or_else(String::new, |number| format!(", revoke:{number}"));
        let by = self.records.around(window.device, taken.seq).map_or(taken.actor, |record| record.actor);
        let trigger = trigger_name(taken.trigger);
        let mut lines = vec![format!(
            "  {what} is away since {} (seq {}). {trigger} took it{revoke}, by {by}.",
            self.time(taken.time_ns),
            taken.seq
        )];
        let cause = blame::of(self.records, window, way, outage);
        lines.push(format!("    Who should bring it back: {}.", cause.who));
        lines.push(match outage.end {
            Some(end) => format!(
                "    Did it come back: yes, {} later, with {} (seq {}, {}).",
                duration(end.time_ns.saturating_sub(taken.time_ns)),
                trigger_name(end.trigger),
                end.seq,
                match end.by {
                    EndedBy::Vmm => "the VMM, as soon as it could",
                    EndedBy::Guest => "once whoever had taken it away gave it back",
                    EndedBy::Notice => "the VMM, once it had noticed",
                }
            ),
            None => "    Did it come back: no, nowhere in this journal.".to_owned(),
        });
        if let Some(why) = cause.why {
            lines.push(format!("    Cause: {why}."));
        }
        lines
    }

    /// What was seen although it should be there.
    fn contrary(&self, window: &Window, way: Way) -> Vec<String> {
        let Some(event) = window.contrary(way) else { return Vec::new() };
        let what = sentence::of(event, &self.survey.names).1;
        vec![
            format!("    Yet at {} (seq {}): {what}.", self.time(event.time_ns), event.seq),
            "    Cause: the VMM let nothing through that takes it away, or did not take it for what it is: an event \
             that was not recognised, or somebody else's, past the VMM."
                .to_owned(),
        ]
    }

    fn never(&self, target: &Target) -> String {
        format!("No window of this journal is at {target}: it was never mapped, for CPUs or for peers.")
    }

    /// What the checker found about these devices up to the moment, and right after it.
    fn findings(&self, windows: &[Window]) -> Vec<String> {
        let about = |device| windows.iter().any(|window| Some(window.device) == device);
        let of_these = self.survey.verdict.findings.iter().filter(|f| about(f.device) || f.seq == self.at);
        let lines: Vec<_> =
            of_these.take(5).map(|f| format!("  {} (seq {}): {}", f.invariant, f.seq, f.what)).collect();
        if lines.is_empty() {
            return lines;
        }
        [String::new(), "The checker found:".to_owned()].into_iter().chain(lines).collect()
    }
}

impl Told for Windows {
    fn outage(&mut self, outage: Outage) {
        self.outage_over(outage);
    }
}
