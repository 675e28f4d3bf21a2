//! What there is in the VM, looked at without waiting for anybody.

use barkeep_control::{Device, DeviceState, GuestState, Listing, Window};
use barkeep_export::keeper::{Keeper, Mapping};
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
    let window = |(index, window): (u16, &barkeep_export::Window)| Window {
        bar: window.bar,
        offset: format!("{:#x}", window.offset),
        size: format!("{:#x}", window.size),
        cpu: driver.outage(WindowId { device: number, window: index }).phase() == Phase::Live,
        p2p: keeper.as_ref().map(|keeper| {
            let mapping = keeper.windows()[usize::from(index)].mapping;
            matches!(mapping, Mapping::Live(_))
        }),
    };
    let windows = (0..).zip(board.function(number).windows()).map(window).collect();
    let state = match &keeper {
        Some(keeper) => settled(keeper),
        None if driver.resetting(number) => DeviceState::Resetting,
        None => DeviceState::Busy,
    };
    Device { device: driver.address(number).to_string(), name: name.to_owned(), state, windows }
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
