//! What the checker holds goes with what there is at the same time, not with the run's length.

use crate::storm::{Cycle, Storm};
use crate::story::{AT, BAR, DEVICE, ENGINE, SIZE, Story, about, breaks, holds, named};
use barkeep_check::Invariant::{I3, I4, I5, I7};
use barkeep_check::{Checker, Ended, Invariant, Verdict};
use barkeep_journal::{Actor, Clock, DeviceAddress, Event, Journal, Kind, Lane, Phase, Trigger};
use proptest::prelude::*;

/// Two devices, three windows, each exported, a range of RAM, an engine, an action and its step, a
/// device that is away.
const STORM: usize = 2 + 3 + 3 + 1 + 1 + 2 + 1;

fn cycle() -> impl Strategy<Value = Cycle> {
    prop_oneof![
        5 => proptest::sample::select(Cycle::ALL.to_vec()),
        1 => any::<u16>().prop_map(Cycle::Move),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn a_storm_takes_no_more_memory_than_its_devices(
        runs in proptest::collection::vec(proptest::collection::vec((0usize..2, cycle()), 0..500), 1..4),
    ) {
        let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Watched::default());
        for cycles in runs {
            let mut storm = Storm::new(journal.clone());
            cycles.into_iter().for_each(|(device, cycle)| storm.cycle(device, cycle));
            storm.over();
        }
        let Watched { checker, most } = tap.with(std::mem::take);
        prop_assert!(most <= STORM, "{} entries", most);
        let verdict = checker.finish(Ended::ByItself(0));
        prop_assert_eq!((&verdict.findings[..], verdict.counts.unlisted), (&[][..], 0));
    }
}

/// A checker, and the most it ever held.
#[derive(Default)]
struct Watched {
    checker: Checker,
    most: usize,
}

impl barkeep_journal::Sink for Watched {
    fn event(&mut self, event: &Event) {
        self.checker.event(event);
        self.most = self.most.max(self.checker.footprint());
    }
}

/// Tells a checker 20,000 events of one sort, holds it to a number of entries, and gives its
/// verdict.
fn flood(most: usize, events: impl Fn(u64) -> Event) -> Verdict {
    let mut story = Story::bare();
    for n in 0..20_000 {
        story.point(events(n));
    }
    assert!(story.footprint() <= most, "{} entries", story.footprint());
    story.over()
}

#[track_caller]
fn finds_first(verdict: &Verdict, invariant: Invariant, what: &str) {
    let first = verdict.findings.iter().find(|finding| finding.invariant == invariant);
    assert_eq!(first.map(|finding| finding.what.as_str()), Some(what));
}

#[test]
fn steps_that_never_end_are_followed_up_to_a_number() {
    let verdict = flood(5000, |n| Event {
        phase: Phase::Begin,
        step: n as u32 + 1,
        ..Event::new(Kind::RamMap, Actor::Vmm).range(0, SIZE)
    });
    let what = "more than 4096 steps under way at once: ram_map is not judged any further";
    finds_first(&verdict, I5, what);
    finds_first(&verdict, I7, "step 1 (ram_map, vmm) began and never ended");
    assert_eq!(verdict.counts.unlisted, (20_000 - 4096 - 64) + (4096 - 64));
}

#[test]
fn windows_are_followed_up_to_a_number() {
    let verdict = flood(500, |n| {
        let window = Event::new(Kind::SlotAdd, Actor::Keeper).device(DEVICE).bar(BAR);
        Event { phase: Phase::End, ..window.range(AT + n * SIZE, SIZE).result(0) }
    });
    let what = "more than 256 windows of one device: slot_add is not judged any further";
    finds_first(&verdict, I5, what);
}

#[test]
fn dma_bufs_that_are_never_closed_are_counted() {
    let export = |n: u64| {
        let export = Event::new(Kind::BarExport, Actor::Vmm).device(DEVICE).bar(BAR);
        export.range(n * SIZE, SIZE).result(0)
    };
    let verdict = flood(5, |_| export(0));
    let one = "20000 dma-bufs of BAR 2 of 0000:00:03.0, 0x1000 bytes at 0x0, were never closed";
    breaks(&verdict, I4, one);

    let verdict = flood(1200, export);
    finds_first(&verdict, I4, "18976 dma-bufs of further windows of 0000:00:03.0 were never closed");
    assert_eq!((verdict.findings.len(), verdict.counts.unlisted), (64, 1025 - 64));
}

#[test]
fn devices_engines_and_ram_are_followed_up_to_a_number() {
    let device = |n: u64| DeviceAddress::from_bits(n as u32).unwrap();
    let verdict = flood(1100, |n| Event::new(Kind::Expect, Actor::Keeper).device(device(n)).value(0));
    finds_first(&verdict, I5, "more than 1024 devices: expect is not judged any further");

    let dma = |n| Event::new(Kind::DmaStart, Actor::Guest).device(device(n)).address(AT);
    finds_first(&flood(1100, dma), I5, "more than 1024 engines of DMA: dma_start is not judged any further");

    let ram = |n: u64| Event::new(Kind::RamMap, Actor::Vmm).range(n * 2 * SIZE, SIZE).result(0);
    finds_first(
        &flood(1100, ram),
        I5,
        "more than 1024 ranges of guest RAM: ram_map is not judged any further",
    );
    holds(&flood(5, |n| ram(n % 2)));
}

#[test]
fn an_engine_nobody_looks_at_is_one_entry() {
    let dma = |n| Event::new(Kind::DmaStart, Actor::Guest).device(ENGINE).range(AT, 256).value(n);
    holds(&flood(1, dma));
}

#[test]
fn a_window_that_is_peers_alone_may_move_too() {
    let at = |n: u64, kind, trigger| about(kind, trigger).range(AT + n * SIZE, SIZE);
    let mut story = Story::bare();
    story.step(Event::new(Kind::BarExport, Actor::Vmm).device(DEVICE).bar(BAR).range(0, SIZE), 0);
    for n in 0..1000 {
        story.let_through(Trigger::DecodeOn, 0);
        story.find_out(Trigger::DecodeOn, 1);
        story.step(at(n, Kind::P2pMap, Trigger::DecodeOn), 0);
        story.expect(Trigger::DecodeOn, 1);
        story.let_through(Trigger::DecodeOff, 0);
        story.find_out(Trigger::DecodeOff, 0);
        story.step(at(n, Kind::P2pUnmap, Trigger::DecodeOff), 0);
        story.expect(Trigger::DecodeOff, 0);
    }
    assert!(story.footprint() <= 4, "{} entries", story.footprint());
    story.point(about(Kind::DmabufClose, Trigger::None).range(0, SIZE));
    holds(&story.over());
}

#[test]
fn a_window_that_never_comes_back_wherever_it_moves_is_no_more_for_it() {
    let mut story = Story::new();
    for n in 1..1000 {
        let window = |kind| about(kind, Trigger::DecodeOn).range(AT + n * SIZE, SIZE);
        story.step(about(Kind::SlotRemove, Trigger::DecodeOff).range(AT + (n - 1) * SIZE, SIZE), 0);
        story.step(about(Kind::P2pUnmap, Trigger::DecodeOff).range(AT + (n - 1) * SIZE, SIZE), 0);
        story.let_through(Trigger::DecodeOn, 0);
        story.find_out(Trigger::DecodeOn, 1);
        story.step(window(Kind::SlotAdd), 0);
        story.point(named(Kind::Expect, Trigger::DecodeOn).value(1));
    }
    assert!(story.footprint() <= 400, "{} entries", story.footprint());
    let verdict = story.over();
    let of_i3 = verdict.findings.iter().filter(|finding| finding.invariant == I3).count();
    assert_eq!(of_i3, Verdict::LISTED);
}

/// Found by fuzzing: a journal that was changed by somebody may say anything.
#[test]
fn a_bar_that_no_function_has_is_judged_without_a_fall() {
    use barkeep_check::{Checker, Ended};
    use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase};
    let device = DeviceAddress { domain: 0, bus: 0, devfn: 0x18 };
    let of =
        |kind, phase| Event { phase, ..Event::new(kind, Actor::Keeper).device(device).bar(200).result(0) };
    let mut checker = Checker::new();
    for (kind, phase) in [
        (Kind::BarExport, Phase::End),
        (Kind::P2pMap, Phase::Begin),
        (Kind::P2pMap, Phase::End),
        (Kind::SlotAdd, Phase::Begin),
        (Kind::SlotAdd, Phase::End),
        (Kind::FindOut, Phase::Begin),
        (Kind::FindOut, Phase::End),
        (Kind::Expect, Phase::Point),
    ] {
        checker.event(&of(kind, phase).range(0x4000, 0x1000).value(1));
    }
    let _ = checker.finish(Ended::ByItself(0));
}
