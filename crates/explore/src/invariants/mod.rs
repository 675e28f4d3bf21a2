//! What must hold in every state and on every transition.

mod deadlock;
mod i1;
mod i2;
mod i3;
mod i4;
mod order;

use crate::happened::Happened;
use crate::scene::{SPACE, Scene};
use crate::state::State;
use barkeep_model::Kernel;
use barkeep_model::kernel::Target;

/// A state or a transition that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which invariant.
    pub invariant: &'static str,
    /// What is wrong.
    pub what: String,
}

fn broken(invariant: &'static str, what: impl Into<String>) -> Result<(), Broken> {
    Err(Broken { invariant, what: what.into() })
}

/// Looks at a transition and the state it ends in.
pub(crate) fn check(scene: &Scene, before: &State, happened: &Happened, after: &State) -> Result<(), Broken> {
    i1::check(scene, before, happened, after)?;
    i2::check(scene, happened, after)?;
    order::check(scene, happened, after)?;
    i3::check(scene, after)?;
    i4::check(scene, after)
}

/// Looks at the first state, which no transition leads to.
pub(crate) fn check_first(scene: &Scene, state: &State) -> Result<(), Broken> {
    i3::check(scene, state)?;
    i4::check(scene, state)
}

/// Looks at a state none of whose threads can go on by itself.
pub(crate) fn check_stuck(scene: &Scene, state: &State) -> Result<(), Broken> {
    deadlock::check(scene, state)
}

fn name(device: usize) -> &'static str {
    ["A", "B"][device]
}

/// Whether a function answers its guest: for the kernel, in the hardware, and by what the guest
/// wrote last.
fn live(scene: &Scene, state: &State, device: usize) -> bool {
    let kernel = state.kernel();
    let written = state.station(device).shadow.registers();
    let by_guest = kernel.layout(device).memory_enabled(&written);
    kernel.file(scene.files[device]).is_some()
        && kernel.memory_enabled(device)
        && kernel.decodes(device)
        && by_guest
}

/// Whether every device of the VMM's space reaches a window, at the address of its BAR and at the
/// right place of it.
fn peers_reach(scene: &Scene, kernel: &Kernel, device: usize, window: usize, base: u64) -> bool {
    let offset = scene.windows[device][window].offset;
    let bar = scene.windows[device][window].bar;
    let masters = (0..2).filter(|master| kernel.functions()[*master].space == Some(SPACE));
    masters.into_iter().all(|master| match kernel.translate(master, base + offset) {
        Some(Target::Bar { device: found, bar: its, offset: at, answers: _ }) => {
            (found, its, at) == (device, bar, offset)
        }
        Some(Target::Memory(..)) | None => false,
    })
}
