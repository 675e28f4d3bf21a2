//! Shards, joined.

use crate::example::{add, failed, green, header, passed, quiet};
use barkeep_report::storm::{CannotMerge, Known, Shard, Storm, merge};
use proptest::prelude::*;

/// The storm of so many episodes, of each of which it says how it was, and its shards.
fn parted(sorts: &[u8], of: u32) -> (Storm, Vec<Storm>) {
    let verdicts = [passed(), quiet(), failed().0];
    let mut whole = Storm::new(header());
    let shard =
        |number| Storm::new(barkeep_report::storm::Header { shards: vec![Shard { number, of }], ..header() });
    let mut shards: Vec<_> = (1..=of).map(shard).collect();
    for (seed, sort) in (1..).zip(sorts) {
        let verdict = &verdicts[usize::from(*sort) % verdicts.len()];
        add(&mut whole, seed, verdict);
        add(&mut shards[((seed - 1) % u64::from(of)) as usize], seed, verdict);
    }
    whole.header.shards = (1..=of).map(|number| Shard { number, of }).collect();
    (whole, shards)
}

proptest! {
    #[test]
    fn shards_in_any_order_are_the_whole(
        sorts in proptest::collection::vec(0u8..3, 0..20), of in 1u32..5, order in any::<[u8; 4]>(), cut in 1usize..4,
    ) {
        let (whole, shards) = parted(&sorts, of);
        let mut shuffled: Vec<_> = shards.into_iter().zip(order).collect();
        shuffled.sort_by_key(|(_, key)| *key);
        let shards: Vec<_> = shuffled.into_iter().map(|(shard, _)| shard).collect();
        let all = merge(shards.clone()).unwrap();
        let none = Known::default();
        prop_assert_eq!(all.judge(&none).exit_code(), whole.judge(&none).exit_code());
        prop_assert_eq!(&all, &whole);
        // Some first, the rest later.
        let (first, rest) = shards.split_at(cut.min(shards.len()));
        if !rest.is_empty() {
            let parts = vec![merge(first.to_vec()).unwrap(), merge(rest.to_vec()).unwrap()];
            prop_assert_eq!(&merge(parts).unwrap(), &whole);
        }
    }
}

#[test]
fn the_wall_clock_is_that_of_all() {
    let (_, mut shards) = parted(&[0, 0], 2);
    (shards[0].wall_clock_ns, shards[1].wall_clock_ns) = (Some(3), Some(4));
    assert_eq!(merge(shards).unwrap().wall_clock_ns, Some(7));
}

#[test]
fn what_is_no_part_of_the_same_storm_is_refused_and_named() {
    let shards = || parted(&[0, 1], 2).1;
    let refused = |change: fn(&mut Storm)| {
        let mut shards = shards();
        change(&mut shards[1]);
        merge(shards).unwrap_err().to_string()
    };
    for (change, says) in [
        (
            (|storm| storm.header.kernel = "7.2.6".to_owned()) as fn(&mut Storm),
            "record 2 is of another storm than the first: kernel is `7.2.6`, not `7.3.4`",
        ),
        (
            |storm| storm.header.options[0].value = "none".to_owned(),
            "record 2 is of another storm than the first: option pauses is `none`, not `0us..300us, one in 4`",
        ),
        (
            |storm| storm.header.shards[0].of = 3,
            "record 2 is of another storm than the first: number of shards is `3`, not `2`",
        ),
        (|storm| storm.header.shards[0].number = 1, "record 2 has shard 1/2, which an earlier one has, too"),
        (|storm| storm.episodes[0].seed = 1, "seed 1 is in record 2 and in an earlier one"),
        (
            |storm| storm.header.shards.clear(),
            "record 2 is of another storm than the first: number of shards is `none`, not `2`",
        ),
    ] {
        assert_eq!(refused(change), says);
    }
    assert_eq!(merge(Vec::new()), Err(CannotMerge::Nothing));
    assert_eq!(merge(vec![green(), green()]), Err(CannotMerge::Whole { number: 1 }));
    assert_eq!(merge(vec![green()]), Ok(green()));
}
