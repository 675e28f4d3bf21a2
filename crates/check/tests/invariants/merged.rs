//! The numbers of several runs together do not depend on the order they are joined in.

use crate::storm::{Cycle, Storm};
use barkeep_check::{Checker, Ended, Summary};
use barkeep_journal::{Actor, Clock, Event, Journal, Kind, Lane};
use proptest::prelude::*;

/// What a run of these cycles, with so many different things degraded, comes to.
fn summary((cycles, degraded): &(Vec<(usize, Cycle)>, u8)) -> Summary {
    let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Checker::default());
    let mut storm = Storm::new(journal.clone());
    cycles.iter().for_each(|(device, cycle)| storm.cycle(*device, *cycle));
    for n in 0..*degraded {
        journal.emit_with_text(Event::new(Kind::Degraded, Actor::Vmm), &format!("{n} of {degraded}"));
    }
    storm.over();
    tap.with(std::mem::take).finish(Ended::ByItself(0)).counts
}

fn merged(of: &[&Summary]) -> Summary {
    let mut all = Summary::default();
    of.iter().for_each(|summary| all.merge(summary));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn in_any_order(
        runs in proptest::collection::vec(
            (proptest::collection::vec((0usize..2, proptest::sample::select(Cycle::ALL.to_vec())), 0..60), 0u8..60),
            3,
        ),
    ) {
        let summaries: Vec<_> = runs.iter().map(summary).collect();
        let [a, b, c] = &summaries[..] else { unreachable!("three runs") };
        let all = merged(&[a, b, c]);
        prop_assert_eq!(&merged(&[c, a, b]), &all);
        prop_assert_eq!(&merged(&[&merged(&[a, b]), c]), &all);
        prop_assert_eq!(&merged(&[a, &merged(&[b, c])]), &all);
        prop_assert_eq!(all.events, a.events + b.events + c.events);
        prop_assert_eq!(all.away.p2p.count(), [a, b, c].map(|summary| summary.away.p2p.count()).iter().sum::<u64>());
        let text = serde_json::to_string(&all).unwrap();
        prop_assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), all);
    }
}
