//! Which fault it is, in a build that has them.

use crate::{Fault, PlantError, VARIABLE};
use std::sync::OnceLock;

/// The fault of this process; `None` for none. Asked for once: it is the same to the process's end.
#[must_use]
pub fn chosen() -> Option<Fault> {
    static CHOSEN: OnceLock<Option<Fault>> = OnceLock::new();
    *CHOSEN.get_or_init(|| read().ok().flatten())
}

/// Whether this fault is the one.
#[must_use]
pub fn is_planted(fault: Fault) -> bool {
    chosen() == Some(fault)
}

pub(crate) fn check() -> Result<(), PlantError> {
    read().map(drop)
}

pub(crate) fn label() -> String {
    match chosen() {
        Some(fault) => format!(" with a fault planted: {}", fault.name()),
        None => " of a build for planted faults, none planted".to_owned(),
    }
}

/// An empty variable names none.
fn read() -> Result<Option<Fault>, PlantError> {
    match std::env::var(VARIABLE) {
        Ok(name) if name.is_empty() => Ok(None),
        Ok(name) => named(&name).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(name)) => named(&name.to_string_lossy()).map(Some),
    }
}

fn named(name: &str) -> Result<Fault, PlantError> {
    Fault::named(name).ok_or_else(|| {
        let measured =
            Fault::ALL.iter().map(|fault| (strsim::damerau_levenshtein(name, fault.name()), fault));
        let nearest = measured.min_by_key(|(distance, _)| *distance);
        let nearest = nearest.filter(|(distance, _)| *distance <= (name.len() / 3).max(2));
        PlantError::Unknown { name: name.to_owned(), nearest: nearest.map(|(_, fault)| fault.name()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_mistyped_names_the_one_that_was_meant() {
        assert_eq!(named("unmap-forgotten"), Ok(Fault::UnmapForgotten));
        let error = named("unmap-forgoten").unwrap_err();
        assert!(error.to_string().contains("did you mean `unmap-forgotten`?"), "{error}");
        let error = named("zzz").unwrap_err();
        assert!(!error.to_string().contains("mean"), "{error}");
    }
}
