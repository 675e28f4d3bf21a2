//! A storm file: a shipped one with bytes of it changed, or any text. One that is a storm gives an
//! episode for the seed, which is printed as what it is and plans what it should.
#![no_main]

use barkeep_scenario::Scenario;
use barkeep_storm::{SHIPPED, episode, resets};

/// More would take the fuzzer longer than it waits.
const MOST_RESETS: u64 = 200;

libfuzzer_sys::fuzz_target!(|input: (u64, Option<u8>, Vec<(u16, u8)>, &[u8])| {
    let (seed, number, changes, behind) = input;
    let shipped = number.map(|number| SHIPPED[usize::from(number) % SHIPPED.len()].1);
    let mut bytes = shipped.unwrap_or_default().as_bytes().to_vec();
    for (at, byte) in changes {
        let length = bytes.len().max(1);
        if let Some(changed) = bytes.get_mut(usize::from(at) % length) {
            *changed = byte;
        }
    }
    bytes.extend(behind);
    let Ok(text) = std::str::from_utf8(&bytes) else { return };
    let Ok(storm) = Scenario::parse(text) else { return };
    let planned = storm.storm.as_ref().map(|storm| storm.resets);
    if planned.is_some_and(|planned| planned > MOST_RESETS) {
        return;
    }
    let Ok(made) = episode(&storm, seed) else { return };
    let printed = made.to_toml().expect("every number of it came from TOML");
    assert_eq!(Scenario::parse(&printed).expect("it is one"), made);
    assert!(Some(resets(&made)) >= planned);
});
