//! An importing device beside the VM, with a driver of its own that the exporter itself has to tell.

use crate::story::{AT, BAR, DEVICE, LIVE, OFF, SIZE, Story, holds, named};
use barkeep_check::Invariant::{I1, I2, I3};
use barkeep_check::{Invariant, Verdict};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, SeenBy, Trigger};

const ENODEV: i32 = -19;
const SPARE: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 5 << 3 };
/// As the DMA API gives them out.
const ADDRESS: u64 = 0xfd00_0000;
const ELSEWHERE: u64 = 0xfc00_0000;
const WORD: u64 = 0x13b0_0001;

fn about(kind: Kind) -> Event {
    Event::new(kind, Actor::ImporterDriver).device(DEVICE).bar(BAR).range(AT, SIZE)
}

fn happens(story: &mut Story, what: &str) {
    story.point(about(Kind::ImporterEvent).text(what).seen_by(SeenBy::ImporterRecord));
}

fn told(story: &mut Story, what: &str, result: i32) {
    story.step(about(Kind::ImporterStep).text(what), result);
}

/// It maps the window, there.
fn maps(story: &mut Story, address: u64) {
    let begin = story.begin(about(Kind::ImporterStep).text("map"));
    story.point(about(Kind::ImporterEvent).text("mapped").result(0));
    story.end(begin.value(address), 0);
}

fn attached() -> Story {
    let mut story = Story::new();
    told(&mut story, "attach", 0);
    maps(&mut story, ADDRESS);
    story
}

fn commands(story: &mut Story, address: u64) {
    let event = Event::new(Kind::DmaStart, Actor::ImporterDriver).device(SPARE);
    story.point(event.range(address, 4).value(WORD));
}

fn lands(story: &mut Story) {
    let event = Event::new(Kind::Landed, Actor::Guest).device(DEVICE).bar(BAR).range(0, 4).value(WORD);
    story.point(event.seen_by(SeenBy::GuestRead).text("importer"));
}

/// What is let through, with what the importer records meanwhile.
fn revokes(story: &mut Story, trigger: Trigger, result: i32, records: &[&str]) {
    let begin = story.begin(named(Kind::Trigger, trigger));
    records.iter().for_each(|what| happens(story, what));
    story.end(begin, result);
}

/// An event around that, after which all of the VM's own is back.
fn around(story: &mut Story, trigger: Trigger, records: &[&str]) {
    story.withdraw(trigger);
    revokes(story, trigger, 0, records);
    story.find_out(trigger, LIVE);
    story.step(named(Kind::P2pUnmap, trigger).bar(BAR).range(AT, SIZE), 0);
    story.map(trigger, 0);
    story.put_back(trigger, 0);
    story.expect(trigger, LIVE);
}

/// One thing is found, with these words.
#[track_caller]
fn finds(verdict: &Verdict, invariant: Invariant, words: &[&str]) {
    let [finding] = verdict.findings.as_slice() else { panic!("{:#?}", verdict.findings) };
    assert_eq!(finding.invariant, invariant, "{finding:#?}");
    words.iter().for_each(|word| assert!(finding.what.contains(word), "{word}: {finding:#?}"));
}

#[test]
fn one_that_is_told_and_maps_anew_breaks_nothing() {
    let mut story = attached();
    commands(&mut story, ADDRESS);
    lands(&mut story);
    around(&mut story, Trigger::Flr, &["told", "let-go", "told"]);
    maps(&mut story, ELSEWHERE);
    commands(&mut story, ELSEWHERE);
    lands(&mut story);
    told(&mut story, "detach", 0);
    around(&mut story, Trigger::Flr, &[]);
    holds(&story.closed());
}

#[test]
fn a_revoke_that_is_over_was_told() {
    for records in [&[][..], &["unmapped"]] {
        let mut story = attached();
        around(&mut story, Trigger::Flr, records);
        told(&mut story, "detach", 0);
        finds(&story.closed(), I1, &["flr of", "was not told"]);
    }
}

#[test]
fn a_revoke_that_is_over_has_left_it_nothing() {
    let mut story = attached();
    around(&mut story, Trigger::DeviceReset, &["told", "held"]);
    told(&mut story, "detach", 0);
    finds(&story.closed(), I1, &["device_reset of", "mapped still"]);
}

#[test]
fn who_had_nothing_mapped_or_was_revoked_nothing_is_owed_nothing() {
    let mut story = Story::new();
    told(&mut story, "attach", 0);
    around(&mut story, Trigger::Flr, &[]);
    maps(&mut story, ADDRESS);
    // One that failed may have revoked or not.
    revokes(&mut story, Trigger::DeviceReset, -22, &[]);
    story.find_out(Trigger::DeviceReset, LIVE);
    story.expect(Trigger::DeviceReset, LIVE);
    told(&mut story, "detach", 0);
    let verdict = story.closed();
    assert!(verdict.findings.iter().all(|finding| finding.invariant != I1), "{verdict:#?}");
}

#[test]
fn a_dma_by_an_address_of_before_never_lands() {
    // Given up; mapped anew, but elsewhere.
    for anew in [None, Some(ELSEWHERE)] {
        let mut story = attached();
        around(&mut story, Trigger::Flr, &["told", "let-go", "told"]);
        if let Some(address) = anew {
            maps(&mut story, address);
        }
        commands(&mut story, ADDRESS);
        lands(&mut story);
        told(&mut story, "detach", 0);
        finds(&story.closed(), I1, &["a DMA of the importer", "an address of before"]);
    }
    // Mapped anew, and there again; commanded before it was given up.
    let mut story = attached();
    around(&mut story, Trigger::Flr, &["told", "let-go", "told"]);
    maps(&mut story, ADDRESS);
    commands(&mut story, ADDRESS);
    lands(&mut story);
    commands(&mut story, ADDRESS);
    around(&mut story, Trigger::Flr, &["told", "let-go", "told"]);
    lands(&mut story);
    told(&mut story, "detach", 0);
    holds(&story.closed());
}

#[test]
fn a_mapping_gone_before_its_step_is_over_is_gone() {
    let mut story = Story::new();
    told(&mut story, "attach", 0);
    let begin = story.begin(about(Kind::ImporterStep).text("use"));
    story.point(about(Kind::ImporterEvent).text("mapped").result(0));
    happens(&mut story, "told");
    happens(&mut story, "let-go");
    story.end(begin.value(ADDRESS), 0);
    // Nothing is owed it.
    around(&mut story, Trigger::Flr, &[]);
    commands(&mut story, ADDRESS);
    lands(&mut story);
    told(&mut story, "detach", 0);
    finds(&story.closed(), I1, &["a DMA of the importer"]);
}

#[test]
fn what_it_is_answered_is_what_the_function_is() {
    let mut story = attached();
    story.withdraw(Trigger::DecodeOff);
    revokes(&mut story, Trigger::DecodeOff, 0, &["told", "let-go"]);
    story.find_out(Trigger::DecodeOff, OFF);
    story.expect(Trigger::DecodeOff, OFF);
    told(&mut story, "map", ENODEV);
    maps(&mut story, ADDRESS);
    told(&mut story, "detach", 0);
    finds(&story.closed(), I2, &["the importer's map", "not ENODEV"]);

    let mut story = attached();
    around(&mut story, Trigger::Flr, &["told", "let-go", "told"]);
    told(&mut story, "use", ENODEV);
    told(&mut story, "detach", 0);
    finds(&story.closed(), I3, &["the importer's use of", "although the function decodes"]);
}
