//! What may be wrong with an action, as far as words tell.

use super::{Action, Hold, Importing, Place, Second, Unseen};
use crate::units::Lapse;
use std::time::Duration;

/// The longest that the test importer holds on to a mapping (`BKI_MAX_HOLD_MS`).
const LONGEST_HOLD: Duration = Duration::from_secs(60);

impl Action {
    /// What is wrong with it in a guest of so many vCPUs.
    pub(super) fn problem(&self, vcpus: u16) -> Option<String> {
        if let Some(vcpu) = self.vcpu().filter(|vcpu| *vcpu >= usize::from(vcpus)) {
            return Some(format!("`{self}` is for vCPU {vcpu}, but the guest has {vcpus}"));
        }
        if self.place().is_some_and(|place| place.moved_from) && self.needs_a_window() {
            return Some(format!("`{self}`: no window is where a BAR was"));
        }
        if let Self::Remove { functions_of: Some(_), unbind: true, .. } = self {
            return Some(format!("`{self}`: it is one or the other"));
        }
        let bad = self.bad_number().or_else(|| self.bad_unmap()).or_else(|| self.bad_meanwhile());
        bad.or_else(|| self.bad_hold()).or_else(|| self.bad_second()).or_else(|| self.bad_importer())
    }

    /// What needs a vCPU or looks at several things in turn is part of the list alone.
    fn bad_meanwhile(&self) -> Option<String> {
        let Self::Meanwhile { action, .. } = self else { return None };
        match **action {
            Self::DeviceReset { .. }
            | Self::HotReset { .. }
            | Self::LowPowerEntry { .. }
            | Self::LowPowerExit { .. }
            | Self::Close { .. }
            | Self::Release { .. }
            | Self::SysfsReset { .. }
            | Self::Hold { .. }
            | Self::LetGo { .. }
            | Self::Second {
                what: Second::Import | Second::Unmap | Second::Drop | Second::End | Second::Kill,
                ..
            }
            | Self::Importer {
                what:
                    Importing::Map
                    | Importing::Use
                    | Importing::Unmap
                    | Importing::Pin
                    | Importing::Unpin
                    | Importing::Detach,
                ..
            }
            | Self::KillVmm
            | Self::SignalError { .. }
            | Self::InjectError { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::Attach { background: false, .. } => None,
            Self::Attach { .. } => Some(format!("`{self}` is in the background already")),
            Self::Fill { .. }
            | Self::Verify { .. }
            | Self::Dma { .. }
            | Self::DmaPrepare { .. }
            | Self::DmaStart { .. }
            | Self::DmaFinish { .. }
            | Self::Flr { .. }
            | Self::AfFlr { .. }
            | Self::DecodeOff { .. }
            | Self::DecodeOn { .. }
            | Self::D3hot { .. }
            | Self::D0 { .. }
            | Self::ConfigWrite { .. }
            | Self::BarMove { .. }
            | Self::Remove { .. }
            | Self::Removed { .. }
            | Self::ResetMethods { .. }
            | Self::Second { .. }
            | Self::Importer { .. }
            | Self::Hammer { .. }
            | Self::HammerStop { .. }
            | Self::Scribble { .. }
            | Self::Watch { .. }
            | Self::Watched { .. }
            | Self::Linger { .. }
            | Self::Sleep { .. }
            | Self::Idle { .. }
            | Self::Meanwhile { .. }
            | Self::Join
            | Self::Reboot
            | Self::Repeat { .. } => {
                Some(format!("`{action}` cannot be done meanwhile: only what the VMM or others do"))
            }
        }
    }

    fn bad_hold(&self) -> Option<String> {
        match self {
            Self::Hold { bar: None, offset, .. } | Self::LetGo { bar: None, offset, .. } => {
                (*offset != 0).then(|| format!("`{self}`: an `offset` is of a `bar`"))
            }
            Self::Hold { bar: Some(_), what: Hold::Kvm, .. } => {
                Some(format!("`{self}`: KVM holds device files, and no dma-buf"))
            }
            _ => None,
        }
    }

    fn bad_second(&self) -> Option<String> {
        let Self::Second { what, of, engine, expect } = self else { return None };
        let starts = *what == Second::Start;
        if starts != of.is_some() {
            let wrong = if starts { "`of` which window?" } else { "only `start` takes an `of`" };
            return Some(format!("`{self}`: {wrong}"));
        }
        if engine.is_some() && !starts {
            return Some(format!("`{self}`: only `start` takes an `engine`"));
        }
        self.bad_expectation(expect, matches!(what, Second::Dma | Second::DmaFinish))
    }

    fn bad_importer(&self) -> Option<String> {
        let Self::Importer { what, of, engine, hold, expect } = self else { return None };
        let attaches = *what == Importing::Attach;
        let wrong = if attaches && of.is_none() {
            "`of` which window?"
        } else if attaches && engine.is_none() {
            "which `engine`?"
        } else if !attaches && (of.is_some() || engine.is_some() || *hold != Lapse::default()) {
            "only `attach` takes an `of`, an `engine` and a `hold`"
        } else if hold.longest() > LONGEST_HOLD {
            "a `hold` is 60s at the most"
        } else if hold.longest().subsec_nanos() % 1_000_000 != 0 {
            "a `hold` is whole milliseconds"
        } else {
            return self.bad_expectation(expect, matches!(what, Importing::Dma | Importing::DmaFinish));
        };
        Some(format!("`{self}`: {wrong}"))
    }

    /// What is expected of a DMA is a fate, and of all else an errno.
    fn bad_expectation(&self, expect: &str, of_dma: bool) -> Option<String> {
        const FATES: [&str; 5] = ["lands", "faults", "lost", "either", "any"];
        match (of_dma, FATES.contains(&expect)) {
            (true, false) => Some(format!("`{self}`: `expect` is one of {}", FATES.join(", "))),
            (false, true) if expect != "any" => Some(format!("`{self}`: `expect` is ok, any, or an errno")),
            (true, true) | (false, _) => None,
        }
    }

    fn needs_a_window(&self) -> bool {
        matches!(
            self,
            Self::Attach { .. }
                | Self::Hammer { .. }
                | Self::Watch { .. }
                | Self::Second { .. }
                | Self::Importer { .. }
        )
    }

    fn bad_number(&self) -> Option<String> {
        let (number, least, most, multiple, what) = match self {
            Self::Fill { size, .. } | Self::Verify { size, .. } => (*size, 4, 1 << 30, 4, "size"),
            Self::Dma { size, .. } | Self::DmaPrepare { size, .. } | Self::DmaStart { size, .. } => {
                (*size, 4, 4096, 4, "size")
            }
            Self::Hammer { at, .. } => (at.offset, 0, u64::MAX, 4096, "offset"),
            Self::Watch { at, .. }
            | Self::Second { of: Some(at), .. }
            | Self::Importer { of: Some(at), .. } => (at.offset, 0, u64::MAX, 4, "offset"),
            Self::Scribble { vcpus, .. } => (*vcpus as u64, 1, 64, 1, "number of vCPUs"),
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
