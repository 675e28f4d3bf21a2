//! Storms to be told of.

use crate::story::Story;
use barkeep_check::{Checker, Ended, Finding, Invariant, Mark, Verdict};
use barkeep_journal::{Actor, Clock, Event, Kind, Lane, Trigger};
use barkeep_report::storm::{Artefacts, Choice, Episode, Header, Known, Storm};

pub const NO_P2P: &str = "peer-to-peer DMA to BAR 2 of 0000:00:03.0 at 0xfe000000 is not back after flr although the function decodes";

pub fn header() -> Header {
    Header {
        scenario: "flr".to_owned(),
        about: "FLR under peers' DMA".to_owned(),
        seed: 1,
        count: Some(3),
        shards: Vec::new(),
        version: "0.1.0".to_owned(),
        commit: "51ffa7c".to_owned(),
        kernel: "7.3.4".to_owned(),
        lane: Lane::Lab,
        clock: Clock::Virtual,
        options: vec![
            Choice { name: "pauses".to_owned(), value: "0us..300us, one in 4".to_owned() },
            Choice { name: "resets of an episode".to_owned(), value: "1".to_owned() },
        ],
        require: vec![Mark::DmaInFlight, Mark::CpuMetOutage],
    }
}

/// One FLR under a DMA, and decode off and on.
pub fn passed() -> Verdict {
    let mut story = Story::new();
    story.point(Event::new(Kind::DmaStart, Actor::Guest).device(crate::story::EDU).range(0xfe00_0000, 256));
    story.flr();
    story.point(Event::new(Kind::Faulted, Actor::Kernel).device(crate::story::EDU).range(0xfe00_0000, 0));
    story.flap(3);
    end(story)
}

/// One after which DMA is not back.
pub fn failed() -> (Verdict, Vec<Event>) {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.step(crate::story::about(Kind::Trigger, Trigger::Flr), 104_000, 0);
    story.find_out(Trigger::Flr, 1);
    story.step(crate::story::about(Kind::P2pUnmap, Trigger::Flr), 10, 0);
    story.slots(Trigger::Flr);
    story.expect(Trigger::Flr, 1);
    let events = story.events.clone();
    (end(story), events)
}

/// One that passed, of a DMA only.
pub fn quiet() -> Verdict {
    let mut story = Story::new();
    story.dma(true);
    end(story)
}

fn end(mut story: Story) -> Verdict {
    story.withdraw(Trigger::Close);
    story.step(crate::story::about(Kind::Trigger, Trigger::Close), 10, 0);
    story.step(crate::story::about(Kind::P2pUnmap, Trigger::Close), 10, 0);
    story.expect(Trigger::Close, 0);
    for device in [crate::story::NVME, crate::story::EDU] {
        story.point(Event::new(Kind::DeviceClose, Actor::Vmm).device(device));
    }
    story.point(crate::story::about(Kind::DmabufClose, Trigger::None).range(0, 0x1000));
    story.point(Event::new(Kind::RunEnd, Actor::Vmm).result(0));
    let mut checker = Checker::new();
    story.events.iter().for_each(|event| checker.event(event));
    checker.finish(Ended::ByItself(0))
}

/// What became of one seed.
pub fn add(storm: &mut Storm, seed: u64, verdict: &Verdict) {
    let mut episode = Episode::new(seed, verdict);
    (episode.resets, episode.took_ns, episode.interleaving) = (1, 105_000_000, Some(u128::from(seed % 2)));
    storm.add(episode, &verdict.counts);
}

pub fn storm(verdicts: &[Verdict]) -> Storm {
    let mut storm = Storm::new(header());
    for (seed, verdict) in (1..).zip(verdicts) {
        add(&mut storm, seed, verdict);
    }
    storm
}

/// Everything went well.
pub fn green() -> Storm {
    storm(&[passed(), quiet(), passed()])
}

/// The second failed, and what was kept of it.
pub fn red() -> Storm {
    let (verdict, _) = failed();
    let mut storm = storm(&[passed(), verdict, passed()]);
    storm.episodes[1].artefacts = Some(Artefacts {
        folder: "out/storm/2".to_owned(),
        journal: Some("out/storm/2/journal.jsonl".to_owned()),
        repro: Some("out/storm/2/repro.toml".to_owned()),
        actions: Some((3, 120)),
        replay: "barkeep replay out/storm/2/repro.toml --lane lab".to_owned(),
        witness: vec!["seq 7 at 5 ms: vcpu0 trigger FLR, nvme begins".to_owned()],
    });
    storm
}

pub fn finding(what: &str) -> Finding {
    Finding {
        invariant: Invariant::I3,
        seq: 7,
        time_ns: 9,
        device: None,
        what: what.to_owned(),
        unfinished: false,
    }
}

pub fn known(finding: &str) -> Known {
    let text = format!(
        "version = 1\n[[known]]\ninvariant = \"I3\"\nfinding = '{finding}'\nreason = \"a bug of 7.3, reported\"\n"
    );
    Known::read(&text).unwrap()
}
