//! A scenario file: any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = barkeep_scenario::Scenario::parse(text);
});
