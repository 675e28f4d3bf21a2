//! The record of a storm: any text. One that is a record is written as what it was read as, and told
//! in every format.
#![no_main]

use barkeep_report::Style;
use barkeep_report::storm::{Known, Storm, github, junit, ktap, merge, print};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(storm) = Storm::read(text) else { return };
    let mut written = Vec::new();
    storm.write(&mut written).expect("into memory");
    let written = String::from_utf8(written).expect("JSON is text");
    assert_eq!(Storm::read(&written).expect("it is one"), storm);
    let known = Known::default();
    let judged = storm.judge(&known);
    let mut out = Vec::new();
    print::begin(&mut out, &storm.header).expect("into memory");
    print::end(&mut out, &judged, Style::Plain).expect("into memory");
    junit::write(&mut out, &judged).expect("into memory");
    ktap::write(&mut out, &judged).expect("into memory");
    github::annotations(&mut out, &judged).expect("into memory");
    github::summary(&mut out, &judged).expect("into memory");
    let _ = merge(vec![storm.clone(), storm]);
});
