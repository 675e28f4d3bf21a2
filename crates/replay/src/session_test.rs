use super::*;
use crate::run::{Refused, Run};
use barkeep_journal::{Actor, Trigger};

/// Events that are written down.
struct Written {
    events: Vec<Event>,
    given: usize,
}

impl Run for Written {
    fn next_event(&mut self) -> Result<Option<Event>, Refused> {
        let event = self.events.get(self.given).cloned();
        self.given += 1;
        Ok(event)
    }

    fn again(&mut self) -> Result<(), Refused> {
        self.given = 0;
        Ok(())
    }

    fn bytes(&mut self, _: DeviceAddress, bar: u8, offset: u64, length: usize) -> Result<Vec<u8>, Refused> {
        match bar {
            2 => Ok((0..length).map(|n| n as u8 ^ offset as u8).collect()),
            _ => Err(Refused(format!("there is no BAR {bar}"))),
        }
    }

    fn mappings(&mut self) -> Result<Vec<String>, Refused> {
        Ok(vec!["one".to_owned()])
    }
}

const NVME: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 0x18 };

/// A device, two FLRs, a broken expectation, an end.
fn events() -> Vec<Event> {
    let of = |kind| Event::new(kind, Actor::Vmm).device(NVME);
    let flr = || of(Kind::Trigger).trigger(Trigger::Flr);
    let mut events = vec![
        Event::new(Kind::RunStart, Actor::Vmm).text("barkeep: test"),
        of(Kind::DeviceOpen).text("nvme 1b36:0010"),
        Event { phase: Phase::Begin, step: 1, ..flr() },
        Event { phase: Phase::End, step: 1, ..flr().result(-25) },
        Event { phase: Phase::Begin, step: 2, ..flr() },
        Event { phase: Phase::End, step: 2, ..flr().result(0) },
        Event::new(Kind::Expectation, Actor::Scenario).result(1).text("not so"),
        Event::new(Kind::RunEnd, Actor::Vmm).result(1),
    ];
    for (n, event) in events.iter_mut().enumerate() {
        (event.seq, event.time_ns) = (n as u64, 1000 * (n as u64 + 1));
    }
    events
}

/// What a session with these options says to these commands, and how it ends.
fn session(options: Options, commands: &[&str]) -> (String, End) {
    let mut out = Vec::new();
    let mut session = Session::new(Written { events: events(), given: 0 }, &mut out, options);
    let mut end = session.begin().unwrap();
    for command in commands {
        if end.is_none() {
            end = session.command(&command.parse().unwrap()).unwrap();
        }
    }
    let end = end.unwrap_or_else(|| session.left());
    (String::from_utf8(out).unwrap(), end)
}

fn until(point: &str) -> Options {
    Options { until: Some(point.parse().unwrap()), watch: false }
}

#[test]
fn it_stops_at_points_and_goes_both_ways() {
    let (told, end) =
        session(until("revoke:2"), &["event", "back 2", "step", "next revoke", "until 5us", "quit"]);
    let places: Vec<&str> = told.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(places, ["4", "4", "2", "3", "4", "5"], "{told}");
    assert!(told.lines().next().unwrap().ends_with("[revoke:2]"), "{told}");
    assert_eq!(end, End::Left);
}

#[test]
fn a_watch_stops_once_and_tells_what_was_found() {
    let options = Options { until: None, watch: true };
    let (told, end) = session(options, &["continue", "continue", "findings", "continue", "continue"]);
    // An FLR's write is never answered with an errno.
    assert!(told.starts_with("seq     3") && told.contains("  I2: flr of"), "{told}");
    assert!(told.contains("\nseq     6") && told.contains("  expectation: not met: not so"), "{told}");
    assert!(told.contains("the run is over, after 8 events"), "{told}");
    assert_eq!(end, End::Over(1));
}

#[test]
fn what_is_not_there_is_told() {
    let (told, end) = session(until("revoke:3"), &["event"]);
    assert_eq!(end, End::NeverThere(Point::Revoke(3)), "{told}");
    let (told, _) =
        session(until("seq:1"), &["inspect edu", "bytes nvme:1", "bytes nvme:2 0x10 4", "mappings"]);
    assert!(told.contains("there is no device edu in this run"), "{told}");
    assert!(told.contains("there is no BAR 1") && told.contains("0x00000010  10111213"), "{told}");
    assert!(told.ends_with("one\n"), "{told}");
}

#[test]
fn a_reset_that_fails_is_seen_in_the_state() {
    let (told, _) = session(until("seq:3"), &["inspect nvme", "history nvme"]);
    assert!(told.contains("after FLR, which gave ENOTTY (seq 3)"), "{told}");
    assert_eq!(told.matches("FLR let through").count(), 1, "{told}");
}
