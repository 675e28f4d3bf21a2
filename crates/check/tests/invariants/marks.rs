//! *Sometimes* marks and outages: what counts as seen, and what does not.

use crate::story::{
    AT, BAR, DEVICE, ENGINE, How, OFF, SIZE, Story, about, away, barely_revokes, holds, named, restored,
};
use barkeep_check::{Mark, Verdict};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, SeenBy, Trigger};

const OTHER: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 5 << 3 };

fn hit(verdict: &Verdict) -> Vec<(Mark, u64)> {
    verdict.counts.marks.iter().collect()
}

fn faulted() -> Event {
    Event::new(Kind::Faulted, Actor::Kernel).device(ENGINE).address(AT).seen_by(SeenBy::IommuFault)
}

fn not_landed(value: u64) -> Event {
    Event::new(Kind::NotLanded, Actor::Guest).device(DEVICE).bar(BAR).range(0x100, 4).value(value).text("dma")
}

#[test]
fn a_dma_that_faults_was_in_flight_if_it_was_commanded_before_the_revoke() {
    for trigger in [Trigger::Flr, Trigger::D3hot, Trigger::DeviceReset, Trigger::HotReset] {
        let mut story = Story::new();
        story.dma(7);
        story.handle(restored(trigger));
        story.point(faulted());
        // The same DMA, once more.
        story.point(not_landed(0));
        let verdict = story.closed();
        holds(&verdict);
        assert_eq!(verdict.counts.dma_in_flight, 1);
        assert_eq!(verdict.counts.marks.count(Mark::DmaInFlight), 1);
        assert_eq!(verdict.counts.marks.count(Mark::FlrUnderDma), u64::from(trigger == Trigger::Flr));
    }
}

#[test]
fn data_that_is_not_there_shows_it_too_unless_something_was_written_over_it() {
    for (value, in_flight) in [(0, 1), (8, 0)] {
        let mut story = Story::new();
        story.dma(7);
        story.handle(restored(Trigger::Flr));
        let other = Event::new(Kind::DmaStart, Actor::Guest).device(OTHER);
        story.point(other.range(AT + 0x100, 256).value(8));
        story.point(not_landed(value));
        assert_eq!(story.closed().counts.dma_in_flight, in_flight);
    }
}

#[test]
fn a_dma_commanded_while_its_target_was_away_was_not_in_flight_when_that_went() {
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    story.dma(7);
    story.handle(restored(Trigger::Flr));
    story.point(faulted());
    let verdict = story.closed();
    assert_eq!((verdict.counts.dma_in_flight, verdict.counts.marks.count(Mark::DmaInFlight)), (0, 0));
}

#[test]
fn a_dma_that_was_seen_before_the_revoke_was_not_in_flight() {
    let mut story = Story::new();
    story.dma(7);
    story.landed("dma", 7);
    story.handle(restored(Trigger::Flr));
    story.point(not_landed(7));
    assert_eq!(story.closed().counts.dma_in_flight, 0);
}

#[test]
fn a_bar_that_moves_takes_a_dma_along() {
    let mut story = Story::new();
    story.dma(7);
    story.withdraw(Trigger::BarMove);
    story.let_through(Trigger::BarMove, 0);
    story.find_out(Trigger::BarMove, 1);
    story.step(about(Kind::P2pUnmap, Trigger::BarMove), 0);
    story.point(faulted());
    let verdict = story.over();
    assert_eq!(verdict.counts.marks.count(Mark::BarMovedUnderDma), 1);
}

#[test]
fn a_reboot_is_met_by_a_dma_that_was_under_way() {
    for (before, mark) in [(true, 1), (false, 0)] {
        let mut story = Story::new();
        if before {
            story.dma(7);
        }
        let reboot = story.action("reboot");
        if !before {
            story.dma(7);
        }
        story.handle(away(Trigger::DecodeOff));
        story.point(faulted());
        story.end(reboot, 0);
        let marks = story.over().counts.marks;
        assert_eq!((marks.count(Mark::RebootUnderDma), marks.count(Mark::DecodeOffUnderDma)), (mark, 1));
    }
}

#[test]
fn both_ways_are_live_together_only_without_a_revoke_between() {
    let lands = |story: &mut Story, by: &str| {
        if by == "dma" {
            story.dma(7);
        }
        let action = story.action("look");
        story.landed(by, 7);
        story.end(action, 0);
    };
    for (first, second) in [("cpu", "dma"), ("dma", "cpu")] {
        let mut story = Story::new();
        lands(&mut story, first);
        story.handle(restored(Trigger::Flr));
        lands(&mut story, second);
        assert_eq!(story.closed().counts.marks.count(Mark::BothWaysLive), 0);

        let mut story = Story::new();
        lands(&mut story, first);
        lands(&mut story, second);
        assert_eq!(story.closed().counts.marks.count(Mark::BothWaysLive), 1);
    }
}

#[test]
fn a_close_that_begins_during_a_reset_raced_it_and_one_after_did_not() {
    let step = |kind, actor, trigger| Event { actor, ..named(kind, trigger) };
    let mut story = Story::new();
    let reset = story.begin(step(Kind::Trigger, Actor::Observer, Trigger::DeviceReset));
    let close = story.begin(step(Kind::Action, Actor::Scenario, Trigger::Close));
    story.end(reset, 0);
    story.end(close, 0);
    assert_eq!(story.closed().counts.marks.count(Mark::CloseRacedReset), 1);

    let mut story = Story::new();
    story.step(step(Kind::Trigger, Actor::Observer, Trigger::DeviceReset), 0);
    story.step(step(Kind::Action, Actor::Scenario, Trigger::Close), 0);
    let of_another = story.begin(step(Kind::Trigger, Actor::Observer, Trigger::Flr).device(OTHER));
    story.end(of_another, 0);
    assert_eq!(story.closed().counts.marks.count(Mark::CloseRacedReset), 0);
}

#[test]
fn what_happens_leaves_its_mark() {
    let mut story = Story::new();
    story.handle(How { result: -25, ..restored(Trigger::DeviceReset) });
    story.handle(restored(Trigger::Flr));
    story.handle(away(Trigger::DecodeOff));
    story.attach_probe(-19);
    story.point(about(Kind::Answered, Trigger::DecodeOn).value(3));
    story.handle(restored(Trigger::DecodeOn));
    story.point(Event::new(Kind::VcpuFault, Actor::Vcpu).value(1));
    story.point(Event::new(Kind::Mark, Actor::Scenario).text("low-power"));
    story.point(Event::new(Kind::Mark, Actor::Scenario).text("of its own"));
    let verdict = story.closed();
    holds(&verdict);
    let marks = [
        (Mark::CpuMetOutage, 1),
        (Mark::EfaultMet, 1),
        (Mark::MapMetEnodev, 1),
        (Mark::ResetFailed, 1),
        (Mark::BackAfterFailedReset, 1),
        (Mark::LowPower, 1),
    ];
    assert_eq!(hit(&verdict), marks);
    assert_eq!(verdict.counts.other_marks.iter().collect::<Vec<_>>(), [("of its own", 1)]);
}

#[test]
fn an_errno_of_a_closed_device_is_no_mark() {
    let mut story = Story::new();
    story.handle(away(Trigger::Close));
    story.attach_probe(-19);
    assert_eq!(hit(&story.over_after_the_dma_buf()), []);
}

#[test]
fn devices_that_are_away_together_and_back_in_another_order() {
    let outage = |device, phase| Event { phase, ..about(Kind::Outage, Trigger::Flr).device(device).value(1) };
    let told = |order: &[(DeviceAddress, Phase)]| {
        let mut story = Story::new();
        story.step(about(Kind::SlotAdd, Trigger::Start).device(OTHER), 0);
        for (device, phase) in order {
            story.point(outage(*device, *phase));
        }
        let marks = story.over().counts.marks;
        (marks.count(Mark::OutagesOverlapped), marks.count(Mark::RestoredOutOfOrder))
    };
    use Phase::{Begin, End};
    assert_eq!(told(&[(DEVICE, Begin), (DEVICE, End), (OTHER, Begin), (OTHER, End)]), (0, 0));
    assert_eq!(told(&[(DEVICE, Begin), (OTHER, Begin), (DEVICE, End), (OTHER, End)]), (1, 0));
    assert_eq!(told(&[(DEVICE, Begin), (OTHER, Begin), (OTHER, End), (DEVICE, End)]), (1, 1));
}

#[test]
fn devices_that_are_closed_are_not_away() {
    let closed = Event { phase: Phase::Begin, ..about(Kind::Outage, Trigger::Close).value(1) };
    let mut story = Story::new();
    story.point(closed.clone());
    story.point(closed.device(OTHER));
    assert_eq!(hit(&story.over()), []);
}

#[test]
fn outages_are_told_by_who_ends_them() {
    for trigger in [Trigger::Flr, Trigger::DeviceReset, Trigger::AfFlr] {
        assert!(barely_revokes(trigger));
        let mut story = Story::new();
        story.handle(restored(trigger));
        let ways = story.closed().counts.away;
        for way in [&ways.cpu, &ways.p2p] {
            assert_eq!((way.by_vmm.count(), way.by_guest.count(), way.by_notice.count()), (1, 0, 0));
        }
        // A microsecond a line: CPU access from the outage's begin to its end, P2P from the trigger's
        // begin to the end of the map.
        assert_eq!((ways.cpu.by_vmm.max(), ways.p2p.by_vmm.max()), (Some(13_000), Some(7_000)));
    }
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    story.handle(restored(Trigger::DecodeOn));
    let ways = story.closed().counts.away;
    for way in [&ways.cpu, &ways.p2p] {
        assert_eq!((way.by_vmm.count(), way.by_guest.count(), way.by_notice.count()), (0, 1, 0));
    }
}

#[test]
fn what_others_revoked_counts_from_then_until_it_was_noticed() {
    let mut story = Story::new();
    let unseen = Event { actor: Actor::Observer, ..named(Kind::Trigger, Trigger::DeviceReset) };
    story.step(unseen, 0);
    story.handle(restored(Trigger::Suspect));
    let verdict = story.closed();
    holds(&verdict);
    let p2p = &verdict.counts.away.p2p;
    assert_eq!((p2p.by_vmm.count(), p2p.by_guest.count(), p2p.by_notice.count()), (0, 0, 1));
    assert_eq!(verdict.counts.marks.count(Mark::UnannouncedRevoke), 1);
}

#[test]
fn a_reset_that_failed_and_left_the_mapping_alone_took_nothing() {
    let mut story = Story::new();
    story.let_through(Trigger::DeviceReset, -25);
    story.find_out(Trigger::DeviceReset, 1);
    story.expect(Trigger::DeviceReset, 1);
    story.handle(restored(Trigger::Flr));
    let p2p = story.closed().counts.away.p2p;
    assert_eq!((p2p.by_vmm.count(), p2p.by_vmm.max()), (1, Some(7_000)));
}

#[test]
fn a_device_that_is_away_for_good_ends_no_outage() {
    let mut story = Story::new();
    story.handle(How { found: OFF, ..away(Trigger::Flr) });
    let ways = story.closed().counts.away;
    assert_eq!((ways.cpu.count(), ways.p2p.count()), (0, 0));
    assert_ne!(SIZE, 0);
}
