//! I4 and I5: what is left over, and what is missing.

use crate::story::{AT, BAR, DEVICE, SIZE, Story, breaks, holds};
use barkeep_check::Ended;
use barkeep_check::Invariant::{I4, I5};
use barkeep_journal::{Actor, Event, Kind};

#[test]
fn what_is_not_given_back_is_found() {
    let verdict = Story::new().over();
    let what: Vec<_> = verdict.findings.iter().map(|f| (f.invariant, f.what.as_str())).collect();
    let expected = [
        (I4, "0000:00:03.0 was opened and never closed"),
        (I4, "the dma-buf of BAR 2 of 0000:00:03.0, 0x1000 bytes at 0x0, was never closed"),
        (I4, "the memory slot of BAR 2 of 0000:00:03.0 at 0xfe000000 was never taken away"),
        (I4, "the P2P mapping of BAR 2 of 0000:00:03.0 at 0xfe000000 was never taken away"),
    ];
    assert_eq!(what, expected);
}

#[test]
fn a_run_that_was_cut_off_could_not_give_back() {
    let verdict = Story::new().stops(Ended::TimedOut);
    assert!(verdict.findings.iter().all(|finding| finding.invariant != I4));
}

#[test]
fn leftovers_that_were_counted() {
    let mut story = Story::bare();
    story.point(Event::new(Kind::Leftover, Actor::Lab).text("processes").value(0));
    holds(&story.over());

    let mut story = Story::bare();
    story.point(Event::new(Kind::Leftover, Actor::Vmm).device(DEVICE).text("dma-bufs").value(2));
    breaks(&story.over(), I4, "2 left of dma-bufs of 0000:00:03.0");
}

#[test]
fn lost_records_are_found_once() {
    let mut story = Story::bare();
    let mut lost = Event::new(Kind::Lost, Actor::Lab).value(3).text("no room left in the journal");
    lost.seq = 1;
    story.point(lost);
    let verdict = story.stops(Ended::ByItself(0));
    let what: Vec<_> = verdict.findings.iter().map(|f| (f.invariant, f.what.as_str())).collect();
    let expected = [
        (I5, "3 records lost: no room left in the journal"),
        (I5, "the journal ends without the end of the run"),
    ];
    assert_eq!(what, expected);
    assert_eq!(verdict.exit_code(), 1);
}

#[test]
fn places_that_are_missing_and_places_that_come_twice() {
    let mut checker = barkeep_check::Checker::new();
    let mut event = Event::new(Kind::Mark, Actor::Vmm).text("x".repeat(130));
    checker.event(&event);
    for seq in [3, 5, 5] {
        event.seq = seq;
        event.text.clear();
        checker.event(&event);
    }
    event = Event::new(Kind::RunEnd, Actor::Vmm);
    event.seq = 6;
    checker.event(&event);
    let verdict = checker.finish(Ended::ByItself(0));
    let what: Vec<_> = verdict.findings.iter().map(|f| (f.seq, f.what.as_str())).collect();
    let expected = [
        (5, "1 places of the journal before this one are missing"),
        (5, "the journal goes back: it is not one run's"),
    ];
    assert_eq!(what, expected);
}

#[test]
fn degraded_is_listed_and_no_failure() {
    let mut story = Story::bare();
    for _ in 0..3 {
        story.point(Event::new(Kind::Degraded, Actor::Vmm).text("MSI is not delivered yet"));
    }
    let verdict = story.over();
    holds(&verdict);
    assert_eq!(verdict.counts.degraded.iter().collect::<Vec<_>>(), [("MSI is not delivered yet", 3)]);
}

#[test]
fn a_window_of_ram_is_no_leak() {
    let mut story = Story::bare();
    story.step(Event::new(Kind::RamMap, Actor::Vmm).range(0, AT), 0);
    story.step(Event::new(Kind::BarExport, Actor::Vmm).device(DEVICE).bar(BAR).range(0, SIZE), -19);
    holds(&story.over());
}
