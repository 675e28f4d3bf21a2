//! What may be wrong with an action, as far as words tell.

use super::{Action, Place, Unseen};

impl Action {
    /// What is wrong with it in a guest of so many vCPUs.
    pub(super) fn problem(&self, vcpus: u16) -> Option<String> {
        if self.vcpu() >= usize::from(vcpus) {
            return Some(format!("`{self}` is for vCPU {}, but the guest has {vcpus}", self.vcpu()));
        }
        if self.place().is_some_and(|place| place.moved_from) && self.needs_a_window() {
            return Some(format!("`{self}`: no window is where a BAR was"));
        }
        self.bad_number().or_else(|| self.bad_unmap())
    }

    fn needs_a_window(&self) -> bool {
        matches!(self, Self::Attach { .. } | Self::Hammer { .. } | Self::Watch { .. })
    }

    fn bad_number(&self) -> Option<String> {
        let (number, least, most, multiple, what) = match self {
            Self::Fill { size, .. } | Self::Verify { size, .. } => (*size, 4, 1 << 30, 4, "size"),
            Self::Dma { size, .. } | Self::DmaPrepare { size, .. } | Self::DmaStart { size, .. } => {
                (*size, 4, 4096, 4, "size")
            }
            Self::Hammer { at, .. } => (at.offset, 0, u64::MAX, 4096, "offset"),
            Self::Watch { at, .. } => (at.offset, 0, u64::MAX, 4, "offset"),
            Self::BarMove { bar, .. } => (u64::from(*bar), 0, 5, 1, "number of the BAR"),
            _ => return None,
        };
        let fits = (least..=most).contains(&number) && number.is_multiple_of(multiple);
        (!fits).then(|| format!("`{self}`: the {what} must be a multiple of {multiple}, {most} at the most"))
    }

    /// An unmap is of one window, everything else of the whole device.
    fn bad_unmap(&self) -> Option<String> {
        let Self::Unseen { what, bar, offset, .. } = self else { return None };
        match (what, bar) {
            (Unseen::Unmap, None) => Some(format!("`{self}`: which `bar`?")),
            (Unseen::Unmap, Some(_)) => None,
            (_, Some(_)) => Some(format!("`{self}`: only `unmap` takes a `bar`")),
            (_, None) => (*offset != 0).then(|| format!("`{self}`: only `unmap` takes an `offset`")),
        }
    }
}

/// BARs that were moved, as far as the list has been gone through.
#[derive(Default)]
pub(super) struct Moves<'a>(Vec<(&'a str, u8)>);

impl<'a> Moves<'a> {
    /// Takes in the next action; tells what is wrong with it.
    pub fn next(&mut self, action: &'a Action) -> Option<String> {
        if let Action::BarMove { device, bar, .. } = action {
            self.0.push((device, *bar));
        }
        let Place { device, bar, moved_from: true, .. } = action.place()? else { return None };
        let moved = self.0.contains(&(device.as_str(), *bar));
        (!moved).then(|| format!("`{action}`: that BAR has not been moved before"))
    }
}
