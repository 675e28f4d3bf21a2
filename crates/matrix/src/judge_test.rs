use super::*;
use barkeep_journal::Trigger;
use barkeep_scenario::language::Place;

const NVME: &str = "0000:00:03.0";
const EDU: &str = "0000:00:04.0";
const SIZE: u64 = 16 << 20;
const IOVA: u64 = 0x40_0000_0000;

fn wanted(end: End) -> Wanted {
    Wanted { victim: Bar::of(&Place::bar("nvme", 2)), others: Vec::new(), end, action: None }
}

fn of(kind: Kind, phase: Phase) -> Event {
    let mut event = Event::new(kind, Actor::Keeper).device(NVME.parse().unwrap()).bar(2);
    event.phase = phase;
    event
}

fn seen(kind: Kind, way: &str) -> Event {
    of(kind, Phase::Point).range(0, 256).text(way)
}

fn mapped(kind: Kind, phase: Phase, generation: u64) -> Event {
    of(kind, phase).range(IOVA, SIZE).value(generation).result(0)
}

fn trigger(phase: Phase) -> Event {
    Event { bar: None, ..of(Kind::Trigger, phase) }.trigger(Trigger::Flr)
}

fn fault() -> Event {
    Event::new(Kind::Faulted, Actor::Kernel).device(EDU.parse().unwrap()).address(IOVA)
}

fn before() -> Vec<Event> {
    let name = |address: &str, text: &str| {
        Event::new(Kind::DeviceOpen, Actor::Vmm).device(address.parse().unwrap()).text(text)
    };
    vec![
        name(NVME, "nvme 1b36:0010"),
        name(EDU, "edu 1234:11e8"),
        of(Kind::BarExport, Phase::Begin).range(0, SIZE),
        mapped(Kind::P2pMap, Phase::End, 0),
        mapped(Kind::Outage, Phase::End, 0),
        seen(Kind::Landed, "cpu"),
        seen(Kind::Landed, "dma"),
    ]
}

fn between() -> Vec<Event> {
    vec![
        mapped(Kind::Outage, Phase::Begin, 1),
        trigger(Phase::Begin),
        trigger(Phase::End),
        mapped(Kind::P2pUnmap, Phase::Begin, 0),
        mapped(Kind::P2pMap, Phase::End, 0),
        mapped(Kind::Outage, Phase::End, 1),
        seen(Kind::NotLanded, "cpu"),
        fault(),
    ]
}

fn after() -> Vec<Event> {
    let mut over = Event::new(Kind::Action, Actor::Scenario);
    over.phase = Phase::End;
    vec![seen(Kind::Landed, "cpu"), seen(Kind::Landed, "dma"), over]
}

/// In order, a microsecond apart; with the VM being taken apart behind it.
fn journal(parts: [Vec<Event>; 3]) -> Vec<Event> {
    let mut events: Vec<Event> = parts.into_iter().flatten().collect();
    events.push(mapped(Kind::P2pUnmap, Phase::Begin, 0));
    events.push(mapped(Kind::Outage, Phase::Begin, 2));
    for (n, event) in events.iter_mut().enumerate() {
        event.time_ns = 1000 * n as u64;
    }
    events
}

#[test]
fn all_that_is_wanted_is_seen_and_measured() {
    let away = judge(&journal([before(), between(), after()]), &wanted(End::Back)).unwrap();
    assert_eq!(away, Away { cpu_ns: Some(5000), dma_ns: Some(3000), both_ns: Some(5000) });
}

/// Each observation by itself: without it the cell has not shown what it says.
#[test]
fn what_is_left_out_is_missed() {
    let judged = |parts: [Vec<Event>; 3]| judge(&journal(parts), &wanted(End::Back));
    let without = |events: Vec<Event>, kind: Kind, text: &str| {
        let kept = events.into_iter().filter(|event| (event.kind, event.text.as_str()) != (kind, text));
        kept.collect::<Vec<_>>()
    };
    for (parts, told) in [
        ([without(before(), Kind::Landed, "cpu"), between(), after()], "CPU's access landing before"),
        ([without(before(), Kind::Landed, "dma"), between(), after()], "DMA landing before"),
        ([before(), without(between(), Kind::NotLanded, "cpu"), after()], "CPU's access not landing"),
        ([before(), without(between(), Kind::Faulted, ""), after()], "DMA's fault in between"),
        ([before(), between(), without(after(), Kind::Landed, "cpu")], "CPU's access landing afterwards"),
        ([before(), between(), without(after(), Kind::Landed, "dma")], "DMA landing afterwards"),
        ([before(), without(between(), Kind::Trigger, ""), after()], "anything that happens"),
        ([without(before(), Kind::BarExport, ""), between(), after()], "a window"),
    ] {
        let missing = judged(parts).unwrap_err().to_string();
        assert!(missing.contains(told), "`{told}` is not in: {missing}");
    }
}

#[test]
fn a_fault_elsewhere_or_of_another_bar_is_no_observation() {
    let mut elsewhere = between();
    elsewhere.retain(|event| event.kind != Kind::Faulted);
    elsewhere.push(fault().address(IOVA + SIZE));
    assert!(judge(&journal([before(), elsewhere, after()]), &wanted(End::Back)).is_err());
    let other =
        after().into_iter().map(|event| if event.kind == Kind::Landed { event.bar(0) } else { event });
    assert!(judge(&journal([before(), between(), other.collect()]), &wanted(End::Back)).is_err());
}

#[test]
fn gone_is_gone_and_others_live() {
    let taken = || vec![mapped(Kind::Outage, Phase::Begin, 1), trigger(Phase::Begin), trigger(Phase::End)];
    let lives = Event { device: Some(EDU.parse().unwrap()), ..seen(Kind::Landed, "cpu").bar(0) };
    let end = || after().pop().unwrap();
    let gone = || vec![seen(Kind::NotLanded, "cpu"), fault(), lives.clone(), end()];
    judge(&journal([before(), taken(), gone()]), &wanted(End::Gone)).unwrap();
    let back = [gone(), after()].concat();
    let missing = judge(&journal([before(), taken(), back]), &wanted(End::Gone)).unwrap_err().to_string();
    assert!(missing.contains("an end of all landing"), "{missing}");
    let alone = vec![seen(Kind::NotLanded, "cpu"), fault(), end()];
    let missing = judge(&journal([before(), taken(), alone]), &wanted(End::Gone)).unwrap_err().to_string();
    assert!(missing.contains("another device"), "{missing}");
}

#[test]
fn kept_means_that_nothing_was_taken_away() {
    let kept = || vec![trigger(Phase::Begin), trigger(Phase::End)];
    judge(&journal([before(), kept(), after()]), &wanted(End::Kept)).unwrap();
    judge(&journal([before(), kept(), after()]), &wanted(End::Refused("ENODEV"))).unwrap();
    let missing =
        judge(&journal([before(), between(), after()]), &wanted(End::Kept)).unwrap_err().to_string();
    for told in ["every access landing", "mappings that are left alone"] {
        assert!(missing.contains(told), "{missing}");
    }
}

#[test]
fn what_takes_nothing_away_is_not_measured() {
    let idle = vec![trigger(Phase::Begin), trigger(Phase::End), seen(Kind::Landed, "cpu")];
    let once = journal([before(), between(), after()]);
    let again = journal([[before(), between(), idle].concat(), between(), after()]);
    let (once, again) = (judge(&once, &wanted(End::Back)), judge(&again, &wanted(End::Back)));
    assert_eq!(again.unwrap(), once.unwrap());
}

#[test]
fn a_late_record_and_another_map_do_not_count() {
    let again = vec![
        trigger(Phase::Begin),
        mapped(Kind::P2pUnmap, Phase::Begin, 0),
        mapped(Kind::P2pMap, Phase::End, 0),
    ];
    let events = journal([before(), [between(), again].concat(), after()]);
    let away = judge(&events, &wanted(End::Back)).unwrap();
    assert_eq!(away.dma_ns, Some(3000));
}
