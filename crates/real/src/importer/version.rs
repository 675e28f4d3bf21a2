//! Which module this driver can speak to: the version that the module says of its interface.

use super::{DRIVER, NODE};
use std::fmt;
use std::path::Path;

/// `BARKEEP_IMPORTER_VERSION`: the version of the module's interface that this driver speaks.
pub const VERSION: u32 = 1;
/// Where a module that is loaded says its version; it is not there of one that has none.
const LOADED: &str = "/sys/module/barkeep_importer/version";

/// Why there is no importing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOffered {
    /// The module is not loaded.
    #[error(
        "there is no {NODE}: the importer's module is not loaded; scripts/kernel --importer builds it for a kernel of \
         the cache, and a topology with a device whose `bind` is `{DRIVER}` has the lab load it"
    )]
    NotLoaded,
    /// It is one of other sources than this program's.
    #[error(
        "the importer's module {}, and this program speaks version {VERSION} of its interface; scripts/kernel \
         --importer builds it anew (of a variant, with --variant)",
        Spoken(*.0)
    )]
    OtherVersion(Option<u32>),
}

/// What it speaks, or that it does not say.
struct Spoken(Option<u32>);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => write!(f, "speaks version {version}"),
            None => write!(f, "says no version, as those of before there were any"),
        }
    }
}

/// Whether the module that is loaded is one for this program.
///
/// # Errors
/// It is not; with what to do.
pub fn offered() -> Result<(), NotOffered> {
    if !Path::new(NODE).exists() {
        return Err(NotOffered::NotLoaded);
    }
    of_version(std::fs::read_to_string(LOADED).ok().and_then(|text| text.trim().parse().ok()))
}

/// Whether a module's file is one for this program, before anybody loads it: by the `version` that it has for
/// `modinfo`.
///
/// # Errors
/// It is not; with what to do.
pub fn fits(module: &[u8]) -> Result<(), NotOffered> {
    let mut words = module.split(|byte| *byte == 0);
    let version = words.find_map(|word| std::str::from_utf8(word).ok()?.strip_prefix("version="));
    of_version(version.and_then(|version| version.parse().ok()))
}

fn of_version(version: Option<u32>) -> Result<(), NotOffered> {
    if version == Some(VERSION) { Ok(()) } else { Err(NotOffered::OtherVersion(version)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_of_another_version_is_told_from_its_file() {
        let module = |version: &str| format!("\x7fELF\0license=GPL\0{version}srcversion=A\0vermagic=7.3\0");
        assert_eq!(fits(module("version=1\0").as_bytes()), Ok(()));
        let refused = |version: &str| fits(module(version).as_bytes()).unwrap_err();
        assert_eq!(refused("version=2\0"), NotOffered::OtherVersion(Some(2)));
        // Neither the kernel's nor the sources' version is it.
        assert_eq!(refused(""), NotOffered::OtherVersion(None));
        for words in ["version 2,", "version 1 ", "scripts/kernel --importer"] {
            assert!(refused("version=2\0").to_string().contains(words), "{words}");
        }
    }
}
