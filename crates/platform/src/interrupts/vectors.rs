//! What has been set up for a function's vectors, and which steps bring it to what the guest wants.
//! It does nothing itself.

use barkeep_pci::msi::{Mechanism, Message};
use std::collections::BTreeMap;

/// What the guest's registers come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The mechanism that is on, with so many vectors.
    pub on: Option<(Mechanism, u16)>,
    /// The vectors that deliver at this moment: not masked, and with a message that is an interrupt.
    pub open: BTreeMap<u16, Message>,
}

/// One step. A vector's *line* is its eventfd and its GSI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `VFIO_DEVICE_SET_IRQS`: no vector signals any more.
    Disable(Mechanism),
    /// `KVM_IRQFD` with `DEASSIGN`: from now on the eventfd's counter is the pending bit.
    Detach(u16),
    /// The routes of all lines are taken out of the table, and the lines given up.
    GiveUp,
    /// The lines' routes are put into the table, or replaced in it, all at once.
    Route(Vec<(u16, Message)>),
    /// `KVM_IRQFD`: what has been counted is delivered, once, and what comes from then on.
    Attach(u16),
    /// `VFIO_DEVICE_SET_IRQS`: the device is told to signal, by so many vectors. Those of MSI all have
    /// their eventfds then, for their number is part of it; MSI-X begins with none.
    Enable(Mechanism, u16),
    /// `VFIO_DEVICE_SET_IRQS`: one more vector of MSI-X has its eventfd.
    Signal(u16),
}

/// What there is of a vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Line {
    route: Option<Message>,
    attached: bool,
    signalled: bool,
}

/// What has been set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vectors {
    on: Option<(Mechanism, u16)>,
    lines: BTreeMap<u16, Line>,
}

impl Vectors {
    /// Whether and how the device signals.
    pub fn on(&self) -> Option<(Mechanism, u16)> {
        self.on
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether what a vector has signalled waits in its eventfd: nobody takes it from there.
    pub fn holds(&self, vector: u16) -> bool {
        self.lines.get(&vector).is_some_and(|line| line.signalled && !line.attached)
    }

    /// The steps from here to there, in order. Each may fail; what is done so far is then what
    /// [`Self::done`] was told, and the next plan goes on from it.
    pub fn plan(&self, wanted: &Wanted) -> Vec<Step> {
        // Lines of a mechanism that is not on are what was made for one that could not be turned on.
        let stays = self.on == wanted.on && (self.on.is_some() || self.lines.is_empty());
        let mut steps = if stays { Vec::new() } else { self.end() };
        let Some((mechanism, count)) = wanted.on else {
            return steps;
        };
        let nothing = BTreeMap::new();
        let lines = if stays { &self.lines } else { &nothing };
        // Masked ones first: what they signal from now on is pending, and not delivered by a route
        // that the guest is about to change.
        let masked = lines.iter().filter(|(vector, line)| line.attached && !wanted.open.contains_key(vector));
        steps.extend(masked.map(|(vector, _)| Step::Detach(*vector)));
        // The route before the irqfd, and that before the device may signal: a message that comes first
        // would be dropped by KVM without a route.
        let line = |vector: &u16| lines.get(vector).cloned().unwrap_or_default();
        let differ = wanted.open.iter().filter(|(vector, message)| line(vector).route != Some(**message));
        let routes: Vec<_> = differ.map(|(vector, message)| (*vector, *message)).collect();
        if !routes.is_empty() {
            steps.push(Step::Route(routes));
        }
        let apart = wanted.open.keys().filter(|vector| !line(vector).attached);
        steps.extend(apart.map(|vector| Step::Attach(*vector)));
        if !stays {
            steps.push(Step::Enable(mechanism, count));
        }
        // A vector of MSI-X that the guest has never opened stays masked in the device itself: the host
        // has no interrupt to spare for each of 2048.
        if mechanism == Mechanism::MsiX {
            let silent = wanted.open.keys().filter(|vector| !line(vector).signalled);
            steps.extend(silent.map(|vector| Step::Signal(*vector)));
        }
        steps
    }

    /// The device is silenced first: what it signals until then still arrives. The irqfd goes before its
    /// route, for KVM would drop what came between the two.
    fn end(&self) -> Vec<Step> {
        let disable = self.on.map(|(mechanism, _)| Step::Disable(mechanism));
        let attached = self.lines.iter().filter(|(_, line)| line.attached);
        let detach = attached.map(|(vector, _)| Step::Detach(*vector));
        let mut steps: Vec<_> = disable.into_iter().chain(detach).collect();
        if !self.lines.is_empty() {
            steps.push(Step::GiveUp);
        }
        steps
    }

    /// Takes note of a step that has been carried out.
    pub fn done(&mut self, step: &Step) {
        match step {
            Step::Disable(_) => {
                self.on = None;
                self.lines.values_mut().for_each(|line| line.signalled = false);
            }
            Step::Detach(vector) => self.line(*vector).attached = false,
            Step::GiveUp => self.lines.clear(),
            Step::Route(routes) => {
                for (vector, message) in routes {
                    self.line(*vector).route = Some(*message);
                }
            }
            Step::Attach(vector) => self.line(*vector).attached = true,
            Step::Enable(mechanism, count) => {
                self.on = Some((*mechanism, *count));
                if *mechanism == Mechanism::Msi {
                    (0..*count).for_each(|vector| self.line(vector).signalled = true);
                }
            }
            Step::Signal(vector) => self.line(*vector).signalled = true,
        }
    }

    fn line(&mut self, vector: u16) -> &mut Line {
        self.lines.entry(vector).or_default()
    }
}

#[cfg(test)]
mod tests;
