//! I3: what comes back.

use crate::story::{AT, BAR, How, SIZE, Story, about, away, breaks, holds, named, restored};
use barkeep_check::Invariant::I3;
use barkeep_check::{Ended, Verdict};
use barkeep_journal::{Actor, Event, Kind, Phase, Trigger};

const NO_P2P: &str = "peer-to-peer DMA to BAR 2 of 0000:00:03.0 at 0xfe000000 is not back after flr although the function decodes";
const NO_CPU: &str =
    "CPU access to BAR 2 of 0000:00:03.0 at 0xfe000000 is not back after flr although the function decodes";

fn whats(verdict: &Verdict) -> Vec<&str> {
    verdict.findings.iter().filter(|f| f.invariant == I3).map(|f| f.what.as_str()).collect()
}

#[test]
fn a_flap_may_take_its_time() {
    let mut story = Story::new();
    for _ in 0..3 {
        story.handle(away(Trigger::DecodeOff));
        story.handle(away(Trigger::D3hot));
        story.handle(How { found: 0, ..away(Trigger::D0) });
        story.handle(restored(Trigger::DecodeOn));
    }
    holds(&story.closed());
}

#[test]
fn a_mapping_that_is_not_made_anew_is_found() {
    let mut story = Story::new();
    story.handle(How { map: None, ..restored(Trigger::Flr) });
    breaks(&story.closed(), I3, NO_P2P);
}

#[test]
fn a_slot_that_is_not_put_back_is_found() {
    let mut story = Story::new();
    story.handle(How { slot: None, ..restored(Trigger::Flr) });
    breaks(&story.closed(), I3, NO_CPU);
}

#[test]
fn a_failure_that_was_told_is_loud_and_fails_all_the_same() {
    let mut story = Story::new();
    story.handle(How { map: Some(-12), ..restored(Trigger::Flr) });
    let told = named(Kind::Degraded, Trigger::Flr).bar(BAR).text("P2P mapping not restored").result(-12);
    story.point(told);
    breaks(&story.closed(), I3, &format!("{NO_P2P}; this was told"));
}

#[test]
fn what_stays_away_is_found_once_and_again_when_it_was_back() {
    let mut story = Story::new();
    for _ in 0..5 {
        story.handle(How { map: None, ..restored(Trigger::Flr) });
    }
    story.handle(restored(Trigger::Flr));
    story.handle(How { map: None, ..restored(Trigger::Flr) });
    assert_eq!(whats(&story.closed()), [NO_P2P, NO_P2P]);
}

#[test]
fn a_slot_that_is_in_while_its_outage_never_ends_is_found() {
    let mut story = Story::new();
    let mut outage = about(Kind::Outage, Trigger::Flr).value(1);
    outage.phase = Phase::Begin;
    story.point(outage);
    story.let_through(Trigger::Flr, 0);
    story.find_out(Trigger::Flr, 1);
    story.step(about(Kind::P2pUnmap, Trigger::Flr), 0);
    story.map(Trigger::Flr, 0);
    story.expect(Trigger::Flr, 1);
    assert_eq!(whats(&story.closed()), [NO_CPU]);
}

#[test]
fn a_keeper_that_expects_nothing_is_not_right_for_it() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.let_through(Trigger::Flr, 0);
    story.find_out(Trigger::Flr, 1);
    story.step(about(Kind::P2pUnmap, Trigger::Flr), 0);
    story.expect(Trigger::Flr, 0);
    story.handle(How { unmap: -2, ..restored(Trigger::Flr) });
    assert_eq!(whats(&story.closed()), ["0000:00:03.0 decodes, and is not expected live"]);
}

#[test]
fn a_keeper_that_expects_too_much_is_found() {
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    story.expect(Trigger::DecodeOff, 1);
    let what = "0000:00:03.0 is expected live although its registers say it is not";
    assert_eq!(whats(&story.closed()), [what]);
}

#[test]
fn an_event_that_is_never_settled_is_found() {
    let mut story = Story::new();
    story.let_through(Trigger::D0, 0);
    story.handle(restored(Trigger::Flr));
    assert_eq!(whats(&story.closed()), ["d0 of 0000:00:03.0 was never settled"]);
}

#[test]
fn what_was_seen_revoked_and_never_looked_at_is_found_at_the_end() {
    let mut story = Story::new();
    story.point(about(Kind::Revoked, Trigger::None));
    let verdict = story.over();
    let what = "peer-to-peer DMA to BAR 2 of 0000:00:03.0 at 0xfe000000 is not back at the end although the function decodes";
    assert_eq!(whats(&verdict), [what]);
}

#[test]
fn a_run_that_was_cut_off_owes_nothing_back() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    let verdict = story.stops(Ended::TimedOut);
    assert!(whats(&verdict).is_empty());
}

#[test]
fn restoring_is_bound_and_the_reset_itself_is_not() {
    for (bound, late) in [(30_000, false), (3_000, true)] {
        let mut story = Story::new().restoring_within(bound);
        story.passes(1_000_000);
        let reset = story.begin(named(Kind::Trigger, Trigger::Flr));
        story.passes(1_000_000);
        story.end(reset, 0);
        story.find_out(Trigger::Flr, 1);
        story.step(about(Kind::P2pUnmap, Trigger::Flr), 0);
        story.map(Trigger::Flr, 0);
        story.expect(Trigger::Flr, 1);
        let verdict = story.closed();
        let what = "0000:00:03.0 was back 7000 ns after flr had let it, which may take 3000 ns";
        assert_eq!(whats(&verdict), if late { vec![what] } else { vec![] });
    }
}

#[test]
fn a_window_may_move_with_its_bar() {
    let moved = |kind| about(kind, Trigger::DecodeOn).range(AT + 0x10_0000, SIZE);
    let mut story = Story::new();
    story.handle(away(Trigger::DecodeOff));
    story.let_through(Trigger::DecodeOn, 0);
    story.find_out(Trigger::DecodeOn, 1);
    story.step(moved(Kind::P2pMap), 0);
    story.step(moved(Kind::SlotAdd), 0);
    let mut outage = moved(Kind::Outage).value(1);
    outage.phase = Phase::End;
    story.point(outage);
    story.expect(Trigger::DecodeOn, 1);
    story.step(moved(Kind::SlotRemove), 0);
    story.let_through(Trigger::Close, 0);
    story.find_out(Trigger::Close, 0);
    story.step(moved(Kind::P2pUnmap), 0);
    story.expect(Trigger::Close, 0);
    story.point(named(Kind::DeviceClose, Trigger::Close));
    story.point(about(Kind::DmabufClose, Trigger::None).range(0, SIZE));
    holds(&story.over());
}

/// Something that somebody else does, past the VMM.
fn unseen(story: &mut Story, trigger: Trigger) -> Event {
    story.begin(Event { actor: Actor::Observer, ..named(Kind::Trigger, trigger) })
}

#[test]
fn what_others_do_meanwhile_is_nothing_the_keeper_could_know() {
    // Between the reset and the look; between the look and the map, which is refused; around the map.
    for place in 0..3 {
        let mut story = Story::new();
        story.withdraw(Trigger::Flr);
        story.let_through(Trigger::Flr, 0);
        if place == 0 {
            let others = unseen(&mut story, Trigger::DecodeOff);
            story.end(others, 0);
        }
        story.find_out(Trigger::Flr, u64::from(place > 0));
        story.step(about(Kind::P2pUnmap, Trigger::Flr), 0);
        let others = (place > 0).then(|| unseen(&mut story, Trigger::DecodeOff));
        if place == 1 {
            others.clone().into_iter().for_each(|others| story.end(others, 0));
        }
        if place > 0 {
            story.map(Trigger::Flr, if place == 1 { -19 } else { 0 });
            story.put_back(Trigger::Flr, 0);
        }
        if place == 2 {
            others.into_iter().for_each(|others| story.end(others, 0));
        }
        story.expect(Trigger::Flr, u64::from(place > 0));
        let others = unseen(&mut story, Trigger::DecodeOn);
        story.end(others, 0);
        story.handle(restored(Trigger::Suspect));
        holds(&story.closed());
    }
}

/// Out of a low power that a device was not in: nothing is revoked, and the registers tell of no revoke.
#[test]
fn what_others_revoked_is_not_to_be_seen_in_an_event_that_revokes_nothing() {
    for noticed in [true, false] {
        let mut story = Story::new();
        let others = unseen(&mut story, Trigger::Flr);
        story.end(others, 0);
        story.withdraw(Trigger::LowPowerExit);
        story.let_through(Trigger::LowPowerExit, 0);
        story.find_out(Trigger::LowPowerExit, 1);
        story.put_back(Trigger::LowPowerExit, 0);
        story.expect(Trigger::LowPowerExit, 1);
        if noticed {
            story.handle(restored(Trigger::Suspect));
            holds(&story.closed());
        } else {
            assert_eq!(whats(&story.over()).len(), 1, "it never came back");
        }
    }
}

#[test]
fn what_others_did_before_the_look_excuses_nothing() {
    let mut story = Story::new();
    let others = unseen(&mut story, Trigger::Flr);
    story.end(others, 0);
    story.handle(How { map: None, ..restored(Trigger::Suspect) });
    assert_eq!(whats(&story.closed()).len(), 1);
}
