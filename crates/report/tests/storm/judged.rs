//! What is a pass, and what is not.

use crate::example::{NO_P2P, add, failed, finding, green, known, passed, quiet, red, storm};
use barkeep_check::{Ended, Mark, Verdict};
use barkeep_report::storm::{Known, Outcome, Shard, Storm};

fn code(storm: &Storm, known: &Known) -> i32 {
    storm.judge(known).exit_code()
}

fn ended(ended: Ended) -> Verdict {
    Verdict { ended, ..quiet() }
}

#[test]
fn green_is_a_pass_and_red_is_not() {
    let none = Known::default();
    assert_eq!((code(&green(), &none), code(&red(), &none)), (0, 1));
    assert_eq!(red().judge(&none).outcomes, [Outcome::Passed, Outcome::Failed(1), Outcome::Passed]);
}

#[test]
fn a_required_mark_that_was_never_hit_is_no_pass() {
    let storm = storm(&[quiet(), quiet()]);
    let none = Known::default();
    let judged = storm.judge(&none);
    assert_eq!((judged.exit_code(), &judged.missing[..]), (1, &[Mark::DmaInFlight, Mark::CpuMetOutage][..]));
}

#[test]
fn the_gravest_episode_gives_the_status() {
    let none = Known::default();
    let died = || ended(Ended::Died { why: "QEMU was killed".to_owned() });
    let hung = || ended(Ended::TimedOut);
    for (verdicts, status) in [
        (vec![passed(), died()], 125),
        (vec![passed(), died(), hung()], 124),
        (vec![passed(), died(), hung(), failed().0], 1),
        (vec![passed(), ended(Ended::ByItself(125))], 125),
    ] {
        assert_eq!(code(&storm(&verdicts), &none), status);
    }
}

#[test]
fn what_is_known_does_not_fail_and_must_occur() {
    let expected = known(NO_P2P);
    let storm = red();
    let judged = storm.judge(&expected);
    assert_eq!((judged.exit_code(), &judged.outcomes[1]), (0, &Outcome::Known(vec![0])));
    assert_eq!(judged.known_episodes(0), 1);

    let green = green();
    let judged = green.judge(&expected);
    assert_eq!((judged.exit_code(), judged.gone.len()), (1, 1));
    let mut elsewhere = expected.clone();
    elsewhere.findings[0].scenario = Some("decode".to_owned());
    assert_eq!((code(&green, &elsewhere), code(&storm, &elsewhere)), (0, 1));
}

#[test]
fn a_finding_beside_a_known_one_fails_and_is_told_first() {
    let mut storm = red();
    storm.episodes[1].findings.push(finding("something new"));
    let expected = known(NO_P2P);
    let judged = storm.judge(&expected);
    assert_eq!(judged.exit_code(), 1);
    assert_eq!(judged.first_finding(&storm.episodes[1]).unwrap().what, "something new");
}

#[test]
fn an_episode_that_failed_without_a_finding_is_never_known() {
    let mut storm = red();
    storm.episodes[0].ended = Ended::ByItself(1);
    assert_eq!(code(&storm, &known("*")), 1);
}

#[test]
fn what_is_known_hides_nothing_among_too_many_to_be_listed() {
    let expected = known("*");
    for (listed, status) in [(Verdict::LISTED, 0), (Verdict::LISTED_AT_MOST, 1)] {
        let mut storm = red();
        let episode = &mut storm.episodes[1];
        (episode.findings, episode.unlisted) = (vec![finding("x"); listed], 1);
        assert_eq!(code(&storm, &expected), status);
    }
}

#[test]
fn a_shard_alone_does_not_say_what_never_happened() {
    let mut storm = storm(&[quiet()]);
    storm.header.shards = vec![Shard { number: 1, of: 2 }];
    assert_eq!((code(&storm, &Known::default()), code(&storm, &known("x"))), (0, 0));
    storm.header.shards = vec![Shard { number: 1, of: 1 }];
    assert_eq!(code(&storm, &Known::default()), 1);
    storm.header.shards = vec![Shard { number: 1, of: 3 }, Shard { number: 3, of: 3 }];
    assert_eq!(code(&storm, &Known::default()), 125);
}

#[test]
fn nothing_done_is_no_pass_and_a_lane_that_is_not_there_is_a_skip() {
    let mut storm = Storm::new(crate::example::header());
    assert_eq!(code(&storm, &Known::default()), 125);
    storm.skipped = Some("no /dev/kvm".to_owned());
    assert_eq!(code(&storm, &Known::default()), 4);
}

#[test]
fn episodes_stand_in_the_order_of_their_seeds() {
    let mut storm = Storm::new(crate::example::header());
    for seed in [3, 1, 2] {
        add(&mut storm, seed, &quiet());
    }
    assert_eq!(storm.episodes.iter().map(|episode| episode.seed).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((storm.resets(), storm.interleavings()), (3, (2, 3)));
}
