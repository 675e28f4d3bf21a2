//! Any event a writer may write.

use barkeep_journal::{Actor, DeviceAddress, Event, Kind, SeenBy, Trigger};
use proptest::prelude::*;

pub fn any_event() -> impl Strategy<Value = Event> {
    let pick = (
        proptest::sample::select(Kind::ALL).prop_filter("only the reader's", |k| *k != Kind::Continuation),
        proptest::sample::select(Actor::ALL),
        proptest::sample::select(Trigger::ALL),
        proptest::sample::select(SeenBy::ALL),
    );
    let numbers = (
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<u64>()),
        proptest::option::of(any::<i32>()),
        proptest::option::of(0u8..6),
        proptest::option::of(0u32..u32::MAX),
    );
    (pick, numbers, 1u64.., ".{0,200}").prop_map(
        |((kind, actor, trigger, seen_by), (address, size, value, result, bar, device), time, text)| {
            let mut event = Event::new(kind, actor).trigger(trigger).seen_by(seen_by).at(time).text(text);
            (event.address, event.size, event.value, event.result, event.bar) =
                (address, size, value, result, bar);
            event.device = device.and_then(DeviceAddress::from_bits);
            if matches!(actor, Actor::Guest | Actor::Vcpu) {
                event.index = 7;
            }
            event
        },
    )
}
