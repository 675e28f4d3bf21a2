use super::*;
use crate::{EndedBy, Numbers, Series, State, Way};
use barkeep_check::Checker;
use barkeep_journal::SeenBy;

const NVME: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 0x18 };
const EDU: DeviceAddress = DeviceAddress { domain: 0, bus: 0, devfn: 0x20 };
const HERE: u64 = 0x40_0000_0000;

/// Keeps what it is told.
#[derive(Default)]
struct Kept {
    slices: Vec<Slice>,
    outages: Vec<Outage>,
    edges: Vec<Edge>,
    handled: Vec<Handled>,
    revokes: u64,
    first_dmas: u64,
}

impl Told for Kept {
    fn slice(&mut self, slice: Slice) {
        self.slices.push(slice);
    }

    fn outage(&mut self, outage: Outage) {
        self.outages.push(outage);
    }

    fn edge(&mut self, _: DeviceAddress, edge: Edge, _: &Event) {
        self.edges.push(edge);
    }

    fn handled(&mut self, handled: Handled) {
        self.handled.push(handled);
    }

    fn revoke(&mut self, number: u64, _: &Event) {
        self.revokes = number;
    }

    fn first_dma(&mut self, _: u64, _: &Event) {
        self.first_dmas += 1;
    }
}

/// Events, each ten nanoseconds after the one before.
#[derive(Default)]
struct Journal(Vec<Event>, u32);

impl Journal {
    fn point(&mut self, event: Event) -> &mut Self {
        let seq = self.0.len() as u64;
        self.0.push(Event { seq, time_ns: 1000 + seq * 10, ..event });
        self
    }

    fn phase(&mut self, event: Event, phase: Phase, step: u32) -> &mut Self {
        self.point(Event { phase, step, ..event })
    }

    /// A step of the keeper at the window.
    fn step(&mut self, kind: Kind, trigger: Trigger, result: i32) -> &mut Self {
        self.1 += 1;
        let event = Event::new(kind, Actor::Keeper).device(NVME).trigger(trigger);
        let event = match kind {
            Kind::Trigger => Event { actor: Actor::Vcpu, ..event },
            Kind::FindOut => event.value(1),
            _ => event.bar(2).range(HERE, 0x1000),
        };
        let step = self.1;
        self.phase(event.clone(), Phase::Begin, step).phase(event.result(result), Phase::End, step)
    }

    fn outage(&mut self, phase: Phase, trigger: Trigger) -> &mut Self {
        let event = Event::new(Kind::Outage, Actor::Keeper).device(NVME).bar(2).range(HERE, 0x1000);
        self.phase(event.trigger(trigger).value(1), phase, 0)
    }

    fn expect(&mut self, trigger: Trigger, live: u64) -> &mut Self {
        self.point(Event::new(Kind::Expect, Actor::Keeper).device(NVME).trigger(trigger).value(live))
    }

    fn start(&mut self) -> &mut Self {
        self.step(Kind::FindOut, Trigger::Start, 0).step(Kind::P2pMap, Trigger::Start, 0);
        self.step(Kind::SlotAdd, Trigger::Start, 0).outage(Phase::End, Trigger::Start);
        self.expect(Trigger::Start, 1)
    }

    /// Slots away, the event, and what the registers say.
    fn take(&mut self, trigger: Trigger) -> &mut Self {
        self.outage(Phase::Begin, trigger).step(Kind::SlotRemove, trigger, 0);
        self.step(Kind::Trigger, trigger, 0).step(Kind::FindOut, trigger, 0)
    }

    fn restore(&mut self, trigger: Trigger, map: i32) -> &mut Self {
        self.step(Kind::P2pUnmap, trigger, 0).step(Kind::P2pMap, trigger, map);
        self.step(Kind::SlotAdd, trigger, 0).outage(Phase::End, trigger).expect(trigger, 1)
    }

    /// What they come to; the checker counts the same outages.
    fn followed(&self) -> Kept {
        let (mut follower, mut kept) = (Follower::new(), Kept::default());
        let (mut again, mut numbers, mut checker) = (Follower::new(), Numbers::new(), Checker::new());
        for event in &self.0 {
            follower.event(event, &mut kept);
            again.event(event, &mut numbers);
            checker.event(event);
        }
        follower.finish(&mut kept);
        again.finish(&mut numbers);
        let counts = checker.finish(barkeep_check::Ended::ByItself(0)).counts;
        for (way, checked) in [(Way::Cpu, &counts.away.cpu), (Way::P2p, &counts.away.p2p)] {
            for (ended_by, checked) in [
                (EndedBy::Vmm, &checked.by_vmm),
                (EndedBy::Guest, &checked.by_guest),
                (EndedBy::Notice, &checked.by_notice),
            ] {
                let mine = numbers.outages.get(&Series { way, ended_by }).cloned().unwrap_or_default();
                assert_eq!(mine, *checked, "{way} {ended_by}");
            }
        }
        kept
    }
}

fn edge(from: State, to: State, trigger: Trigger) -> Edge {
    Edge { from: Some(from), to, trigger }
}

#[test]
fn an_flr_takes_both_ways_and_brings_them_back() {
    let mut told = Journal::default();
    let kept = told.start().take(Trigger::Flr).restore(Trigger::Flr, 0).followed();
    let start = Edge { from: None, to: State::Live, trigger: Trigger::Start };
    let flr = [(State::Live, State::Revoked), (State::Revoked, State::Live)];
    let flr = flr.map(|(from, to)| edge(from, to, Trigger::Flr));
    assert_eq!(kept.edges, [start, flr[0], flr[1]]);
    let outages: Vec<_> = kept.outages.iter().map(|o| (o.way, o.ns(), o.end.unwrap().by)).collect();
    assert_eq!(outages, [(Way::P2p, Some(70), EndedBy::Vmm), (Way::Cpu, Some(130), EndedBy::Vmm)]);
    let [_, flr] = &kept.handled[..] else { panic!("{:?}", kept.handled) };
    assert_eq!((flr.outcome, flr.revoke, flr.actor), (Outcome::Back, Some(1), Actor::Vcpu));
    let exits = kept.slices.iter().filter(|s| (s.party, s.what) == (crate::Party::Guest, What::Handling));
    assert_eq!(exits.count(), 1);
}

#[test]
fn decode_off_is_ended_by_whoever_turned_it_off() {
    let mut told = Journal::default();
    told.start().take(Trigger::DecodeOff).step(Kind::P2pUnmap, Trigger::DecodeOff, 0);
    told.expect(Trigger::DecodeOff, 0).step(Kind::Trigger, Trigger::DecodeOn, 0);
    told.step(Kind::FindOut, Trigger::DecodeOn, 0).step(Kind::P2pMap, Trigger::DecodeOn, 0);
    told.step(Kind::SlotAdd, Trigger::DecodeOn, 0).outage(Phase::End, Trigger::DecodeOn);
    let kept = told.expect(Trigger::DecodeOn, 1).followed();
    let outcomes: Vec<_> = kept.handled.iter().map(|handled| handled.outcome).collect();
    assert_eq!(outcomes, [Outcome::Back, Outcome::Away, Outcome::Back]);
    assert!(kept.outages.iter().all(|outage| outage.end.unwrap().by == EndedBy::Guest), "{:?}", kept.outages);
    assert_eq!((kept.outages.len(), kept.revokes), (2, 1));
}

#[test]
fn what_is_refused_stays_revoked_and_the_outage_open() {
    let mut told = Journal::default();
    let kept = told.start().take(Trigger::Flr).restore(Trigger::Flr, -17).followed();
    assert_eq!(kept.handled[1].outcome, Outcome::NotBack);
    assert_eq!(kept.handled[1].refused, Some((Way::P2p, -17)));
    assert_eq!(kept.edges.last(), Some(&edge(State::Live, State::Revoked, Trigger::Flr)));
    assert_eq!(kept.outages.last().map(|outage| (outage.way, outage.end)), Some((Way::P2p, None)));
}

#[test]
fn an_event_that_is_cut_off_is_never_over() {
    let mut told = Journal::default();
    told.start().outage(Phase::Begin, Trigger::Flr);
    let flr = Event::new(Kind::Trigger, Actor::Vcpu).device(NVME).trigger(Trigger::Flr);
    let kept = told.phase(flr, Phase::Begin, 99).followed();
    assert_eq!(kept.handled.last().map(|handled| handled.outcome), Some(Outcome::NotOver));
    let open: Vec<_> = kept.slices.iter().filter(|slice| slice.end_ns.is_none()).collect();
    assert_eq!(open.len(), 2, "the step, and the handling: {open:?}");
    assert_eq!(kept.outages.len(), 2);
}

#[test]
fn a_dma_ends_when_it_faulted_and_the_first_that_lands_is_told() {
    let start = Event::new(Kind::DmaStart, Actor::Guest).device(EDU).range(HERE, 64);
    let there = Event::new(Kind::Landed, Actor::Guest).device(NVME).bar(2).address(0).text("dma");
    let there = there.seen_by(SeenBy::GuestRead);
    let mut told = Journal::default();
    told.start().point(start.clone().value(1)).take(Trigger::Flr).restore(Trigger::Flr, 0);
    let fault = Event::new(Kind::Faulted, Actor::Kernel).device(EDU).address(HERE);
    told.point(fault).point(Event { kind: Kind::NotLanded, ..there.clone().value(0) });
    told.point(start.value(2)).point(there.clone().value(2)).point(there.value(2));
    let kept = told.followed();
    let dmas: Vec<_> = kept.slices.iter().filter(|slice| slice.what == What::Dma).collect();
    let said: Vec<_> = dmas.iter().map(|dma| (dma.text.as_str(), dma.bar)).collect();
    assert_eq!(said, [("faulted", Some(2)), ("landed", Some(2))]);
    assert_eq!(dmas[0].end_ns, Some(told.0.iter().find(|e| e.kind == Kind::Faulted).unwrap().time_ns));
    assert_eq!(kept.first_dmas, 1);
}

#[test]
fn what_the_kernel_traces_is_a_slice_of_its_lane() {
    let mut told = Journal::default();
    let step = Event::new(Kind::ProcessStep, Actor::Kernel).device(NVME).text("vfio_pci_dma_buf_move");
    told.start().phase(step.clone(), Phase::Begin, 77).phase(step, Phase::End, 77);
    let kept = told.followed();
    let slice = kept.slices.last().unwrap();
    assert_eq!((slice.party, slice.ns()), (crate::Party::Kernel, Some(10)));
    assert_eq!(slice.text, "vfio_pci_dma_buf_move");
}
