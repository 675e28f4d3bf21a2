//! `storm.json`.

use crate::example::{finding, green, red};
use barkeep_check::Ended;
use barkeep_report::storm::{Known, NotAStorm, Storm};
use proptest::prelude::*;

fn text(storm: &Storm) -> String {
    let mut out = Vec::new();
    storm.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    for mut storm in [green(), red()] {
        assert_eq!(Storm::read(&text(&storm)).unwrap(), storm);
        storm.skipped = Some("no \"lab\"".to_owned());
        storm.wall_clock_ns = Some(1);
        storm.episodes[0].ended = Ended::Died { why: "it\nwent".to_owned() };
        assert_eq!(Storm::read(&text(&storm)).unwrap(), storm);
    }
}

#[test]
fn only_one_line_differs_by_the_wall_clock() {
    let (mut slow, fast) = (green(), green());
    slow.wall_clock_ns = Some(7_000_000_000);
    let (slow, fast) = (text(&slow), text(&fast));
    let differ: Vec<_> = slow.lines().zip(fast.lines()).filter(|(one, other)| one != other).collect();
    assert_eq!(differ, [("\"wall_clock_ns\":7000000000", "\"wall_clock_ns\":null")]);
}

#[test]
fn what_is_no_record_is_refused() {
    let good = text(&green());
    for (bad, says) in [
        (String::new(), "not the record of a storm: "),
        ("[]".to_owned(), "not the record of a storm: "),
        (good.replace("\"barkeep_storm\":1", "\"barkeep_storm\":2"), "the record of a storm of version 2"),
        (good.replace("\"lane\":\"lab\"", "\"lane\":\"moon\""), "not the record of a storm: no lane"),
        (good.replace("\"seed\":2,", "\"seed\":3,"), "not the record of a storm: seed 3 is out of order"),
        (good.replace("dma-in-flight", "dma-in-fright"), "not the record of a storm: no mark is called"),
        (good.replace("\"options\"", "\"option\""), "not the record of a storm: unknown field"),
        (good[..good.len() / 2].to_owned(), "not the record of a storm: EOF"),
    ] {
        let error = Storm::read(&bad).unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
    let two = good.replace("\"seed\":1,\"count\":3,", "\"seed\":1,\"count\":3,\"shards\":[\"2/2\",\"1/3\"],");
    assert!(matches!(Storm::read(&two), Err(NotAStorm::Shards)));
}

proptest! {
    #[test]
    fn whatever_was_found_is_read_back(
        what in any::<String>(), seed in any::<u64>(), interleaving in any::<u128>(), status in any::<i32>(),
    ) {
        let mut storm = red();
        let last = storm.episodes.last_mut().unwrap();
        (last.seed, last.interleaving, last.ended) = (seed.max(3), Some(interleaving), Ended::ByItself(status));
        last.findings.push(finding(&what));
        storm.header.scenario = what;
        let read = Storm::read(&text(&storm)).unwrap();
        prop_assert_eq!(read.judge(&Known::default()).exit_code(), storm.judge(&Known::default()).exit_code());
        prop_assert_eq!(read, storm);
    }
}
