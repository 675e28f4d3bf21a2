//! In virtual time a run depends on nothing outside of it.

mod common;

use common::bench::Bench;
use common::gate;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn runs_are_the_same_byte_for_byte_also_beside_a_busy_machine() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let first = journal(&kernel);
    same("the second run", &first, &journal(&kernel));
    let loaded = beside_busy_threads(2, || journal(&kernel));
    same("the run beside busy threads", &first, &loaded);
}

fn journal(kernel: &Path) -> Vec<u8> {
    let bench = Bench::new();
    bench.run_lab(kernel, &[], &["run"]).ended(0);
    fs::read(bench.out().join("journal.jsonl")).unwrap()
}

/// Does something while so many threads do nothing, as fast as they can.
fn beside_busy_threads<T>(count: usize, work: impl FnOnce() -> T) -> T {
    /// Ends them also if the work panics.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _at_the_end = Over(&over);
        for _ in 0..count {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        work()
    })
}

/// Shows the first line that differs, not all of both.
#[track_caller]
fn same(what: &str, first: &[u8], other: &[u8]) {
    if first == other {
        return;
    }
    let lines =
        |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect() };
    let (first, other) = (lines(first), lines(other));
    let at = first.iter().zip(&other).take_while(|(a, b)| a == b).count();
    panic!("{what} differs from line {} on:\n{:?}\n{:?}", at + 1, first.get(at), other.get(at));
}
