//! Lane `model` many times over: nothing is written while all is well, and a time that does not
//! pass can be had alone.

mod common;

use common::bench::{Bench, Ran};
use common::journal::number;
use common::scenario;
use serde_json::json;
use std::fs;

/// What a vCPU's count of such answers is called.
const ONES: &str = "out, all ones came back";

/// `own.toml` in lane `model` on three vCPUs, with these words more.
fn replay(bench: &Bench, words: &[&str]) -> Ran {
    let mut command = bench.barkeep(["replay", "own.toml", "--lane", "model", "--cpus", "3"]);
    command.args(words).arg("--out").arg(bench.out());
    bench.run(command)
}

fn bytes(bench: &Bench) -> Vec<u8> {
    fs::read(bench.out().join("journal.jsonl")).unwrap()
}

/// Two vCPUs hammer a BAR through an outage, and are to get that many all ones in it. How many they
/// get depends on which of them goes on when, and so on the seed.
fn hammered(bench: &Bench, answered: u64) {
    let hammer = |vcpu: u64| {
        let at = format!("{{ device = \"nvme\", bar = 2, offset = {} }}", 4096 * vcpu);
        format!("do = \"hammer\"; at = {at}; vcpu = {vcpu}")
    };
    let (first, second) = (hammer(1), hammer(2));
    let stop = format!("do = \"hammer-stop\"; answered = {answered}");
    let flap = ["do = \"decode-off\"; device = \"nvme\"", "do = \"sleep\"; time = \"100us\""];
    let on = "do = \"decode-on\"; device = \"nvme\"";
    let text = scenario::of("hammered", &[&first, &second, flap[0], flap[1], on, &stop]);
    bench.write("own.toml", text.replacen("[[action]]", "[guest]\nvcpus = 3\n[[action]]", 1));
}

/// How many all ones the vCPUs get with that seed.
fn answered(seed: u64) -> u64 {
    let bench = Bench::new();
    hammered(&bench, 0);
    replay(&bench, &["--seed", &seed.to_string()]).ended(0);
    let journal = bench.journal();
    let counts = journal.all(&json!({"kind": "access_count", "text": ONES}));
    counts.iter().map(|count| number(count, "value")).sum()
}

#[test]
fn times_that_pass_write_one_line_and_no_journal() {
    let bench = Bench::new();
    hammered(&bench, 1);
    let told = || replay(&bench, &["--times", "3"]).ended(0).stdout.clone();
    let first = told();
    assert!(first.starts_with("pass  3 times, "), "{first}");
    for word in [" operations, ", " events, ", " s of virtual time"] {
        assert!(first.contains(word), "`{word}` is not in {first}");
    }
    // What depends on the machine is elsewhere.
    assert_eq!(first, told());
    replay(&bench, &["--times", "3"]).tells(&["wall clock", "operations", "a second"]);
    assert!(!bench.out().exists(), "something was written");
}

/// The first time that does not pass is written out as if it had been the only one.
#[test]
fn a_time_that_does_not_pass_is_had_alone_by_its_seed() {
    let counts: Vec<u64> = (1..=8).map(answered).collect();
    // What the first of two seeds reaches and the second does not.
    let at = counts.windows(2).position(|two| two[0] > two[1]).expect("seeds that differ");
    let (good, bad) = (at as u64 + 1, at as u64 + 2);
    let bench = Bench::new();
    hammered(&bench, counts[at]);
    let ran = replay(&bench, &["--times", "5", "--seed", &good.to_string()]);
    ran.ended(1).verdict("FAIL");
    let told = format!("time 2 of 5 did not pass, seed {bad}; it alone:");
    assert!(ran.stdout.contains(&told), "{}", ran.stdout);
    let of_many = bytes(&bench);
    let end = json!({"kind": "expectation", "result": 1});
    assert_eq!(bench.journal().all(&end).len(), 1);

    // The command it names, as it stands there.
    let command = ran.stdout.lines().last().unwrap().trim();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    assert!(words.ends_with(&["--seed", &bad.to_string()]) && !words.contains(&"--times"), "{command}");
    fs::remove_dir_all(bench.out()).unwrap();
    bench.run(bench.barkeep(words)).ended(1).verdict("FAIL");
    assert!(bytes(&bench) == of_many, "the journal of {command} is another");
}

/// Its findings have the places they have in the journal that is written.
#[test]
fn an_expectation_that_is_wrong_ends_it_at_the_first_time() {
    let bench = Bench::new();
    bench.write("own.toml", scenario::of("own", &[&scenario::dma(0x5a5a_0001, "faults")]));
    let ran = replay(&bench, &["--times=5", "--seed=7"]);
    ran.ended(1).verdict("FAIL");
    assert!(ran.stdout.contains("time 1 of 5 did not pass, seed 7"), "{}", ran.stdout);
    let of_many = bytes(&bench);
    replay(&bench, &["--seed", "7"]).ended(1);
    assert!(bytes(&bench) == of_many);
}

#[test]
fn many_times_are_for_the_lanes_that_are_the_same_again() {
    let bench = Bench::new();
    bench
        .run(bench.barkeep(["run", "--lane", "kvm", "--times", "2"]))
        .ended(2)
        .tells(&["--times", "--lane model"]);
    bench.run(bench.barkeep(["run", "--lane", "model", "--times", "0"])).ended(2).tells(&["--times"]);
}
