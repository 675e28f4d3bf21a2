//! Would a storm find a fault in Barkeep itself? Each of these is planted on purpose, one at a time, in the code
//! it is about: keeper, driver, VMM, VFIO, the simulated kernel. `docs/sensitivity.md` says which storm finds it.
//!
//! They are in a build of their own (feature `planted`), in which one is chosen for the whole process and all
//! its children by the environment variable [`VARIABLE`]. In every other build [`is_planted`] is a constant
//! `false`, [`Progress`] has no bytes, and nothing of them is compiled.

mod fault;
mod progress;

#[cfg(feature = "planted")]
mod chosen;
#[cfg(feature = "planted")]
pub use chosen::{chosen, is_planted};

pub use fault::{Breaks, Fault, Lane};
pub use progress::Progress;

/// The environment variable that names the fault.
pub const VARIABLE: &str = "BARKEEP_PLANT";

/// Why no fault, or not the right one, would be planted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlantError {
    /// No fault has this name.
    #[error("{VARIABLE}: there is no fault `{name}` to plant{}", nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?")))]
    Unknown {
        /// What was written.
        name: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// This build has none: a run would pass for one that a fault was planted in.
    #[error("{VARIABLE} is set, and this build has no faults in it; build one with --features planted")]
    NotInThisBuild,
}

/// Looks at [`VARIABLE`], before anything is done.
///
/// # Errors
/// It names no fault, or this build has none.
pub fn check() -> Result<(), PlantError> {
    #[cfg(feature = "planted")]
    return chosen::check();
    #[cfg(not(feature = "planted"))]
    match std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        Some(_) => Err(PlantError::NotInThisBuild),
        None => Ok(()),
    }
}

/// What a build says of itself behind its version: nothing, unless it has faults in it.
#[must_use]
pub fn label() -> String {
    #[cfg(feature = "planted")]
    return chosen::label();
    #[cfg(not(feature = "planted"))]
    String::new()
}

/// The fault of this process, to hand it on to another machine.
#[must_use]
pub fn name() -> Option<&'static str> {
    #[cfg(feature = "planted")]
    return chosen().map(Fault::name);
    #[cfg(not(feature = "planted"))]
    None
}

/// Whether this fault is the one. A constant in a build without faults: what hangs on it is not compiled.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn is_planted(_: Fault) -> bool {
    false
}
