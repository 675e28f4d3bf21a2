//! The checker never panics, whatever it is fed.

use barkeep_check::{Checker, Ended};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, SeenBy, Trigger};
use proptest::prelude::*;
use proptest::sample::select;

/// Few devices, BARs and addresses, so that events meet.
fn event() -> impl Strategy<Value = Event> {
    let address = prop_oneof![Just(0u64), Just(0x1000), Just(0x1100), Just(u64::MAX), any::<u64>()];
    let size = prop_oneof![Just(0u64), Just(0x1000), Just(u64::MAX)];
    let value = prop_oneof![0u64..4, Just(0x301), any::<u64>()];
    let result = prop_oneof![Just(0), Just(-2), Just(-17), Just(-19), Just(i32::MIN), any::<i32>()];
    let texts =
        ["", "cpu", "dma", "vCPU ended: x", "P2P mapping not restored", "BUG: x", "Call Trace:", "[ T", "é["];
    let names = (
        select(Kind::ALL),
        select(Phase::ALL),
        select(Actor::ALL),
        select(Trigger::ALL),
        select(SeenBy::ALL),
    );
    let place = (proptest::option::of(0u8..2), proptest::option::of(0u8..7));
    let numbers = (0u32..6, proptest::option::of(address), proptest::option::of(size));
    let rest = (proptest::option::of(value), proptest::option::of(result), select(texts.to_vec()));
    (names, place, numbers, rest, any::<u64>()).prop_map(
        |((kind, phase, actor, trigger, seen_by), (device, bar), (step, address, size), rest, seq)| {
            let (value, result, text) = rest;
            let device = device.map(|devfn| DeviceAddress { domain: 0, bus: 0, devfn });
            let text = text.to_owned();
            Event {
                phase,
                step,
                trigger,
                seen_by,
                device,
                bar,
                address,
                size,
                value,
                result,
                text,
                seq,
                time_ns: !seq,
                ..Event::new(kind, actor)
            }
        },
    )
}

proptest! {
    #[test]
    fn any_sequence_of_events_is_judged(events in proptest::collection::vec(event(), 0..200), end in 0..3) {
        let mut checker = Checker::new();
        events.iter().for_each(|event| checker.event(event));
        let verdict = checker.finish(match end {
            0 => Ended::ByItself(0),
            1 => Ended::TimedOut,
            _ => Ended::Died { why: "x".to_owned() },
        });
        prop_assert!([0, 1, 124, 125].contains(&verdict.exit_code()));
        prop_assert_eq!(verdict.counts.events, events.len() as u64);
    }
}
