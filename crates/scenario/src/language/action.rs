//! What an action names, what may be wrong with it, and how it is told.

use super::{Action, Content, Fate, Place, Purpose};
use std::fmt;

impl Action {
    /// Those it acts on, and its engine.
    pub(super) fn devices(&self) -> Vec<&str> {
        let acted_on = match self.place() {
            Some(place) => Some(place.device.as_str()),
            None => self.device(),
        };
        acted_on.into_iter().chain(self.engine()).collect()
    }

    /// Where it acts.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Fill { to, .. }
            | Self::Attach { to, .. }
            | Self::Dma { to, .. }
            | Self::DmaStart { to, .. } => Some(to),
            Self::Verify { at, .. } | Self::Hammer { at, .. } => Some(at),
            Self::DmaFinish { .. }
            | Self::Flr { .. }
            | Self::AfFlr { .. }
            | Self::DecodeOff { .. }
            | Self::DecodeOn { .. }
            | Self::D3hot { .. }
            | Self::D0 { .. }
            | Self::DeviceReset { .. }
            | Self::Close { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::HammerStop { .. }
            | Self::Sleep { .. }
            | Self::Idle { .. }
            | Self::Repeat { .. } => None,
        }
    }

    /// The DMA engine it needs.
    pub(super) fn engine(&self) -> Option<&str> {
        match self {
            Self::Dma { engine, .. } | Self::DmaStart { engine, .. } | Self::DmaFinish { engine, .. } => {
                Some(engine)
            }
            _ => None,
        }
    }

    /// The device it concerns as a whole.
    fn device(&self) -> Option<&str> {
        match self {
            Self::Flr { device, .. }
            | Self::AfFlr { device, .. }
            | Self::DecodeOff { device, .. }
            | Self::DecodeOn { device, .. }
            | Self::D3hot { device, .. }
            | Self::D0 { device, .. }
            | Self::DeviceReset { device, .. }
            | Self::Unseen { device, .. }
            | Self::Suspect { device }
            | Self::Close { device } => Some(device),
            Self::Fill { .. }
            | Self::Verify { .. }
            | Self::Dma { .. }
            | Self::DmaStart { .. }
            | Self::DmaFinish { .. }
            | Self::Attach { .. }
            | Self::Hammer { .. }
            | Self::HammerStop { .. }
            | Self::Sleep { .. }
            | Self::Idle { .. }
            | Self::Repeat { .. } => None,
        }
    }

    fn vcpu(&self) -> usize {
        match self {
            Self::Fill { vcpu, .. }
            | Self::Verify { vcpu, .. }
            | Self::Flr { vcpu, .. }
            | Self::AfFlr { vcpu, .. }
            | Self::DecodeOff { vcpu, .. }
            | Self::DecodeOn { vcpu, .. }
            | Self::D3hot { vcpu, .. }
            | Self::D0 { vcpu, .. }
            | Self::Hammer { vcpu, .. }
            | Self::Sleep { vcpu, .. }
            | Self::Idle { vcpu, .. } => *vcpu,
            Self::Dma { .. }
            | Self::DmaStart { .. }
            | Self::DmaFinish { .. }
            | Self::DeviceReset { .. }
            | Self::Close { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::Attach { .. }
            | Self::HammerStop { .. }
            | Self::Repeat { .. } => 0,
        }
    }

    /// What is wrong with it in a guest of so many vCPUs.
    pub(super) fn problem(&self, vcpus: u16) -> Option<String> {
        if self.vcpu() >= usize::from(vcpus) {
            return Some(format!("`{self}` is for vCPU {}, but the guest has {vcpus}", self.vcpu()));
        }
        let (size, most, multiple, what) = match self {
            Self::Fill { size, .. } | Self::Verify { size, .. } => (*size, 1 << 30, 4, "size"),
            Self::Dma { size, .. } | Self::DmaStart { size, .. } => (*size, 4096, 4, "size"),
            Self::Hammer { at, .. } => (at.offset.max(4096), u64::MAX, 4096, "offset"),
            _ => return None,
        };
        let fits = (multiple..=most).contains(&size) && size.is_multiple_of(multiple);
        (!fits).then(|| format!("`{self}`: the {what} must be a multiple of {multiple}, {most} at the most"))
    }
}

impl fmt::Display for Action {
    /// The action in a few words, as the journal and the timeline show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fill { to, pattern, .. } => write!(f, "fill {to} with {pattern:#010x}"),
            Self::Verify { at, pattern, expect: Content::Holds, .. } => {
                write!(f, "verify {at} holds {pattern:#010x}")
            }
            Self::Verify { at, expect: Content::Ones, .. } => write!(f, "verify {at} reads all ones"),
            Self::Verify { at, pattern, expect: Content::Differs, .. } => {
                write!(f, "verify {at} does not hold {pattern:#010x}")
            }
            Self::Dma { engine, to, expect: Fate::Lands, .. } => write!(f, "DMA {engine} to {to} lands"),
            Self::Dma { engine, to, expect: Fate::Faults, .. } => write!(f, "DMA {engine} to {to} faults"),
            Self::DmaStart { engine, to, .. } => write!(f, "DMA {engine} to {to} in flight"),
            Self::DmaFinish { engine, expect: Fate::Lands } => write!(f, "DMA of {engine} lands"),
            Self::DmaFinish { engine, expect: Fate::Faults } => write!(f, "DMA of {engine} faults"),
            Self::Flr { device, .. } => write!(f, "FLR {device}"),
            Self::AfFlr { device, .. } => write!(f, "AF FLR {device}"),
            Self::DecodeOff { device, .. } => write!(f, "decode off {device}"),
            Self::DecodeOn { device, .. } => write!(f, "decode on {device}"),
            Self::D3hot { device, .. } => write!(f, "D3hot {device}"),
            Self::D0 { device, .. } => write!(f, "D0 {device}"),
            Self::DeviceReset { device, .. } => write!(f, "device reset {device}"),
            Self::Close { device } => write!(f, "close {device}"),
            Self::Unseen { device, what } => write!(f, "unseen by the VMM: {what:?} {device}"),
            Self::Suspect { device } => write!(f, "suspect {device}"),
            Self::Attach { to, expect, .. } => write!(f, "attach {to} gives {expect}"),
            Self::Hammer { at, vcpu, .. } => write!(f, "hammer {at} on vCPU {vcpu}"),
            Self::HammerStop { .. } => write!(f, "hammering ends"),
            Self::Sleep { time, purpose: Purpose::FaultLog, .. } => {
                write!(f, "up to {} us for the fault log", time.as_micros())
            }
            Self::Sleep { time, purpose: Purpose::Itself, .. } => write!(f, "sleep {} us", time.as_micros()),
            Self::Idle { time, .. } => write!(f, "idle {} us", time.as_micros()),
            Self::Repeat { times, actions } => write!(f, "{times} times {} actions", actions.len()),
        }
    }
}
