//! What two runs have to differ in to be told apart.

use barkeep_journal::{Actor, Clock, Event, Journal, Kind, Lane, Phase, Sink, Trigger};
use barkeep_storm::Interleaving;

fn of(events: &[Event]) -> u128 {
    let mut interleaving = Interleaving::default();
    events.iter().for_each(|event| interleaving.event(event));
    interleaving.finish()
}

fn events() -> Vec<Event> {
    let address = "0000:00:03.0".parse().unwrap();
    let begin = Event::new(Kind::Trigger, Actor::Vcpu).device(address).trigger(Trigger::Flr);
    let (begin, end) = (Event { phase: Phase::Begin, ..begin.clone() }, Event { phase: Phase::End, ..begin });
    let landed = Event::new(Kind::Landed, Actor::Guest).device(address).bar(2).range(0, 64).value(1);
    vec![begin, end, landed]
}

/// All events alike but one.
fn with(number: usize, change: impl Fn(&mut Event)) -> u128 {
    let mut events = events();
    change(&mut events[number]);
    of(&events)
}

#[test]
fn times_addresses_values_and_texts_do_not_matter() {
    let same = of(&events());
    assert_eq!(with(0, |event| event.time_ns = 7), same);
    assert_eq!(with(0, |event| event.seq = 7), same);
    assert_eq!(with(0, |event| event.step = 7), same);
    assert_eq!(with(1, |event| event.result = Some(-5)), same);
    assert_eq!(with(2, |event| event.address = Some(0x1000)), same);
    assert_eq!(with(2, |event| event.value = Some(7)), same);
    assert_eq!(with(2, |event| event.text = "dma".to_owned()), same);
}

#[test]
fn who_did_what_to_which_device_and_when_does() {
    let numbers = [
        of(&events()),
        of(&[]),
        of(&events()[..2]),
        with(0, |event| event.actor = Actor::Observer),
        with(0, |event| event.index = 1),
        with(0, |event| event.trigger = Trigger::AfFlr),
        with(0, |event| event.kind = Kind::FindOut),
        with(1, |event| event.phase = Phase::Point),
        with(2, |event| event.bar = Some(0)),
        with(2, |event| event.device = Some("0000:00:04.0".parse().unwrap())),
        {
            let mut turned = events();
            turned.swap(1, 2);
            of(&turned)
        },
    ];
    for (place, number) in numbers.iter().enumerate() {
        assert!(!numbers[..place].contains(number), "{place}");
    }
}

#[test]
fn it_takes_events_from_a_journal() {
    let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Interleaving::default());
    let nothing = tap.with(|interleaving| interleaving.finish());
    journal.emit(Event::new(Kind::RunStart, Actor::Vmm));
    assert_ne!(tap.with(|interleaving| interleaving.finish()), nothing);
}
