//! A file of known findings: any text.
#![no_main]

use barkeep_check::{Finding, Invariant, normalised};
use barkeep_report::storm::Known;

libfuzzer_sys::fuzz_target!(|text: &str| {
    // What a sentence is without its numbers has none left to take out.
    let sentence = normalised(text);
    assert_eq!(normalised(&sentence), sentence);
    let Ok(known) = Known::read(text) else { return };
    for known in &known.findings {
        let what = known.finding.replace('*', "");
        let device = None;
        let finding =
            Finding { invariant: Invariant::I1, seq: 0, time_ns: 0, device, what, unfinished: false };
        let same = Finding { invariant: known.invariant, ..finding };
        assert!(known.is(&same) || known.finding.contains('*'));
    }
});
