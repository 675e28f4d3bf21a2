//! How a run is disturbed, so that each seed meets the code at other moments.

use super::is_default;
use crate::units::Lapse;
use serde::{Deserialize, Serialize};

/// The table `[perturb]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Perturb {
    /// Pauses between the VMM's own steps, drawn anew each time.
    #[serde(skip_serializing_if = "is_default")]
    pub pauses: Lapse,
    /// One step of so many is paused at, by chance.
    #[serde(rename = "one-in", skip_serializing_if = "is_one")]
    pub one_in: u32,
    /// How long another thread leaves the machine's only CPU alone before it takes it again, for a
    /// tenth of that; lane `lab`.
    #[serde(skip_serializing_if = "is_default")]
    pub noise: Option<Lapse>,
}

impl Default for Perturb {
    /// Not at all.
    fn default() -> Self {
        Self { pauses: Lapse::default(), one_in: 1, noise: None }
    }
}

impl Perturb {
    pub(super) fn problem(&self) -> Option<String> {
        let Self { pauses: _, one_in, noise } = self;
        if *one_in == 0 {
            return Some("`one-in = 0`; 1 is every step".to_owned());
        }
        let endless = noise.is_some_and(|noise| noise.longest().is_zero());
        endless.then(|| "a `noise` of no time at all".to_owned())
    }
}

fn is_one(number: &u32) -> bool {
    *number == 1
}
