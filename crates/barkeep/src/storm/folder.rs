//! The folder a storm leaves behind. What is in it is whole: written beside its place, then put there.

use crate::exit::{Exit, UsageExt, wrong};
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// What `barkeep report merge` reads.
pub const STORM: &str = "storm.json";
/// The shortest episode that still fails.
pub const REPRO: &str = "repro.toml";
/// The events a finding rests on.
pub const WITNESS: &str = "witness.txt";
/// A folder for each episode that is kept, named by its seed.
const EPISODES: &str = "episodes";
/// What the emulator left.
pub const BOOTS: &str = "boots";

/// The folder.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it, and takes away what a former run left under the same names: none of it is to be taken for
    /// this one's.
    ///
    /// # Errors
    /// Results cannot be written there.
    pub fn prepare(path: &Path) -> anyhow::Result<Self> {
        let what = || format!("cannot write results to {}", path.display());
        fs::create_dir_all(path).usage(what())?;
        let folder = Self(path.to_owned());
        // First of all: where nothing can be written, nothing is taken away.
        probe(&folder.file(STORM))?;
        // That it is a storm's folder its storm.json says; others' folders are left alone.
        if folder.file(STORM).exists() || folder.file(EPISODES).join(MARK).exists() {
            for name in [STORM, REPRO, WITNESS] {
                let _ = fs::remove_file(folder.file(name));
            }
            for name in [EPISODES, BOOTS] {
                let _ = fs::remove_dir_all(folder.file(name));
            }
        }
        let episodes = folder.file(EPISODES);
        fs::create_dir_all(&episodes).usage(what())?;
        fs::write(episodes.join(MARK), "Written by barkeep storm, which takes it away again.\n")
            .usage(what())?;
        Ok(folder)
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder of a seed's episode.
    pub fn episode(&self, seed: u64) -> PathBuf {
        self.0.join(EPISODES).join(seed.to_string())
    }
}

/// Says that a folder `episodes` is a storm's, also after one that did not come to its end.
const MARK: &str = "README";

/// Whether a file can be written there.
///
/// # Errors
/// It cannot.
pub fn probe(path: &Path) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", path.display());
    if path.is_dir() {
        return Err(wrong(Exit::Usage, format!("{}: it is a folder", what())));
    }
    parent(path)?;
    let beside = beside(path);
    fs::write(&beside, b"").usage(what())?;
    fs::remove_file(&beside).usage(what())
}

/// Writes a file whole, or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", path.display());
    parent(path)?;
    let beside = beside(path);
    fs::write(&beside, text).usage(what())?;
    fs::rename(&beside, path).with_context(what)
}

/// Makes the folder a file is in.
fn parent(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), fs::create_dir_all);
    made.usage(format!("cannot write {}: no folder for it", path.display()))
}

/// A name in the same folder that nobody else has.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}
