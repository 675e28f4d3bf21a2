//! I1: what may and what must not be seen around a revoke.

use crate::story::{AT, BAR, D3, DEVICE, How, OFF, SIZE, Story, about, away, breaks, holds, restored};
use barkeep_check::Invariant::I1;
use barkeep_journal::{Actor, Event, Kind, SeenBy, Trigger};

const REVOKING: [Trigger; 6] = [
    Trigger::Flr,
    Trigger::AfFlr,
    Trigger::DecodeOff,
    Trigger::D3hot,
    Trigger::DeviceReset,
    Trigger::HotReset,
];
const AWAY: &str = "a CPU access reached BAR 2 of 0000:00:03.0 while its slot was away";

#[test]
fn everything_lands_before_and_after_every_revoke() {
    for trigger in REVOKING {
        let mut story = Story::new();
        for n in 0..3 {
            story.dma(n);
            story.landed("dma", n);
            story.landed("cpu", n);
            story.handle(restored(trigger));
        }
        let verdict = story.closed();
        holds(&verdict);
        let counts = &verdict.counts;
        assert_eq!((counts.dma_landed, counts.cpu_landed, counts.revokes(), counts.outages), (3, 3, 4, 3));
        assert_eq!((counts.undecided, counts.dma_in_flight), (0, 0));
    }
}

#[test]
fn no_cpu_access_while_the_slot_is_away() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.landed("cpu", 7);
    story.handle(restored(Trigger::Flr));
    breaks(&story.closed(), I1, AWAY);
}

#[test]
fn no_slot_before_the_registers_were_asked() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.let_through(Trigger::Flr, 0);
    story.put_back(Trigger::Flr, 0);
    story.handle(restored(Trigger::Suspect));
    let asked = "slot_add of BAR 2 of 0000:00:03.0 succeeded before the registers were asked";
    breaks(&story.closed(), I1, asked);
}

#[test]
fn a_cpu_access_may_land_while_the_slot_is_on_its_way_out() {
    let mut story = Story::new();
    let removal = story.begin(about(Kind::SlotRemove, Trigger::Flr));
    story.landed("cpu", 7);
    story.end(removal, 0);
    story.handle(restored(Trigger::Flr));
    holds(&story.closed());
}

#[test]
fn no_cpu_access_to_a_function_that_does_not_decode_even_with_a_slot() {
    let mut story = Story::new();
    story.step(about(Kind::SlotRemove, Trigger::DecodeOff), -22);
    story.let_through(Trigger::DecodeOff, 0);
    story.find_out(Trigger::DecodeOff, OFF);
    story.landed("cpu", 7);
    let verdict = story.over();
    let first = &verdict.findings[0];
    assert_eq!((first.invariant, first.seq), (I1, 18), "{:#?}", verdict.findings);
    assert!(first.what.contains("while the function was revoked"));
}

#[test]
fn the_vmm_may_read_a_bar_that_decodes_without_a_slot() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.let_through(Trigger::Flr, 0);
    story.find_out(Trigger::Flr, 1);
    let read = Event::new(Kind::Landed, Actor::Vmm).device(DEVICE).bar(BAR).range(0, 4).text("cpu");
    story.point(read.seen_by(SeenBy::RegionRead));
    story.handle(restored(Trigger::Flr));
    let verdict = story.closed();
    assert!(verdict.findings.iter().all(|finding| finding.invariant != I1), "{:#?}", verdict.findings);
}

#[test]
fn an_access_of_an_action_that_began_before_the_outage_is_not_judged() {
    let mut story = Story::new();
    let verify = story.action("verify");
    story.withdraw(Trigger::Flr);
    story.landed("cpu", 7);
    story.end(verify, 0);
    story.handle(restored(Trigger::Flr));
    let verdict = story.closed();
    holds(&verdict);
    assert_eq!(verdict.counts.undecided, 1);
}

#[test]
fn an_access_of_an_action_that_began_in_the_outage_is() {
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    let verify = story.action("verify");
    story.landed("cpu", 7);
    story.end(verify, 0);
    story.handle(restored(Trigger::DecodeOn));
    breaks(&story.closed(), I1, "a CPU access reached BAR 2 of 0000:00:03.0 while the function was revoked");
}

#[test]
fn no_dma_commanded_after_a_revoke_lands_before_a_new_map() {
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    let seq = story.dma(9);
    story.landed("dma", 9);
    story.handle(restored(Trigger::DecodeOn));
    let what = format!(
        "a DMA commanded at seq {seq} reached BAR 2 of 0000:00:03.0 after its mapping was revoked and before it was made anew"
    );
    breaks(&story.closed(), I1, &what);
}

#[test]
fn a_dma_commanded_after_a_revoke_lands_after_the_new_map() {
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    story.dma(9);
    story.handle(restored(Trigger::DecodeOn));
    story.landed("dma", 9);
    holds(&story.closed());
}

#[test]
fn a_dma_in_flight_at_a_revoke_may_land() {
    let mut story = Story::new();
    story.dma(9);
    story.handle(away(Trigger::DecodeOff));
    story.landed("dma", 9);
    story.handle(restored(Trigger::DecodeOn));
    let verdict = story.closed();
    holds(&verdict);
    // It may as well have landed before: nothing shows that it was in flight.
    assert_eq!(verdict.counts.dma_in_flight, 0);
}

#[test]
fn a_dma_told_while_one_is_in_flight_may_be_the_earlier_one() {
    let mut story = Story::new();
    story.dma(9);
    story.handle(away(Trigger::DecodeOff));
    story.dma(9);
    story.landed("dma", 9);
    story.handle(restored(Trigger::DecodeOn));
    holds(&story.closed());
}

#[test]
fn an_observed_revoke_counts_as_one() {
    let mut story = Story::new();
    story.point(about(Kind::Revoked, Trigger::None).seen_by(SeenBy::Errno));
    story.dma(9);
    story.landed("dma", 9);
    story.handle(restored(Trigger::Suspect));
    let verdict = story.closed();
    assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
    assert_eq!((verdict.findings[0].invariant, verdict.counts.unexplained_revokes), (I1, 1));
}

#[test]
fn a_revoke_that_failed_may_have_left_the_mapping_alive() {
    let mut story = Story::new();
    story.withdraw(Trigger::DeviceReset);
    story.let_through(Trigger::DeviceReset, -22);
    story.dma(9);
    story.landed("dma", 9);
    story.find_out(Trigger::DeviceReset, 1);
    story.step(about(Kind::P2pUnmap, Trigger::DeviceReset), 0);
    story.map(Trigger::DeviceReset, 0);
    story.put_back(Trigger::DeviceReset, 0);
    story.expect(Trigger::DeviceReset, 1);
    story.step(about(Kind::SlotRemove, Trigger::None), 0);
    story.handle(restored(Trigger::Flr));
    holds(&story.closed());
}

#[test]
fn nothing_goes_in_while_the_registers_say_no() {
    for (found, why) in [(OFF, "the function does not decode"), (D3, "the function is in D3")] {
        let how = How { found, slot: Some(0), ..away(Trigger::D3hot) };
        let mut story = Story::new();
        story.handle(how);
        let what = format!("slot_add of BAR 2 of 0000:00:03.0 succeeded although {why}");
        breaks(&story.closed(), I1, &what);
    }
}

#[test]
fn the_mapping_goes_in_before_the_slot() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.let_through(Trigger::Flr, 0);
    story.find_out(Trigger::Flr, 1);
    story.step(about(Kind::P2pUnmap, Trigger::Flr), 0);
    story.put_back(Trigger::Flr, 0);
    story.map(Trigger::Flr, 0);
    story.expect(Trigger::Flr, 1);
    breaks(&story.closed(), I1, "the slot of BAR 2 of 0000:00:03.0 went in before its mapping was made");
}

#[test]
fn another_window_is_another_matter() {
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    let elsewhere = Event::new(Kind::DmaStart, Actor::Device).device(crate::story::ENGINE);
    story.point(elsewhere.range(AT + SIZE, 256).value(9));
    story.landed("dma", 9);
    let verdict = story.closed();
    holds(&verdict);
    assert_eq!(verdict.counts.undecided, 1);
}
