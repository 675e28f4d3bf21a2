use super::*;
use proptest::prelude::*;

fn of(times: &[u64]) -> Durations {
    let mut durations = Durations::default();
    times.iter().for_each(|ns| durations.add(*ns));
    durations
}

fn merged(of: &[&Durations]) -> Durations {
    let mut all = Durations::default();
    of.iter().for_each(|durations| all.merge(durations));
    all
}

#[test]
fn few_different_times_are_exact() {
    let times: Vec<u64> = (1..=100).map(|n| n * 1_000_001).collect();
    let durations = of(&times);
    let percentiles = [0, 1, 50, 99, 100].map(|percent| durations.percentile(percent));
    assert_eq!(percentiles, [1, 1, 50, 99, 100].map(|n| Some(n * 1_000_001)));
    assert_eq!((durations.count(), durations.max()), (100, Some(100_000_100)));
    assert_eq!((of(&[]).percentile(50), of(&[]).max(), of(&[0]).percentile(99)), (None, None, Some(0)));
}

#[test]
fn many_are_rounded_and_the_longest_is_not() {
    let times: Vec<u64> = (1..=10_000).map(|n| n * 1_000_001).collect();
    let durations = of(&times);
    for (percent, exact) in [(50, 5_000_005_000u64), (99, 9_900_009_900)] {
        let told = durations.percentile(percent).unwrap();
        assert!(told.abs_diff(exact) <= exact / 1000, "{told} for {exact}");
    }
    assert_eq!((durations.count(), durations.max()), (10_000, Some(10_000_010_000)));
    assert_eq!(durations.percentile(100), durations.max());
    assert!(of(&[u64::MAX; 3]).max() == Some(u64::MAX));
}

fn times() -> impl Strategy<Value = Vec<u64>> {
    let time = prop_oneof![0..4u64, 0..1_000_000_000u64, any::<u64>()];
    proptest::collection::vec(time, 0..400)
}

proptest! {
    #[test]
    fn the_order_of_merging_is_nothing((a, b, c) in (times(), times(), times())) {
        let all = of(&[a.clone(), b.clone(), c.clone()].concat());
        let (a, b, c) = (of(&a), of(&b), of(&c));
        prop_assert_eq!(&merged(&[&a, &b, &c]), &merged(&[&c, &a, &b]));
        prop_assert_eq!(&merged(&[&merged(&[&a, &b]), &c]), &merged(&[&a, &merged(&[&b, &c])]));
        prop_assert_eq!(merged(&[&a, &b, &c]), all);
    }

    #[test]
    fn a_file_gives_back_what_was_written(times in times()) {
        let durations = of(&times);
        let text = serde_json::to_string(&durations).unwrap();
        prop_assert_eq!(serde_json::from_str::<Durations>(&text).unwrap(), durations);
    }
}
