//! Scenarios made of scenarios: other vCPUs, other times.

use super::{Action, Scenario, for_each};
use crate::draw::Draw;
use crate::units::Lapse;

impl Scenario {
    /// The vCPUs it needs, each once, in their order.
    pub fn vcpus(&self) -> Vec<usize> {
        let mut used = Vec::new();
        self.for_each(&mut |action| match action {
            Action::Scribble { vcpus, .. } => used.extend(0..*vcpus),
            action => used.extend(action.vcpu()),
        });
        used.sort_unstable();
        used.dedup();
        used
    }

    /// The same with every time as the runner draws it from `seed`, where that comes to no more
    /// than `most` actions: a repeat draws its times anew each time, and is taken apart for it.
    pub fn drawn_out(&self, seed: u64, most: usize) -> Option<Self> {
        let mut actions = Vec::new();
        draw_out(&self.actions, &mut Draw::new(seed), most, &mut actions)?;
        Some(Self { actions, ..self.clone() })
    }
}

fn draw_out(actions: &[Action], draw: &mut Draw, most: usize, out: &mut Vec<Action>) -> Option<()> {
    for action in actions {
        match action {
            Action::Repeat { times, actions } if is_random(actions) => {
                for _ in 0..*times {
                    draw_out(actions, draw, most, out)?;
                }
            }
            action => out.push(action.drawn(draw).into_owned()),
        }
        if out.len() > most {
            return None;
        }
    }
    Some(())
}

fn is_random(actions: &[Action]) -> bool {
    let mut random = false;
    for_each(actions, &mut |action| random |= action.time().is_some_and(Lapse::is_random));
    random
}

impl Action {
    /// Whether it, or one inside it, acts on a device of that name.
    pub fn names(&self, device: &str) -> bool {
        let named = |name: &str| name == device;
        self.devices().into_iter().chain(self.administered()).any(named)
            || self.inner().iter().any(|action| action.names(device))
    }

    /// The same with another time.
    ///
    /// One that has none stays as it is.
    #[must_use]
    pub fn with_time(&self, time: Lapse) -> Self {
        let mut action = self.clone();
        if let Some(old) = action.time_mut() {
            *old = time;
        }
        action
    }

    /// Has one vCPU do what another did.
    pub fn change_vcpu(&mut self, from: usize, to: usize) {
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
            | Self::Idle { vcpu, .. } => {
                if *vcpu == from {
                    *vcpu = to;
                }
            }
            Self::Repeat { actions, .. } => {
                actions.iter_mut().for_each(|action| action.change_vcpu(from, to));
            }
            Self::Meanwhile { action, .. } => action.change_vcpu(from, to),
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
            | Self::Second { .. }
            | Self::Importer { .. }
            | Self::KillVmm
            | Self::SignalError { .. }
            | Self::InjectError { .. }
            | Self::Unseen { .. }
            | Self::Suspect { .. }
            | Self::Attach { .. }
            | Self::HammerStop { .. }
            | Self::Scribble { .. }
            | Self::Linger { .. }
            | Self::Join
            | Self::Reboot => {}
        }
    }
}
