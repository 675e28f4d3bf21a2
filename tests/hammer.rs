//! Four vCPUs write and read a BAR through 250 revokes, and every answer is judged.

mod common;

use common::bench::Bench;
use common::journal::{Journal, number};
use common::{NVME, gate};
use serde_json::json;
use std::path::Path;

const SHIPPED: &str = include_str!("../crates/scenario/scenarios/hammer.toml");

/// With a pause between accesses: an access to a BAR that is out costs the emulator most, and
/// without it this takes minutes.
#[test]
fn every_answer_is_right_through_250_revokes() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let paused = SHIPPED.replace("do = \"hammer\"\n", "do = \"hammer\"\npause = \"4ms\"\n");
    assert_eq!(paused.matches("pause = ").count(), 4);
    let scenario = bench.write("hammer.toml", paused);
    hammer(&bench, &kernel, &scenario.to_string_lossy());
}

#[test]
#[ignore = "takes minutes"]
fn every_answer_is_right_through_250_revokes_without_a_pause() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    hammer(&Bench::new(), &kernel, "hammer");
}

fn hammer(bench: &Bench, kernel: &Path, scenario: &str) {
    let ran = bench.run_lab(kernel, &["--timeout", "900"], &["replay", scenario]);
    ran.ended(0).verdict("pass");
    let journal = bench.journal();
    assert!(count(&journal, "out, all ones came back") >= 1000);
    assert!(count(&journal, "live, value came back") > 0);
    assert_eq!(count(&journal, "wrong"), 0);
    for (trigger, times) in [("decode_off", 200), ("decode_on", 200), ("flr", 50)] {
        let ends =
            json!({"kind": "trigger", "phase": "end", "trigger": trigger, "device": NVME, "result": 0});
        assert_eq!(journal.all(&ends).len(), times, "{trigger}");
    }
    let most = journal.all(&json!({"kind": "vcpu_fault"})).iter().map(|fault| number(fault, "value")).max();
    assert!(most.is_none_or(|most| most <= 3), "KVM_RUN gave EFAULT {most:?} times in a row");
}

/// The guests' accesses of one sort, of which each of the four vCPUs tells its own.
fn count(journal: &Journal, sort: &str) -> u64 {
    let counts = journal.all(&json!({"kind": "access_count", "text": sort}));
    let mut actors: Vec<_> = counts.iter().map(|count| count["actor"].as_str()).collect();
    actors.sort_unstable();
    assert_eq!(actors, [Some("guest1"), Some("guest2"), Some("guest3"), Some("guest4")], "{sort}");
    counts.iter().map(|count| number(count, "value")).sum()
}
