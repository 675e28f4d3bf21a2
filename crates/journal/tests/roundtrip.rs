//! What is written is what is read, through records and through JSON lines, and a dead
//! writer's journal still reads.

mod any;

use any::any_event;
use barkeep_journal::{Actor, Clock, Event, Journal, Kind, Lane, Phase, Reader, Trigger, json, layout};
use proptest::prelude::*;
use std::os::unix::fs::FileExt;

fn size(capacity: usize) -> usize {
    layout::HEADER_SIZE + capacity * layout::RECORD_SIZE
}

proptest! {
    #[test]
    fn events_survive_records_and_lines(events in proptest::collection::vec(any_event(), 1..20)) {
        let (journal, file) = Journal::in_memory(200, Lane::Lab, Clock::Virtual).unwrap();
        for event in &events {
            journal.emit(event.clone());
        }
        let mut reader = Reader::open(file, size(200)).unwrap();
        for event in events {
            let read = reader.next_event().unwrap();
            prop_assert_eq!(&Event { seq: read.seq, ..event }, &read);
            let line = json::line(&read, reader.header());
            prop_assert_eq!(json::parse(&line).unwrap(), read);
        }
        prop_assert!(reader.next_event().is_none());
    }

    #[test]
    fn no_line_panics(line in ".{0,200}") {
        let _ = json::parse(&line);
        let _ = json::parse_header(&line);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in 0usize..6000) {
        let (journal, file) = Journal::in_memory(20, Lane::Lab, Clock::Virtual).unwrap();
        journal.emit(Event::new(Kind::RunStart, Actor::Vmm).text("x".repeat(300)));
        file.write_at(&bytes, at as u64).unwrap();
        if let Ok(mut reader) = Reader::open(file, size(20)) {
            for _ in 0..100 {
                if reader.next_after_death().is_none() {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_full_journal_says_what_it_lost() {
    let (journal, file) = Journal::in_memory(3, Lane::Lab, Clock::Virtual).unwrap();
    for _ in 0..5 {
        journal.emit(Event::new(Kind::Mark, Actor::Scenario));
    }
    let mut reader = Reader::open(file, size(3)).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| reader.next_after_death()).collect();
    assert_eq!(events.len(), 4);
    assert_eq!((events[3].kind, events[3].value), (Kind::Lost, Some(2)));
}

#[test]
fn a_torn_record_is_told_and_passed_over() {
    let (journal, file) = Journal::in_memory(9, Lane::Lab, Clock::Virtual).unwrap();
    for _ in 0..3 {
        journal.emit(Event::new(Kind::Mark, Actor::Scenario));
    }
    // The second writer died between taking its record and finishing it.
    file.write_at(&[0; 8], (layout::HEADER_SIZE + layout::RECORD_SIZE) as u64).unwrap();
    let mut reader = Reader::open(file, size(9)).unwrap();
    let kinds: Vec<_> = std::iter::from_fn(|| reader.next_after_death()).map(|e| e.kind).collect();
    assert_eq!(kinds, [Kind::Mark, Kind::Lost, Kind::Mark]);
}

#[test]
fn a_step_without_its_end_is_visible() {
    let (journal, file) = Journal::in_memory(9, Lane::Lab, Clock::Virtual).unwrap();
    let done = journal.begin(Event::new(Kind::P2pMap, Actor::Keeper));
    let hung = journal.begin(Event::new(Kind::Trigger, Actor::Vcpu).trigger(Trigger::Flr));
    journal.end(done, -19);
    let hung = hung.number();
    let mut reader = Reader::open(file, size(9)).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| reader.next_event()).collect();
    assert_eq!(events[2].result, Some(-19));
    assert_eq!(events[2].step, events[0].step);
    assert!(!events.iter().any(|e| e.phase == Phase::End && e.step == hung));
    assert!(json::line(&events[2], reader.header()).contains(r#""errno":"ENODEV""#));
}

#[test]
fn threads_write_side_by_side() {
    let (journal, file) = Journal::in_memory(4000, Lane::Lab, Clock::Virtual).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || {
                for n in 0..500 {
                    journal.emit(
                        Event::new(Kind::Mark, Actor::Vcpu).index(thread).value(n).text("y".repeat(100)),
                    );
                }
            });
        }
    });
    let mut reader = Reader::open(file, size(4000)).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| reader.next_event()).collect();
    assert_eq!(events.len(), 2000);
    assert!(events.iter().all(|e| e.text.len() == 100 && e.kind == Kind::Mark));
}
