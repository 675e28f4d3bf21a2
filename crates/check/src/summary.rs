//! What there was, in numbers: a green run that did nothing must not look like one that did.

use crate::errno::OK;
use crate::mark::{Mark, Marks};
use crate::outages::{EndedBy, Ways};
use crate::sometimes::{self, Sometimes};
use crate::tally::Tally;
use crate::triggers::Triggers;
use crate::world::{Away, Outage, World, revokes};
use barkeep_journal::{DeviceAddress, Event, Kind, Phase, Trigger};
use serde::{Deserialize, Serialize};

/// The longest outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongestOutage {
    /// From the line that announces it to the one behind its last sign.
    pub ns: u64,
    /// Of which device.
    #[serde(with = "crate::address::one")]
    pub device: DeviceAddress,
    /// Of which BAR.
    pub bar: u8,
    /// The event that ends it.
    pub seq: u64,
}

/// Numbers of a run, or of several ([`Summary::merge`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Summary {
    /// Events there were.
    pub events: u64,
    /// The triggers let through; see [`Summary::triggers`].
    triggers: Triggers,
    /// DMAs commanded.
    pub dma_started: u64,
    /// Times data of a DMA was seen to have arrived.
    pub dma_landed: u64,
    /// Times it was seen not to have.
    pub dma_not_landed: u64,
    /// IOMMU faults seen.
    pub dma_faulted: u64,
    /// DMAs in flight at a revoke: commanded while their mapping was live, before what took it
    /// away, and carried out after that, for they were seen to fault or not to have arrived. One
    /// that landed is none of them: whether it came before the revoke or after it was over does
    /// not show.
    pub dma_in_flight: u64,
    /// CPU accesses seen to reach a BAR.
    pub cpu_landed: u64,
    /// CPU accesses seen not to.
    pub cpu_not_landed: u64,
    /// Attaches tried only for their errno.
    pub attach_probes: u64,
    /// Outages of CPU access that came to an end.
    pub outages: u64,
    /// The longest of them.
    pub longest_outage: Option<LongestOutage>,
    /// How long each way was away.
    pub away: Ways,
    /// Guest accesses answered in them.
    pub answered: u64,
    /// Times a revoke was seen of a device that was expected live, with nothing under way:
    /// somebody else's.
    pub unexplained_revokes: u64,
    /// Expectations that held.
    pub expectations_held: u64,
    /// Lines of the kernel's log.
    pub kernel_lines: u64,
    /// The kernel was traced meanwhile, which takes time of its own.
    pub kernel_trace: bool,
    /// Resources left, by name.
    pub leftovers: Tally,
    /// What was off, by its text.
    pub degraded: Tally,
    /// *Sometimes* marks that were hit.
    pub marks: Marks,
    /// Marks the journal tells of that are none of [`crate::Mark`].
    pub other_marks: Tally,
    /// Accesses of guests, by sort.
    pub accesses: Tally,
    /// Records lost.
    pub lost: u64,
    /// Observations that may have been made before what they would break: not judged.
    pub undecided: u64,
    /// Findings beyond those that are listed.
    pub unlisted: u64,
}

impl Summary {
    /// What was let through, and how often, in the order of [`Trigger::ALL`].
    pub fn triggers(&self) -> impl Iterator<Item = (Trigger, u64)> {
        self.triggers.iter()
    }

    /// Takes the numbers of another run in. The order of several does not matter, but for
    /// [`Tally`]s of more than 64 texts within one run.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            events,
            triggers,
            dma_started,
            dma_landed,
            dma_not_landed,
            dma_faulted,
            dma_in_flight,
            cpu_landed,
            cpu_not_landed,
            attach_probes,
            outages,
            longest_outage,
            away,
            answered,
            unexplained_revokes,
            expectations_held,
            kernel_lines,
            kernel_trace,
            leftovers,
            degraded,
            marks,
            other_marks,
            accesses,
            lost,
            undecided,
            unlisted,
        } = other;
        for (mine, others) in [
            (&mut self.events, events),
            (&mut self.dma_started, dma_started),
            (&mut self.dma_landed, dma_landed),
            (&mut self.dma_not_landed, dma_not_landed),
            (&mut self.dma_faulted, dma_faulted),
            (&mut self.dma_in_flight, dma_in_flight),
            (&mut self.cpu_landed, cpu_landed),
            (&mut self.cpu_not_landed, cpu_not_landed),
            (&mut self.attach_probes, attach_probes),
            (&mut self.outages, outages),
            (&mut self.answered, answered),
            (&mut self.unexplained_revokes, unexplained_revokes),
            (&mut self.expectations_held, expectations_held),
            (&mut self.kernel_lines, kernel_lines),
            (&mut self.lost, lost),
            (&mut self.undecided, undecided),
            (&mut self.unlisted, unlisted),
        ] {
            *mine = mine.saturating_add(*others);
        }
        self.kernel_trace |= kernel_trace;
        self.triggers.merge(triggers);
        self.away.merge(away);
        self.marks.merge(marks);
        for (mine, others) in [
            (&mut self.leftovers, leftovers),
            (&mut self.degraded, degraded),
            (&mut self.other_marks, other_marks),
            (&mut self.accesses, accesses),
        ] {
            mine.merge(others);
        }
        self.longest_outage = self.longest_outage.max(*longest_outage);
    }

    /// Events let through that revoke.
    pub fn revokes(&self) -> u64 {
        let revoking = self.triggers().filter(|(trigger, _)| revokes(*trigger));
        revoking.fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Entries of memory it holds, but for what has one size whatever happens.
    pub(crate) fn footprint(&self) -> usize {
        let tallies = [&self.leftovers, &self.degraded, &self.other_marks, &self.accesses];
        tallies.map(Tally::kept_apart).iter().sum()
    }

    pub(crate) fn absorb(&mut self, world: &World, event: &Event, sometimes: &mut Sometimes) {
        let value = event.value.unwrap_or(0);
        self.events += 1;
        match event.kind {
            Kind::Trigger => {
                if event.phase == Phase::Begin {
                    self.triggers.add(event.trigger, 1);
                }
                sometimes::trigger(world, event, &mut self.marks);
            }
            Kind::Action => sometimes::action(world, event, &mut self.marks),
            Kind::Expect => sometimes::settled(world, event, &mut self.marks),
            Kind::DeviceClose => sometimes.closed(event),
            Kind::DmaStart => self.dma_started += 1,
            Kind::Landed => {
                let count = if event.text == "cpu" { &mut self.cpu_landed } else { &mut self.dma_landed };
                *count += 1;
                sometimes::both_ways(world, event, &mut self.marks);
            }
            Kind::NotLanded if event.text == "cpu" => self.cpu_not_landed += 1,
            Kind::NotLanded => {
                self.dma_not_landed += 1;
                self.dma_did_not_arrive(world, event);
            }
            Kind::Faulted => {
                self.dma_faulted += 1;
                self.dma_did_not_arrive(world, event);
            }
            Kind::AttachProbe if event.phase != Phase::Begin => {
                self.attach_probes += 1;
                sometimes::refused(world, event, &mut self.marks);
            }
            Kind::Outage => {
                if event.phase == Phase::End {
                    self.outage(world, event);
                }
                sometimes.outage(world, event, &mut self.marks);
            }
            Kind::P2pMap if event.phase == Phase::End => {
                if event.result == Some(OK) {
                    self.mapped_again(world, event);
                } else {
                    sometimes::refused(world, event, &mut self.marks);
                }
            }
            Kind::Answered => {
                self.answered = self.answered.saturating_add(value);
                if value > 0 {
                    self.marks.hit(Mark::CpuMetOutage);
                }
            }
            Kind::VcpuFault => self.marks.hit(Mark::EfaultMet),
            Kind::Process if event.phase == Phase::End && event.text == sometimes::KILLED => {
                self.marks.hit(Mark::ProcessKilled);
            }
            Kind::Revoked => self.revoked(world, event),
            Kind::Expectation => self.expectations_held += u64::from(event.result == Some(0)),
            Kind::KernelLog => self.kernel_lines += 1,
            Kind::KernelTrace => self.kernel_trace = true,
            Kind::Leftover if value > 0 => self.leftovers.add(&event.text, value),
            Kind::Degraded => self.degraded.add(&event.text, 1),
            Kind::Mark => match Mark::from_name(&event.text) {
                Some(mark) => self.marks.hit(mark),
                None => self.other_marks.add(&event.text, 1),
            },
            Kind::AccessCount => self.accesses.add(&event.text, value),
            Kind::Lost => self.lost = self.lost.saturating_add(event.value.unwrap_or(1)),
            Kind::RunStart
            | Kind::RunEnd
            | Kind::DeviceOpen
            | Kind::BarExport
            | Kind::DmabufClose
            | Kind::RamMap
            | Kind::P2pMap
            | Kind::P2pUnmap
            | Kind::SlotAdd
            | Kind::SlotRemove
            | Kind::FindOut
            | Kind::Administer
            | Kind::Hold
            | Kind::Request
            | Kind::DeviceError
            | Kind::Interrupts
            | Kind::Live
            | Kind::AttachProbe
            | Kind::VcpuInternalError
            | Kind::Leftover
            | Kind::Control
            | Kind::Continuation
            | Kind::Process
            | Kind::ProcessStep
            | Kind::ImporterStep
            | Kind::ImporterEvent
            | Kind::KernelStep => {}
        }
    }

    fn dma_did_not_arrive(&mut self, world: &World, event: &Event) {
        for (trigger, rebooted) in world.dmas.met(event, world.device(event)) {
            self.dma_in_flight += 1;
            sometimes::dma_met(trigger, &mut self.marks);
            if rebooted {
                self.marks.hit(Mark::RebootUnderDma);
            }
        }
    }

    fn mapped_again(&mut self, world: &World, event: &Event) {
        let window = event.bar.zip(event.address).and_then(|(bar, at)| world.device(event)?.window(bar, at));
        let Some(away) = window.and_then(|window| window.p2p_away) else { return };
        let ended_by = match away {
            Away { left_away: true, .. } => EndedBy::Guest,
            Away { by_others: true, .. } => EndedBy::Notice,
            Away { .. } => EndedBy::Vmm,
        };
        sometimes::came_back(ended_by, &mut self.marks);
        self.away.p2p.add(ended_by, event.time_ns.saturating_sub(away.time_ns));
    }

    fn outage(&mut self, world: &World, event: &Event) {
        let (Some(device), Some(bar), Some(address)) = (event.device, event.bar, event.address) else {
            return;
        };
        // The first mapping ends an outage that never began.
        let window = world.device(event).and_then(|device| device.window(bar, address));
        let Some(outage) = window.and_then(|window| window.outage) else { return };
        self.outages += 1;
        let ns = event.time_ns.saturating_sub(outage.time_ns);
        let ended_by = match outage {
            Outage { left_away: true, .. } => EndedBy::Guest,
            Outage { noticed: true, .. } => EndedBy::Notice,
            Outage { .. } => EndedBy::Vmm,
        };
        self.away.cpu.add(ended_by, ns);
        if self.longest_outage.is_none_or(|longest| longest.ns < ns) {
            self.longest_outage = Some(LongestOutage { ns, device, bar, seq: event.seq });
        }
    }

    fn revoked(&mut self, world: &World, event: &Event) {
        let made = world.observed_from(event);
        let believed_live = world.device(event).is_some_and(|device| {
            device.expect == Some(true) && device.at_rest() && device.expected_at < made
        });
        self.unexplained_revokes += u64::from(believed_live);
    }
}
