//! What others do with a device: hold it, take it away, put it to sleep, unmap behind the VMM's back.

use crate::story::{BAR, DEVICE, LIVE, Story, about, away, holds, named, restored};
use barkeep_check::Invariant::{I1, I2};
use barkeep_journal::{Actor, Event, Kind, Trigger};

const ENODEV: i32 = -19;
const ENOENT: i32 = -2;
/// Decode on, D0, and this process has put it into low power.
const ASLEEP: u64 = 1 << 16 | LIVE;

fn held(by: &str) -> Event {
    Event::new(Kind::Hold, Actor::Observer).device(DEVICE).text(by)
}

fn by_others(event: Event) -> Event {
    Event { actor: Actor::Observer, ..event }
}

#[test]
fn a_file_that_others_hold_keeps_the_dma_buf_live() {
    let mut story = Story::new();
    let hold = story.begin(held("mapping"));
    story.handle(away(Trigger::Close));
    story.attach_probe(0);
    story.end(hold, 0);
    story.attach_probe(ENODEV);
    holds(&story.over_after_the_dma_buf());
}

#[test]
fn and_not_a_moment_longer() {
    let mut story = Story::new();
    let hold = story.begin(held("duplicate"));
    story.handle(away(Trigger::Close));
    story.end(hold, 0);
    story.attach_probe(0);
    let verdict = story.over_after_the_dma_buf();
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!(verdict.findings[0].invariant, I2);
}

#[test]
fn a_device_the_kernel_asked_for_is_closed() {
    let mut story = Story::new();
    story.point(Event::new(Kind::Request, Actor::Kernel).device(DEVICE));
    story.handle(away(Trigger::Remove));
    story.attach_probe(ENODEV);
    holds(&story.over_after_the_dma_buf());
}

#[test]
fn low_power_takes_both_ways_away_and_its_end_brings_them_back() {
    let mut story = Story::new();
    story.handle(crate::story::How { found: ASLEEP, ..away(Trigger::LowPowerEntry) });
    // A COMMAND write in low power makes the dma-buf live; nothing is known of it then.
    story.attach_probe(0);
    story.handle(restored(Trigger::LowPowerExit));
    holds(&story.closed());
}

#[test]
fn a_slot_in_low_power_is_found() {
    let mut story = Story::new();
    story.handle(crate::story::How { found: ASLEEP, slot: Some(0), ..away(Trigger::LowPowerEntry) });
    story.handle(restored(Trigger::LowPowerExit));
    let verdict = story.closed();
    assert_eq!(verdict.findings[0].invariant, I1, "{:#?}", verdict.findings);
    assert!(verdict.findings[0].what.contains("in low power"), "{:#?}", verdict.findings);
}

#[test]
fn an_unmap_by_somebody_else_explains_enoent_and_ends_the_mapping() {
    let unmap = || by_others(about(Kind::Trigger, Trigger::Unmap));
    let mut story = Story::new();
    story.step(unmap(), 0);
    story.handle(crate::story::How { unmap: ENOENT, ..restored(Trigger::Suspect) });
    holds(&story.closed());

    let mut story = Story::new();
    story.step(unmap(), 0);
    story.dma(9);
    story.landed("dma", 9);
    story.handle(crate::story::How { unmap: ENOENT, ..restored(Trigger::Suspect) });
    let verdict = story.closed();
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!(verdict.findings[0].invariant, I1);

    let mut story = Story::new();
    story.handle(crate::story::How { unmap: ENOENT, ..restored(Trigger::Suspect) });
    let verdict = story.closed();
    assert_eq!(verdict.findings[0].invariant, I2, "nobody has unmapped it: {:#?}", verdict.findings);
}

#[test]
fn what_others_did_is_not_the_keepers_to_settle() {
    let mut story = Story::new();
    for trigger in [Trigger::DeviceReset, Trigger::DecodeOff] {
        story.step(by_others(named(Kind::Trigger, trigger)).bar(BAR), 0);
    }
    holds(&story.closed());
}
