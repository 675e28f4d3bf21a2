//! Prints the episode of a storm and a seed: `episode NAME|FILE SEED`.

use barkeep_scenario::Scenario;
use barkeep_storm::{SHIPPED, episode};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [storm, seed] = &words[..] else {
        eprintln!("usage: episode NAME|FILE SEED");
        return ExitCode::from(2);
    };
    match text(storm, seed) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn text(storm: &str, seed: &str) -> Result<String, Box<dyn std::error::Error>> {
    let shipped = SHIPPED.into_iter().find(|(name, _)| *name == storm);
    let text = match shipped {
        Some((_, text)) => text.to_owned(),
        None => std::fs::read_to_string(storm)?,
    };
    Ok(episode(&Scenario::parse(&text)?, seed.parse()?)?.to_toml()?)
}
