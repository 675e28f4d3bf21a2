//! What an action names: devices, places, vCPUs, times.

use super::{Action, Place};
use crate::draw::Draw;
use crate::units::Lapse;
use std::borrow::Cow;

impl Action {
    /// The devices of the VM it acts on, and its engine.
    pub(super) fn devices(&self) -> Vec<&str> {
        let acted_on = match self.place() {
            Some(place) => Some(place.device.as_str()),
            None => self.device(),
        };
        acted_on.into_iter().chain(self.engine()).collect()
    }

    /// What the administrator acts on, which need not be in the VM.
    pub(super) fn administered(&self) -> Option<&str> {
        match self {
            Self::ResetMethods { device, .. } | Self::SysfsReset { device, .. } => Some(device),
            Self::Remove { functions_of, .. } => functions_of.as_deref(),
            _ => None,
        }
    }

    /// Where it acts.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Fill { to, .. }
            | Self::Attach { to, .. }
            | Self::Dma { to, .. }
            | Self::DmaPrepare { to, .. }
            | Self::DmaStart { to, .. } => Some(to),
            Self::Verify { at, .. } | Self::Hammer { at, .. } | Self::Watch { at, .. } => Some(at),
            Self::DmaFinish { .. }
            | Self::Flr { .. }
            | Self::AfFlr { .. }
            | Self::DecodeOff { .. }
            | Self::DecodeOn { .. }
            | Self::D3hot { .. }
            | Self::D0 { .. }
            | Self::BarMove { .. }
            | Self::DeviceReset { .. }
            | Self::HotReset { .. }
            | Self::LowPowerEntry { .. }
            | Self::LowPowerExit { .. }
            | Self::Close { .. }
            | Self::Remove { .. }
            | Self::Release { .. }
            | Self::Removed { .. }
            | Self::ResetMethods { .. }
            | Self::SysfsReset { .. }
            | Self::Hold { .. }
            | Self::LetGo { .. }
            | Self::SignalError { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::HammerStop { .. }
            | Self::Watched { .. }
            | Self::Linger { .. }
            | Self::Sleep { .. }
            | Self::Idle { .. }
            | Self::Repeat { .. } => None,
        }
    }

    /// The DMA engine it needs.
    pub(super) fn engine(&self) -> Option<&str> {
        match self {
            Self::Dma { engine, .. }
            | Self::DmaPrepare { engine, .. }
            | Self::DmaStart { engine, .. }
            | Self::DmaFinish { engine, .. } => Some(engine),
            Self::Watch { engine, .. } => engine.as_deref(),
            _ => None,
        }
    }

    /// The device of the VM it concerns as a whole.
    fn device(&self) -> Option<&str> {
        match self {
            Self::Flr { device, .. }
            | Self::AfFlr { device, .. }
            | Self::DecodeOff { device, .. }
            | Self::DecodeOn { device, .. }
            | Self::D3hot { device, .. }
            | Self::D0 { device, .. }
            | Self::BarMove { device, .. }
            | Self::DeviceReset { device, .. }
            | Self::HotReset { device, .. }
            | Self::LowPowerEntry { device, .. }
            | Self::LowPowerExit { device, .. }
            | Self::Remove { device, .. }
            | Self::Release { device }
            | Self::Removed { device }
            | Self::Hold { device, .. }
            | Self::LetGo { device }
            | Self::SignalError { device, .. }
            | Self::Unseen { device, .. }
            | Self::Suspect { device }
            | Self::Close { device } => Some(device),
            Self::Fill { .. }
            | Self::Verify { .. }
            | Self::Dma { .. }
            | Self::DmaPrepare { .. }
            | Self::DmaStart { .. }
            | Self::DmaFinish { .. }
            | Self::ResetMethods { .. }
            | Self::SysfsReset { .. }
            | Self::Attach { .. }
            | Self::Hammer { .. }
            | Self::HammerStop { .. }
            | Self::Watch { .. }
            | Self::Watched { .. }
            | Self::Linger { .. }
            | Self::Sleep { .. }
            | Self::Idle { .. }
            | Self::Repeat { .. } => None,
        }
    }

    /// The vCPU it keeps busy; the first one does what needs any.
    pub(super) fn vcpu(&self) -> usize {
        match self {
            Self::Fill { vcpu, .. }
            | Self::Verify { vcpu, .. }
            | Self::Flr { vcpu, .. }
            | Self::AfFlr { vcpu, .. }
            | Self::DecodeOff { vcpu, .. }
            | Self::DecodeOn { vcpu, .. }
            | Self::D3hot { vcpu, .. }
            | Self::D0 { vcpu, .. }
            | Self::BarMove { vcpu, .. }
            | Self::Hammer { vcpu, .. }
            | Self::Watch { vcpu, .. }
            | Self::Watched { vcpu, .. }
            | Self::Sleep { vcpu, .. }
            | Self::Idle { vcpu, .. } => *vcpu,
            Self::Dma { .. }
            | Self::DmaPrepare { .. }
            | Self::DmaStart { .. }
            | Self::DmaFinish { .. }
            | Self::DeviceReset { .. }
            | Self::HotReset { .. }
            | Self::LowPowerEntry { .. }
            | Self::LowPowerExit { .. }
            | Self::Close { .. }
            | Self::Remove { .. }
            | Self::Release { .. }
            | Self::Removed { .. }
            | Self::ResetMethods { .. }
            | Self::SysfsReset { .. }
            | Self::Hold { .. }
            | Self::LetGo { .. }
            | Self::SignalError { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::Attach { .. }
            | Self::HammerStop { .. }
            | Self::Linger { .. }
            | Self::Repeat { .. } => 0,
        }
    }

    /// The same with its time drawn, where that is a random one.
    pub(crate) fn drawn(&self, draw: &mut Draw) -> Cow<'_, Self> {
        if !self.time().is_some_and(Lapse::is_random) {
            return Cow::Borrowed(self);
        }
        let mut action = self.clone();
        if let Some(time) = action.time_mut() {
            *time = time.drawn(draw);
        }
        Cow::Owned(action)
    }

    fn time(&self) -> Option<Lapse> {
        match self {
            Self::Attach { after: time, .. }
            | Self::Hammer { pause: time, .. }
            | Self::Linger { time }
            | Self::Sleep { time, .. }
            | Self::Idle { time, .. } => Some(*time),
            _ => None,
        }
    }

    fn time_mut(&mut self) -> Option<&mut Lapse> {
        match self {
            Self::Attach { after: time, .. }
            | Self::Hammer { pause: time, .. }
            | Self::Linger { time }
            | Self::Sleep { time, .. }
            | Self::Idle { time, .. } => Some(time),
            _ => None,
        }
    }
}
