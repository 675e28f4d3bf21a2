//! What an action names: devices, places, vCPUs, times.

use super::{Action, Importing, Place, Register, Second, Severity, Unseen};
use crate::draw::Draw;
use crate::units::Lapse;
use barkeep_pci::header;
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
            Self::ResetMethods { device, .. }
            | Self::SysfsReset { device, .. }
            | Self::InjectError { device, .. } => Some(device),
            Self::Remove { functions_of, .. } => functions_of.as_deref(),
            Self::Second { engine, .. } | Self::Importer { engine, .. } => engine.as_deref(),
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
            Self::Second { of, .. } | Self::Importer { of, .. } => of.as_ref(),
            Self::DmaFinish { .. }
            | Self::Flr { .. }
            | Self::AfFlr { .. }
            | Self::DecodeOff { .. }
            | Self::DecodeOn { .. }
            | Self::D3hot { .. }
            | Self::D0 { .. }
            | Self::ConfigWrite { .. }
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
            | Self::KillVmm
            | Self::SignalError { .. }
            | Self::InjectError { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::HammerStop { .. }
            | Self::Scribble { .. }
            | Self::Watched { .. }
            | Self::Linger { .. }
            | Self::Sleep { .. }
            | Self::Idle { .. }
            | Self::Meanwhile { .. }
            | Self::Join
            | Self::Reboot
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
    pub(super) fn device(&self) -> Option<&str> {
        match self {
            Self::Flr { device, .. }
            | Self::AfFlr { device, .. }
            | Self::DecodeOff { device, .. }
            | Self::DecodeOn { device, .. }
            | Self::D3hot { device, .. }
            | Self::D0 { device, .. }
            | Self::ConfigWrite { device, .. }
            | Self::BarMove { device, .. }
            | Self::DeviceReset { device, .. }
            | Self::HotReset { device, .. }
            | Self::LowPowerEntry { device, .. }
            | Self::LowPowerExit { device, .. }
            | Self::Remove { device, .. }
            | Self::Release { device }
            | Self::Removed { device }
            | Self::Hold { device, .. }
            | Self::LetGo { device, .. }
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
            | Self::InjectError { .. }
            | Self::Attach { .. }
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
            | Self::Second { .. }
            | Self::Importer { .. }
            | Self::KillVmm
            | Self::Repeat { .. } => None,
        }
    }

    /// Whether it takes access away by itself: one reset of a storm.
    pub fn revokes(&self) -> bool {
        match self {
            Self::Flr { .. }
            | Self::AfFlr { .. }
            | Self::DecodeOff { .. }
            | Self::D3hot { .. }
            | Self::BarMove { .. }
            | Self::DeviceReset { .. }
            | Self::HotReset { .. }
            | Self::LowPowerEntry { .. }
            | Self::Close { .. }
            | Self::Remove { .. }
            | Self::SysfsReset { .. }
            | Self::Reboot => true,
            Self::ConfigWrite { register, set, clear, .. } => match register {
                Register::Command => clear & header::COMMAND_MEMORY != 0,
                Register::DeviceControl => set & header::PCIE_DEVCTL_FLR != 0,
                Register::AfControl => set & u16::from(header::AF_CTRL_FLR) != 0,
                Register::Pmcsr => set & header::PM_PMCSR_STATE == header::PM_PMCSR_STATE,
            },
            Self::InjectError { severity, .. } => match severity {
                Severity::Fatal => true,
                Severity::Nonfatal => false,
            },
            Self::Unseen { what, .. } => match what {
                Unseen::DecodeOff
                | Unseen::D3hot
                | Unseen::Flr
                | Unseen::DeviceReset
                | Unseen::HotReset
                | Unseen::Unmap => true,
                Unseen::DecodeOn | Unseen::D0 => false,
            },
            Self::Fill { .. }
            | Self::Verify { .. }
            | Self::Dma { .. }
            | Self::DmaPrepare { .. }
            | Self::DmaStart { .. }
            | Self::DmaFinish { .. }
            | Self::DecodeOn { .. }
            | Self::D0 { .. }
            | Self::LowPowerExit { .. }
            | Self::Release { .. }
            | Self::Removed { .. }
            | Self::ResetMethods { .. }
            | Self::Hold { .. }
            | Self::LetGo { .. }
            | Self::Second { .. }
            | Self::Importer { .. }
            | Self::KillVmm
            | Self::SignalError { .. }
            | Self::Suspect { .. }
            | Self::Attach { .. }
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
            | Self::Repeat { .. } => false,
        }
    }

    /// The actions inside it.
    pub fn inner(&self) -> &[Self] {
        match self {
            Self::Repeat { actions, .. } => actions,
            Self::Meanwhile { action, .. } => std::slice::from_ref(action),
            _ => &[],
        }
    }

    /// The vCPU it needs, the last one of several; the first one does what needs any.
    pub(crate) fn vcpu(&self) -> Option<usize> {
        match self {
            Self::Fill { vcpu, .. }
            | Self::Verify { vcpu, .. }
            | Self::Flr { vcpu, .. }
            | Self::AfFlr { vcpu, .. }
            | Self::DecodeOff { vcpu, .. }
            | Self::DecodeOn { vcpu, .. }
            | Self::D3hot { vcpu, .. }
            | Self::D0 { vcpu, .. }
            | Self::ConfigWrite { vcpu, .. }
            | Self::BarMove { vcpu, .. }
            | Self::Hammer { vcpu, .. }
            | Self::Watch { vcpu, .. }
            | Self::Watched { vcpu, .. }
            | Self::Sleep { vcpu, .. }
            | Self::Idle { vcpu, .. } => Some(*vcpu),
            Self::Scribble { vcpus, .. } => Some(vcpus.saturating_sub(1)),
            Self::Dma { .. }
            | Self::DmaPrepare { .. }
            | Self::DmaStart { .. }
            | Self::DmaFinish { .. }
            | Self::Second { what: Second::Dma | Second::DmaStart | Second::DmaFinish, .. }
            | Self::Importer { what: Importing::Dma | Importing::DmaStart | Importing::DmaFinish, .. } => {
                Some(0)
            }
            Self::DeviceReset { .. }
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
            | Self::Second { .. }
            | Self::Importer { .. }
            | Self::KillVmm
            | Self::SignalError { .. }
            | Self::InjectError { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::Attach { .. }
            | Self::HammerStop { .. }
            | Self::Linger { .. }
            | Self::Meanwhile { .. }
            | Self::Join
            | Self::Reboot
            | Self::Repeat { .. } => None,
        }
    }

    /// The same with its time drawn, where that is a random one.
    pub(crate) fn drawn(&self, draw: &mut Draw) -> Cow<'_, Self> {
        let random = |action: &Self| action.time().is_some_and(Lapse::is_random);
        let inner = |action: &Self| match action {
            Self::Meanwhile { action, .. } => random(action),
            _ => false,
        };
        if !random(self) && !inner(self) {
            return Cow::Borrowed(self);
        }
        let mut action = self.clone();
        if let Some(time) = action.time_mut() {
            *time = time.drawn(draw);
        }
        if let Self::Meanwhile { action, .. } = &mut action
            && let Some(time) = action.time_mut()
        {
            *time = time.drawn(draw);
        }
        Cow::Owned(action)
    }

    /// Its time, where it has one.
    pub fn time(&self) -> Option<Lapse> {
        match self {
            Self::Attach { after: time, .. }
            | Self::Meanwhile { after: time, .. }
            | Self::Hammer { pause: time, .. }
            | Self::Importer { hold: time, .. }
            | Self::Linger { time }
            | Self::Sleep { time, .. }
            | Self::Idle { time, .. } => Some(*time),
            _ => None,
        }
    }

    pub(super) fn time_mut(&mut self) -> Option<&mut Lapse> {
        match self {
            Self::Attach { after: time, .. }
            | Self::Meanwhile { after: time, .. }
            | Self::Hammer { pause: time, .. }
            | Self::Importer { hold: time, .. }
            | Self::Linger { time }
            | Self::Sleep { time, .. }
            | Self::Idle { time, .. } => Some(time),
            _ => None,
        }
    }
}
