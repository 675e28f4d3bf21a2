//! A second process that imports a window, and a VMM that is killed.

use crate::story::{AT, BAR, DEVICE, SIZE, Story, away, breaks, holds, named, restored};
use barkeep_check::Invariant::{I1, I2, I4};
use barkeep_check::{Ended, Verdict};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, SeenBy, Trigger};

const ENODEV: i32 = -19;
const EBADF: i32 = -9;
const SPARE: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 5 << 3 };
/// Of its own space: no window of the VM is there.
const IOVA: u64 = 0x20_0000_0000;
const WORD: u64 = 0x5ec0_0001;

fn of(actor: Actor, kind: Kind) -> Event {
    Event::new(kind, actor)
}

/// It runs, and has the dma-buf.
fn beside(story: &mut Story) -> Event {
    let lifetime = story.begin(of(Actor::Importer, Kind::Process).text("second"));
    story.step(of(Actor::Importer, Kind::ProcessStep).text("i.receive"), 0);
    lifetime
}

fn imports(story: &mut Story, result: i32) {
    let event = of(Actor::Importer, Kind::AttachProbe).device(DEVICE).bar(BAR);
    story.step(event.range(AT, SIZE), result);
}

fn commands(story: &mut Story, word: u64) {
    story.point(of(Actor::Importer, Kind::DmaStart).device(SPARE).range(IOVA, 4).value(word));
}

fn lands(story: &mut Story, word: u64) {
    let event = of(Actor::Guest, Kind::Landed).device(DEVICE).bar(BAR).range(0, 4).value(word);
    story.point(event.seen_by(SeenBy::GuestRead).text("second"));
}

fn ends(story: &mut Story, mut lifetime: Event, how: &str) {
    lifetime.phase = Phase::End;
    story.point(lifetime.text(how).result(0));
}

#[test]
fn its_mapping_is_not_the_vmms_to_restore() {
    let mut story = Story::new();
    let lifetime = beside(&mut story);
    imports(&mut story, 0);
    commands(&mut story, WORD);
    lands(&mut story, WORD);
    story.handle(restored(Trigger::Flr));
    // The VM's own is back; this one is dead, and made anew.
    story.step(of(Actor::Importer, Kind::ProcessStep).text("i.unmap"), 0);
    imports(&mut story, 0);
    commands(&mut story, WORD + 1);
    lands(&mut story, WORD + 1);
    ends(&mut story, lifetime, "exit");
    holds(&story.closed());
}

#[test]
fn its_dma_after_a_revoke_must_not_land_although_the_vms_own_may() {
    for revoked in [Trigger::Flr, Trigger::D3hot] {
        let mut story = Story::new();
        let lifetime = beside(&mut story);
        imports(&mut story, 0);
        story.handle(restored(revoked));
        commands(&mut story, WORD);
        lands(&mut story, WORD);
        ends(&mut story, lifetime, "exit");
        let verdict = story.closed();
        assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
        assert_eq!(verdict.findings[0].invariant, I1);
        assert!(verdict.findings[0].what.contains("a DMA of the second process"), "{:#?}", verdict.findings);
    }
}

#[test]
fn what_was_commanded_before_the_revoke_may_have_landed_before_it() {
    let mut story = Story::new();
    let lifetime = beside(&mut story);
    imports(&mut story, 0);
    commands(&mut story, WORD);
    story.handle(restored(Trigger::Flr));
    lands(&mut story, WORD);
    ends(&mut story, lifetime, "SIGKILL");
    holds(&story.closed());
}

#[test]
fn what_it_brings_says_nothing_of_the_vms_own_dma() {
    let mut story = Story::new();
    let lifetime = beside(&mut story);
    imports(&mut story, 0);
    story.dma(7);
    commands(&mut story, WORD);
    lands(&mut story, WORD);
    story.handle(restored(Trigger::Flr));
    // Still open: it was commanded before the revoke.
    story.landed("dma", 7);
    ends(&mut story, lifetime, "exit");
    holds(&story.closed());
}

#[test]
fn its_map_of_what_is_revoked_is_enodev() {
    let told = |result| {
        let mut story = Story::new();
        let lifetime = beside(&mut story);
        story.handle(away(Trigger::DecodeOff));
        imports(&mut story, result);
        story.handle(restored(Trigger::DecodeOn));
        ends(&mut story, lifetime, "exit");
        story.closed()
    };
    holds(&told(ENODEV));
    let what = "attach_probe of BAR 2 of 0000:00:03.0 while it is revoked gave success, not ENODEV";
    breaks(&told(0), I2, what);
}

#[test]
fn without_a_dma_buf_it_maps_nothing_whatever_the_device_is() {
    let told = |result| {
        let mut story = Story::new();
        let lifetime = beside(&mut story);
        story.step(of(Actor::Importer, Kind::ProcessStep).text("i.buffer"), 0);
        story.handle(away(Trigger::DecodeOff));
        imports(&mut story, result);
        story.handle(restored(Trigger::DecodeOn));
        ends(&mut story, lifetime, "exit");
        story.closed()
    };
    holds(&told(EBADF));
    breaks(&told(ENODEV), I2, "attach_probe without a dma-buf gave ENODEV, not EBADF");
}

#[test]
fn a_dma_buf_that_others_hold_keeps_no_access() {
    let held = |hold: Event| {
        let mut story = Story::new();
        let hold = story.begin(hold);
        story.handle(away(Trigger::Close));
        story.attach_probe(0);
        story.point(Event { phase: Phase::End, ..hold });
        story.over_after_the_dma_buf()
    };
    let hold = |by: &str| of(Actor::Observer, Kind::Hold).device(DEVICE).text(by);
    holds(&held(hold("inherited")));
    for no_file in [hold("duplicate").bar(BAR).range(0, SIZE), hold("reopened")] {
        let verdict = held(no_file);
        assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
        assert_eq!(verdict.findings[0].invariant, I2);
    }
}

/// A run that is in the middle of everything when its process is killed.
fn killed(after: impl FnOnce(&mut Story)) -> Verdict {
    let mut story = Story::new();
    let vmm = of(Actor::Vmm, Kind::Process).text("vmm");
    let vmm = story.begin(vmm);
    beside(&mut story);
    imports(&mut story, 0);
    story.action("the VMM is killed");
    story.withdraw(Trigger::Flr);
    story.begin(named(Kind::Trigger, Trigger::Flr));
    ends(&mut story, vmm, "SIGKILL");
    after(&mut story);
    story.point(Event::new(Kind::RunEnd, Actor::Lab).result(0));
    story.stops(Ended::ByItself(0))
}

#[test]
fn of_a_vmm_that_was_killed_nothing_is_under_way_or_left() {
    holds(&killed(|story| {
        let outlives = beside(story);
        imports(story, ENODEV);
        story.step(of(Actor::Importer, Kind::ProcessStep).text("i.unmap"), 0);
        ends(story, outlives, "exit");
        story.point(of(Actor::Lab, Kind::Leftover).text("dma-bufs of a killed VMM").value(0));
    }));
}

#[test]
fn and_its_device_is_revoked_for_everybody() {
    let verdict = killed(|story| imports(story, 0));
    let what = "attach_probe of BAR 2 of 0000:00:03.0 while it is revoked gave success, not ENODEV";
    breaks(&verdict, I2, what);
    let verdict = killed(|story| {
        commands(story, WORD);
        lands(story, WORD);
    });
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!(verdict.findings[0].invariant, I1);
}

#[test]
fn what_is_left_all_the_same_is_found() {
    let verdict = killed(|story| {
        story.point(of(Actor::Lab, Kind::Leftover).text("dma-bufs of a killed VMM").value(2));
    });
    breaks(&verdict, I4, "2 left of dma-bufs of a killed VMM");
}
