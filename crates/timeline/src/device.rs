//! One device: its windows, its state, the event of it that is being handled.

use crate::handled::Open;
use crate::holders::Holders;
use crate::window::Window;
use crate::{Edge, State};
use barkeep_journal::{Event, Trigger};

/// Windows of a device that are followed.
const WINDOWS: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Device {
    pub windows: Vec<Window>,
    pub state: Option<State>,
    pub open: Option<Open>,
    pub holders: Holders,
    /// Access is back since then, and no DMA has been seen to land since.
    pub restored_ns: Option<u64>,
}

impl Device {
    /// The number of the event that is being handled, or 0.
    pub fn handling(&self) -> u64 {
        self.open.as_ref().map_or(0, Open::number)
    }

    /// Access goes.
    pub fn goes(&mut self, trigger: Trigger) -> Option<Edge> {
        self.becomes(State::Live, State::Revoked, trigger)
    }

    /// All that an event was to bring back is back.
    pub fn comes_back(&mut self, event: &Event) -> Option<Edge> {
        if self.state.is_none() {
            self.state = Some(State::Live);
            return Some(Edge { from: None, to: State::Live, trigger: event.trigger });
        }
        let edge = self.becomes(State::Revoked, State::Live, event.trigger)?;
        self.restored_ns = Some(event.time_ns);
        Some(edge)
    }

    /// The device file is given up, or gone with the process that had it.
    pub fn closes(&mut self, trigger: Trigger) -> [Option<Edge>; 2] {
        self.restored_ns = None;
        [self.goes(trigger), self.becomes(State::Revoked, State::Closed, trigger)]
    }

    fn becomes(&mut self, from: State, to: State, trigger: Trigger) -> Option<Edge> {
        debug_assert!(from.successors().contains(&to));
        if self.state != Some(from) {
            return None;
        }
        self.state = Some(to);
        Some(Edge { from: Some(from), to, trigger })
    }

    /// The window an event names. A new address of a BAR whose window was taken away is that window,
    /// moved with its BAR. `None` for one window too many.
    pub fn window(&mut self, event: &Event) -> Option<&mut Window> {
        let (bar, address) = event.bar.zip(event.address)?;
        let size = event.size.unwrap_or(0);
        let there = |w: &Window| w.bar == bar && w.address == address;
        let moved = |w: &Window| w.bar == bar && w.size == size && w.may_have_moved();
        let place = match self.windows.iter().position(there).or_else(|| self.windows.iter().position(moved))
        {
            Some(place) => place,
            None if self.windows.len() == WINDOWS => return None,
            None => {
                self.windows.push(Window::new(bar, address, size));
                self.windows.len() - 1
            }
        };
        let window = &mut self.windows[place];
        window.moves_to(address);
        Some(window)
    }

    /// The window of a BAR at an address, if it is known.
    pub fn known_window(&mut self, bar: Option<u8>, address: Option<u64>) -> Option<&mut Window> {
        let (bar, address) = bar.zip(address)?;
        self.windows.iter_mut().find(|window| window.bar == bar && window.address == address)
    }
}
