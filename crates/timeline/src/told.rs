//! Who is told what the journal comes to.

use crate::{Edge, Handled, Outage, Slice};
use barkeep_journal::{DeviceAddress, Event};

/// Takes in what a [`crate::Follower`] finds. Each is told once, when it is over.
pub trait Told {
    /// A slice is over, or was never ended.
    fn slice(&mut self, slice: Slice) {
        let _ = slice;
    }

    /// An outage is over, or was never ended.
    fn outage(&mut self, outage: Outage) {
        let _ = outage;
    }

    /// A device's exports have changed their state.
    fn edge(&mut self, device: DeviceAddress, edge: Edge, event: &Event) {
        let _ = (device, edge, event);
    }

    /// An event was handled, or was begun and never finished.
    fn handled(&mut self, handled: Handled) {
        let _ = handled;
    }

    /// What `barkeep` calls the N-th revoke begins with this event.
    fn revoke(&mut self, number: u64, event: &Event) {
        let _ = (number, event);
    }

    /// The first DMA has landed in a device's BAR since access came back with an event that is over.
    fn first_dma(&mut self, restored_ns: u64, event: &Event) {
        let _ = (restored_ns, event);
    }
}

/// Told of nothing that it keeps.
impl Told for () {}
