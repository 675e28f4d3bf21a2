//! A journal.jsonl, judged: any bytes.
#![no_main]

use barkeep_check::{Checker, Ended};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok((_, events)) = barkeep_report::jsonl::read(bytes) else { return };
    let mut checker = Checker::new();
    for event in events.flatten() {
        checker.event(&event);
    }
    let _ = checker.finish(Ended::ByItself(0)).exit_code();
});
