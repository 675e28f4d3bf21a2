//! One of the two journals, as far as it has been read.

use super::{Actor, Damage, Damages, Event, Follower, Header, Kind, Names, Numbers, Options, jsonl};
use std::io::BufRead;

pub(super) struct Side<R> {
    pub header: Header,
    pub names: Names,
    events: jsonl::Events<R>,
    numbers: Numbers,
    follower: Follower,
    damages: Damages,
    title: String,
    /// Devices opened so far.
    opened: usize,
}

/// Times a device was opened after which no name is remembered any more.
const DEVICES: usize = 4096;

/// All that is known of it at its end.
pub(super) struct Whole {
    pub header: Header,
    pub numbers: Numbers,
    pub damages: Damages,
    /// What the run is of.
    pub title: String,
}

impl<R: BufRead> Side<R> {
    pub fn open(lines: R) -> Result<Self, Damage> {
        let (header, newer, events) = jsonl::read_as_far_as_possible(lines)?;
        let mut damages = Damages::default();
        newer.into_iter().for_each(|damage| damages.add(damage));
        let (numbers, follower, names) = (Numbers::new(), Follower::new(), Names::default());
        Ok(Self { header, names, events, numbers, follower, damages, title: String::new(), opened: 0 })
    }

    /// The next event that is compared.
    pub fn next(&mut self, options: Options) -> Option<Event> {
        loop {
            let event = match self.events.next()? {
                Ok(event) => event,
                Err(damage) => {
                    self.damages.add(damage);
                    continue;
                }
            };
            self.numbers.event(&event);
            self.follower.event(&event, &mut self.numbers);
            if event.kind == Kind::DeviceOpen && self.opened < DEVICES {
                self.opened += 1;
                self.names.opened(&event);
            }
            if event.kind == Kind::RunStart && self.title.is_empty() {
                self.title.clone_from(&event.text);
            }
            // What the testbed does around a run is none of it.
            let noise = event.kind == Kind::KernelLog && !options.kernel_log || event.actor == Actor::Lab;
            if !noise {
                return Some(event);
            }
        }
    }

    pub fn drain(&mut self) {
        while self.next(Options::default()).is_some() {}
    }

    pub fn finish(self) -> Whole {
        let Self { header, names: _, events: _, mut numbers, follower, damages, title, opened: _ } = self;
        follower.finish(&mut numbers);
        Whole { header, numbers, damages, title }
    }
}

impl<R> Side<R> {
    /// Nanoseconds since the start of the run.
    pub fn since(&self, event: &Event) -> u64 {
        event.time_ns.saturating_sub(self.numbers.start_ns())
    }
}
