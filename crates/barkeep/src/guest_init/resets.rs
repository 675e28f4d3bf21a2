//! What a guest does to its devices that revokes: resets, by the kernel and behind its back, and sleep.

use crate::guest_init::function::Function;
use anyhow::{Context, bail};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// The capability of power management, and its control register (PCI Power Management 1.2, 3.2.4).
const POWER_MANAGEMENT: u8 = 1;
const POWER_CONTROL: u64 = 4;
const POWER_STATE: u16 = 3;
const D3HOT: u16 = 3;
/// The capability of PCI Express, its device control register and the bit that resets the function.
const PCI_EXPRESS: u8 = 0x10;
const DEVICE_CONTROL: u64 = 8;
const INITIATE_FLR: u16 = 1 << 15;
/// How long a function may take from either (PCI Express Base 6.0, 6.6.2; Power Management 1.2, 5.6.1).
const RESET_TAKES: Duration = Duration::from_millis(100);
const POWER_TAKES: Duration = Duration::from_millis(10);

/// As the kernel does it: the driver is told before and after.
///
/// # Errors
/// The kernel's.
pub fn by_the_kernel(address: &str) -> anyhow::Result<()> {
    Function::at(address)?.tell("reset", "1")?;
    println!("guest: {address} was reset by the kernel");
    Ok(())
}

/// By its config space alone: the driver is told nothing.
///
/// # Errors
/// It has no such bit.
pub fn under_the_driver(address: &str) -> anyhow::Result<()> {
    let function = Function::at(address)?;
    let at = function.capability(PCI_EXPRESS)? + DEVICE_CONTROL;
    function.write16(at, function.read16(at)? | INITIATE_FLR)?;
    sleep(RESET_TAKES);
    println!("guest: {address} was reset by FLR under its driver");
    Ok(())
}

/// To D3hot and back by its config space alone.
///
/// # Errors
/// It has no power management.
pub fn through_d3hot(address: &str) -> anyhow::Result<()> {
    let function = Function::at(address)?;
    let at = function.capability(POWER_MANAGEMENT)? + POWER_CONTROL;
    let awake = function.read16(at)? & !POWER_STATE;
    function.write16(at, awake | D3HOT)?;
    sleep(POWER_TAKES);
    let state = function.read16(at)? & POWER_STATE;
    if state != D3HOT {
        bail!("{address} is in D{state} after it was sent to D3hot");
    }
    function.write16(at, awake)?;
    sleep(POWER_TAKES);
    println!("guest: {address} was in D3hot and is back");
    Ok(())
}

/// Puts all devices to sleep by their drivers and wakes them: suspend to idle without the idling.
///
/// # Errors
/// The kernel's, a driver's among them.
pub fn sleep_and_wake() -> anyhow::Result<()> {
    let tell = |file: &str, text: &str| fs::write(file, text).with_context(|| format!("cannot write {file}"));
    // Seconds that the devices are left asleep.
    tell("/sys/module/suspend/parameters/pm_test_delay", "1")?;
    // As deep as it goes: devices get to D3hot only behind their interrupts' end.
    tell("/sys/power/pm_test", "platform")?;
    tell("/sys/power/state", "freeze")?;
    println!("guest: all devices were asleep and are awake");
    Ok(())
}
