//! A scenario file: any text. One that is a scenario is printed as what it was read as.
#![no_main]

use barkeep_scenario::Scenario;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(scenario) = Scenario::parse(text) else { return };
    let printed = scenario.to_toml().expect("every number of it came from TOML");
    assert_eq!(Scenario::parse(&printed).expect("it is one"), scenario);
});
