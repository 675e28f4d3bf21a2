//! The scenario language, and the runner that carries a scenario out in any lane.
//!
//! [`language`] is what `docs/interfaces.md` says in TOML, [`runner`] carries the actions out
//! one after the other on a [`World`], which each lane provides. The runner writes what was
//! *observed*: it never concludes from what was commanded.

mod attach;
mod deed;
mod dma;
pub mod draw;
mod engine;
mod expectation;
mod guest_cpu;
mod hammer;
pub mod language;
pub mod nearest;
mod perturb;
pub mod runner;
pub mod units;
mod unseen;
pub mod world;

pub use language::{Action, Scenario, ScenarioError};
pub use runner::{RunError, run};
pub use world::{Alone, Plan, Ready, Time, Turn, World, WorldError};

/// The scenario `barkeep run` does without one: the main job.
pub const MAIN_JOB: &str = include_str!("../scenarios/main-job.toml");
/// Revokes the VMM did not cause, met by the guest's CPU.
pub const UNSEEN: &str = include_str!("../scenarios/unseen.toml");
/// Four vCPUs hammering a BAR through decode flaps and FLRs.
pub const HAMMER: &str = include_str!("../scenarios/hammer.toml");
/// A device taken out of the machine under a peer's DMA, at a moment drawn from the seed.
pub const REMOVAL: &str = include_str!("../scenarios/removal.toml");
/// Random accesses of four vCPUs to config space and MSI-X tables, and everything works afterwards.
pub const HOSTILE_CONFIG: &str = include_str!("../scenarios/hostile-config.toml");
/// The main job beside a device of another driver's that imports the same window.
pub const IMPORTER: &str = include_str!("../scenarios/importer.toml");

/// The shipped scenarios: name and text.
pub const SHIPPED: [(&str, &str); 6] = [
    ("main-job", MAIN_JOB),
    ("importer", IMPORTER),
    ("hammer", HAMMER),
    ("unseen", UNSEEN),
    ("removal", REMOVAL),
    ("hostile-config", HOSTILE_CONFIG),
];
