//! A typed sink is handed what a reader of shared memory reads, and a virtual clock stamps both
//! alike.

mod any;

use any::any_event;
use barkeep_journal::{
    Actor, Clock, Event, Header, Journal, Kind, Lane, Phase, Reader, VirtualClock, json, layout,
};
use proptest::prelude::*;

/// What a run does to its journal.
#[derive(Clone, Debug)]
enum Act {
    Emit(Event),
    EmitNow(Event),
    EmitWithText(Event, String),
    Begin(Event),
    /// Ends the step begun last.
    End(i32),
    Pass(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        any_event().prop_map(Act::Emit),
        any_event().prop_map(|event| Act::EmitNow(event.at(0))),
        (any_event(), ".{0,200}").prop_map(|(event, text)| Act::EmitWithText(event, text)),
        any_event().prop_map(Act::Begin),
        any::<i32>().prop_map(Act::End),
        (0u64..1_000_000).prop_map(Act::Pass),
    ]
}

fn run(acts: &[Act], journal: Journal) {
    let clock = VirtualClock::new();
    let journal = journal.timed_by(clock.clone());
    let mut steps = Vec::new();
    for act in acts.iter().cloned() {
        match act {
            Act::Emit(event) | Act::EmitNow(event) => journal.emit(event),
            Act::EmitWithText(event, text) => journal.emit_with_text(event, &text),
            Act::Begin(event) => steps.push(journal.begin(event)),
            Act::End(result) => {
                if let Some(step) = steps.pop() {
                    journal.end(step, result);
                }
            }
            Act::Pass(ns) => {
                clock.advance(ns);
                assert_eq!(journal.now(), clock.now());
            }
        }
    }
    journal.finish(7);
}

fn typed() -> (Journal, barkeep_journal::Tap<impl FnMut(&Event) + Send>, std::sync::mpsc::Receiver<Event>) {
    let (send, receive) = std::sync::mpsc::channel();
    let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, move |event: &Event| {
        send.send(event.clone()).unwrap();
    });
    (journal, tap, receive)
}

proptest! {
    #[test]
    fn a_sink_is_handed_what_a_reader_reads(acts in proptest::collection::vec(any_act(), 1..30)) {
        let (journal, tap, handed) = typed();
        run(&acts, journal);
        let (shared, file) = Journal::in_memory(200, Lane::Model, Clock::Virtual).unwrap();
        run(&acts, shared);
        let mut reader = Reader::open(file, layout::HEADER_SIZE + 200 * layout::RECORD_SIZE).unwrap();
        let header = Header { lane: Lane::Model, clock: Clock::Virtual };
        prop_assert_eq!(reader.header(), header);
        for event in handed.try_iter() {
            let read = reader.next_event().unwrap();
            prop_assert_eq!(&event, &read);
            prop_assert_eq!(json::line(&event, header), json::line(&read, header));
        }
        prop_assert!(reader.next_event().is_none());
        prop_assert_eq!((tap.finished(), reader.finished()), (Some(7), Some(7)));
    }
}

#[test]
fn a_run_in_virtual_time_has_the_same_bytes_twice() {
    let write = || {
        let (journal, file) = Journal::in_memory(9, Lane::Model, Clock::Virtual).unwrap();
        let begin = Event::new(Kind::P2pMap, Actor::Keeper);
        run(&[Act::Begin(begin), Act::Pass(120), Act::End(-19)], journal);
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut &file, &mut bytes).unwrap();
        bytes
    };
    assert_eq!(write(), write());
}

#[test]
fn a_tap_takes_out_what_the_sink_has_come_to() {
    #[derive(Default)]
    struct Counts(Vec<(Kind, Phase, u64)>);
    impl barkeep_journal::Sink for Counts {
        fn event(&mut self, event: &Event) {
            self.0.push((event.kind, event.phase, event.time_ns));
        }
    }
    let clock = VirtualClock::new();
    let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Counts::default());
    let journal = journal.timed_by(clock.clone());
    assert_eq!((journal.lane(), journal.clock(), tap.finished()), (Lane::Model, Clock::Virtual, None));
    let step = journal.begin(Event::new(Kind::FindOut, Actor::Keeper));
    clock.advance(5);
    journal.end(step, 0);
    let counts = tap.with(std::mem::take);
    assert_eq!(counts.0, [(Kind::FindOut, Phase::Begin, 0), (Kind::FindOut, Phase::End, 5)]);
    assert!(tap.with(|counts| counts.0.is_empty()));
}

#[test]
fn a_text_that_passes_by_is_not_allocated_each_time() {
    let mut buffers = Vec::new();
    let (send, receive) = std::sync::mpsc::channel();
    let (journal, _tap) = Journal::typed(Lane::Model, Clock::Virtual, move |event: &Event| {
        send.send((event.text.as_ptr() as usize, event.text.clone())).unwrap();
    });
    // The short ones would fit into smaller allocations.
    for text in ["long".repeat(100).as_str(), "cpu", "dma"] {
        journal.emit_with_text(Event::new(Kind::Landed, Actor::Guest), text);
        let (buffer, seen) = receive.recv().unwrap();
        assert_eq!(seen, text);
        buffers.push(buffer);
    }
    assert!(buffers.iter().all(|buffer| *buffer == buffers[0]));
}

#[test]
fn threads_share_a_sink() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let (journal, _tap, handed) = typed();
    is_shared(&journal);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || {
                for _ in 0..500 {
                    journal.end(journal.begin(Event::new(Kind::Mark, Actor::Vcpu).index(thread)), 0);
                }
            });
        }
    });
    let events: Vec<_> = handed.try_iter().collect();
    assert!(events.iter().map(|event| event.seq).eq(0..4000));
    let mut begun: Vec<_> =
        events.iter().filter(|event| event.phase == Phase::Begin).map(|event| event.step).collect();
    begun.sort_unstable();
    assert!(begun.into_iter().eq(1..=2000));
}
