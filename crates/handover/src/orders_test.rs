use super::*;
use crate::test_machine::{start, start_planted};
use barkeep_model::Rule;

fn quick() -> Vec<Order> {
    orders(&start(), Extent::Quick).into_iter().map(|(_, order)| order).collect()
}

#[test]
fn every_order_can_be_carried_out_to_its_end() {
    let start = start();
    let quick = quick();
    assert!((200..400).contains(&quick.len()), "{}", quick.len());
    for order in &quick {
        assert_eq!(check(&start, order), Ok(()), "{order}");
    }
    assert_eq!(quick, self::quick(), "the same, always");
}

#[test]
fn an_order_that_cannot_be_says_why() {
    let why = |text: &str| check(&start(), &text.parse().unwrap());
    let closed = "i.receive,e.device,e.flr";
    assert_eq!(why(closed), Err(Impossible::Step(3, Step::Exporter(E::Flr))));
    assert_eq!(why("i.kill"), Err(Impossible::Lives("exporter", "e.exit")));
    assert_eq!(why("e.kill,i.kill"), Ok(()));
}

/// What a process gives up last, what either does when the other is dead: nothing may be missing
/// because a search was cut short.
#[test]
fn quick_has_every_step_after_either_death() {
    for (step, name) in Step::ALL {
        let dies_before = |order: &Order, dead: Step| {
            let death = order.0.iter().position(|step| *step == dead);
            death.is_some_and(|at| order.0[at..].contains(&step))
        };
        let death = match step.side() {
            Side::Exporter => Step::Importer(I::End(End::Kill)),
            Side::Importer => Step::Exporter(E::End(End::Kill)),
        };
        // In flight is what goes on when somebody dies, not what begins then.
        if step != Step::Importer(I::StartDma) {
            assert!(quick().iter().any(|order| dies_before(order, death)), "{name} after {death}");
        }
    }
}

#[test]
fn all_has_what_quick_has_and_more() {
    let start = start();
    let graph = states(&start, Theme::Closing);
    let pairs = graph.pairs();
    assert!(pairs.size() > 4 * graph.size(), "{} {}", pairs.size(), graph.size());
    let steps =
        |edges: &[Vec<Edge<Step>>]| edges.iter().flatten().map(|edge| edge.label).collect::<BTreeSet<_>>();
    assert_eq!(steps(&graph.edges), steps(&pairs.edges));
}

/// A kernel that does otherwise is found out, for each thing that two processes can see.
#[test]
fn the_quick_orders_find_a_planted_error() {
    let quick = quick();
    let found = |rule: &Rule| quick.iter().any(|order| differs(order, *rule));
    let found: Vec<_> = Rule::ALL.into_iter().filter(found).collect();
    let expected = [
        Rule::DecodeOff,
        Rule::BackIfEnabled,
        Rule::Flr,
        Rule::RevokeKills,
        Rule::LastClose,
        Rule::MmapKeepsOpen,
        Rule::MappingKeepsBuffer,
        Rule::CpuWhileDisabled,
        Rule::FaultsInAfresh,
        Rule::MapFileWhileRevoked,
        Rule::DeadKeepsIova,
        Rule::DeadUnmapsInFull,
        Rule::Faults,
    ];
    assert_eq!(found, expected);
}

fn differs(order: &Order, rule: Rule) -> bool {
    let (mut sound, mut planted) = (start(), start_planted(Some(rule)));
    order.0.iter().any(|step| !planted.is_possible(*step) || sound.step(*step) != planted.step(*step))
}
