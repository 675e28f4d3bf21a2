//! The noise a scenario asks for.

use anyhow::Context;
use barkeep_journal::{Journal, Lane};
use barkeep_lab::noise::{Draw, Noise};
use barkeep_scenario::Scenario;
use barkeep_scenario::draw::Draw as Stream;
use barkeep_scenario::units::Lapse;
use std::time::Duration;

/// Noise has a stream of its own: what the scenario draws stays what it is without it.
const STREAM: u64 = 0x6e6f_6973_6521_2121;
/// For so much of the time it leaves the CPU alone it takes it.
const SHARE: u32 = 10;

/// Begins with it, where there is one CPU to be taken: in the lab. Elsewhere there is none.
///
/// # Errors
/// There is no thread to be had that runs before all others.
pub fn start(scenario: &Scenario, seed: u64, journal: &Journal) -> anyhow::Result<Option<Noise>> {
    let Some(alone) = scenario.perturb.noise else { return Ok(None) };
    if journal.lane() != Lane::Lab {
        tell(journal.lane());
        return Ok(None);
    }
    let mut stream = Stream::new(seed ^ STREAM);
    let draw: Draw = Box::new(move || draw(alone, &mut stream));
    Noise::start(draw).context("cannot make noise").map(Some)
}

fn draw(alone: Lapse, stream: &mut Stream) -> (Duration, Duration) {
    let kept = match alone {
        Lapse::Exactly(time) => Lapse::Exactly(time / SHARE),
        Lapse::Between(least, most) => Lapse::Between(least / SHARE, most / SHARE),
    };
    (alone.drawn(stream).longest(), kept.drawn(stream).longest())
}

/// Said once, and no more than that: it is a wish of the scenario, and nothing it stands on.
pub fn tell(lane: Lane) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| log::warn!("noise is for lane lab; there is none in lane {lane}"));
}
