//! Carries a way out, and undoes what was done if a step fails.

use super::BindError;
use super::steps::{self, Step, Undo, Way};
use crate::function::{Function, VFIO};
use barkeep_journal::DeviceAddress;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Who writes to the kernel.
pub trait Hand {
    /// One `write` of all of it, to a file that is there already.
    ///
    /// # Errors
    /// What the kernel says.
    fn write(&mut self, place: &Path, text: &str) -> io::Result<()>;
}

/// Writes to the running kernel's sysfs.
pub struct Sysfs;

impl Hand for Sysfs {
    fn write(&mut self, place: &Path, text: &str) -> io::Result<()> {
        File::options().write(true).open(place)?.write_all(text.as_bytes())
    }
}

/// Carries a way out.
///
/// # Errors
/// A step failed: [`BindError::Undone`], or [`BindError::Stuck`] if undoing failed as well.
pub fn carry_out(way: &Way, hand: &mut dyn Hand) -> Result<(), BindError> {
    let Way { address, steps, undo } = way;
    for step in steps {
        let Err(source) = take(step, hand) else { continue };
        let (address, step) = (*address, step.what());
        return Err(match put_back(undo, address, hand) {
            Ok(()) => BindError::Undone { address, step, source },
            Err(back) => BindError::Stuck { address, step, source, back },
        });
    }
    Ok(())
}

fn take(step: &Step, hand: &mut dyn Hand) -> io::Result<()> {
    match step {
        Step::Remember { place, text } => remember(place, text),
        Step::Write { place, text, .. } => hand.write(place, text),
        Step::Look { function, driver } => look(function, driver.as_deref()),
        Step::Forget { place } => fs::remove_file(place),
    }
}

/// Whole or not at all: another name first. `/run` is memory, so nothing has to be flushed.
fn remember(place: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut half = place.as_os_str().to_owned();
    half.push(".half");
    fs::write(&half, text)?;
    fs::rename(half, place)
}

fn look(function: &Function, wanted: Option<&str>) -> io::Result<()> {
    let driver = function.driver();
    if driver.as_deref() != wanted {
        let has = driver.as_deref().unwrap_or("no driver");
        return Err(io::Error::other(format!("it is bound to {has}")));
    }
    if wanted == Some(VFIO) && function.character_device().is_none() {
        let why = "it has no file in /dev/vfio/devices: the kernel needs CONFIG_VFIO_DEVICE_CDEV, the device an IOMMU";
        return Err(io::Error::other(why));
    }
    Ok(())
}

/// From wherever it stopped: what the function is bound to now decides what is to be done. Goes on where
/// something fails, so that as much as can be is as it was; gives the first failure.
fn put_back(undo: &Undo, address: DeviceAddress, hand: &mut dyn Hand) -> io::Result<()> {
    let Undo { folder, drivers, driver, driver_override, forget } = undo;
    let mut first = Ok(());
    let mut note = |done: io::Result<()>| first = std::mem::replace(&mut first, Ok(())).and(done);
    let function = Function { address, folder: folder.clone() };
    let now = function.driver();
    let why = "undone";
    if now != *driver {
        // As on the way back: nobody else gets it in between.
        let only = driver.as_deref().or(driver_override.as_deref());
        note(take(&steps::order(folder, only, why), hand));
        if let Some(now) = &now {
            note(take(&steps::take(drivers, now, address, why), hand));
        }
        if let Some(driver) = driver {
            note(take(&steps::give(drivers, driver, address, why), hand));
        }
    }
    // Who may write nothing has changed nothing.
    if function.driver_override() != *driver_override {
        note(take(&steps::order(folder, driver_override.as_deref(), why), hand));
    }
    note(look_at_driver(&function, driver.as_deref()));
    // What is not as it was has to be remembered still.
    match forget.as_ref().filter(|place| first.is_ok() && place.exists()) {
        Some(place) => fs::remove_file(place),
        None => first,
    }
}

fn look_at_driver(function: &Function, wanted: Option<&str>) -> io::Result<()> {
    match function.driver().as_deref() == wanted {
        true => Ok(()),
        false => Err(io::Error::other("the driver that had it does not take it back")),
    }
}
