//! What there is in the VM, looked at without waiting for anybody.

use barkeep_control::{Device, DeviceState, GuestState, Listing, Window};
use barkeep_export::keeper::{Keeper, Mapping, Slot, WindowState};
use barkeep_export::{Function, Phase, WindowId};
use barkeep_platform::Board;
use barkeep_vmm::Machine;

/// All of it.
pub fn listing(board: &Board, machine: &Machine) -> Listing {
    let guest = if machine.is_paused() { GuestState::Paused } else { GuestState::Running };
    let devices = (0..).zip(board.names()).map(|(number, name)| device(board, number, name)).collect();
    Listing { guest, devices }
}

fn device(board: &Board, number: u16, name: &str) -> Device {
    let driver = board.driver();
    let keeper = driver.keeper_now(number);
    let window = |(index, window): (u16, &barkeep_export::Window)| {
        let state = keeper.as_ref().map(|keeper| &keeper.windows()[usize::from(index)]);
        Window {
            bar: window.bar,
            offset: format!("{:#x}", window.offset),
            size: format!("{:#x}", window.size),
            address: state.and_then(address).map(|address| format!("{address:#x}")),
            cpu: driver.outage(WindowId { device: number, window: index }).phase() == Phase::Live,
            p2p: state.map(|state| matches!(state.mapping, Mapping::Live(_))),
        }
    };
    let windows = (0..).zip(board.function(number).windows()).map(window).collect();
    let state = match &keeper {
        Some(keeper) => settled(keeper),
        None if driver.resetting(number) => DeviceState::Resetting,
        None => DeviceState::Busy,
    };
    Device { device: driver.address(number).to_string(), name: name.to_owned(), state, windows }
}

/// Both are at the same address where both are there.
fn address(WindowState { slot, mapping, .. }: &WindowState) -> Option<u64> {
    match (slot, mapping) {
        (Slot::In(address), _) | (_, Mapping::Live(address)) => Some(*address),
        (
            Slot::Out | Slot::Failed(_),
            Mapping::Unwanted | Mapping::None | Mapping::Dead(_) | Mapping::Refused(_),
        ) => None,
    }
}

fn settled(keeper: &Keeper) -> DeviceState {
    if keeper.closed() {
        return DeviceState::Removed;
    }
    match keeper.found() {
        Some(found) if found.live() => DeviceState::Live,
        Some(_) | None => DeviceState::Away,
    }
}
