//! Why there is no episode.

use barkeep_scenario::ScenarioError;
use barkeep_scenario::nearest::with_suggestion;

/// Why there is no episode.
#[derive(Debug, thiserror::Error)]
pub enum StormError {
    /// A scenario without a `[storm]`.
    #[error("`{0}` is no storm: it has no `[storm]`; `barkeep replay FILE` carries it out")]
    NoStorm(String),
    /// It requires a mark that there is none of.
    #[error("{}", with_suggestion(format!("storm `{storm}`: no mark is called `{name}`"), nearest.clone()))]
    NoMark {
        /// Which storm.
        storm: String,
        /// What it requires.
        name: String,
        /// The nearest one there is.
        nearest: Option<String>,
    },
    /// TOML has no numbers above 2^63 - 1, and a repro carries its seed.
    #[error("seed {0} is over 9223372036854775807, the largest a scenario file can carry")]
    Seed(u64),
    /// What was generated cannot be.
    #[error(transparent)]
    Episode(#[from] ScenarioError),
}
