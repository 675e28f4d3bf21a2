//! What there was, in numbers: a green run that did nothing must not look like one that did.

use crate::tally::Tally;
use crate::world::{World, revokes};
use barkeep_journal::{DeviceAddress, Event, Kind, Phase, Trigger};

/// The longest outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongestOutage {
    /// From the line that announces it to the one behind its last sign.
    pub ns: u64,
    /// Of which device.
    pub device: DeviceAddress,
    /// Of which BAR.
    pub bar: u8,
    /// The event that ends it.
    pub seq: u64,
}

// Counts stand at the number of their trigger.
const _: () = {
    let mut n = 0;
    while n < Trigger::ALL.len() {
        assert!(Trigger::ALL[n] as usize == n);
        n += 1;
    }
};

/// Numbers of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events there were.
    pub events: u64,
    /// The triggers let through, by [`Trigger`]; see [`Summary::triggers`].
    triggers: [u64; Trigger::ALL.len()],
    /// DMAs commanded.
    pub dma_started: u64,
    /// Times data of a DMA was seen to have arrived.
    pub dma_landed: u64,
    /// Times it was seen not to have.
    pub dma_not_landed: u64,
    /// IOMMU faults seen.
    pub dma_faulted: u64,
    /// DMAs commanded before a revoke of their target and looked at after it.
    pub dma_in_flight: u64,
    /// CPU accesses seen to reach a BAR.
    pub cpu_landed: u64,
    /// CPU accesses seen not to.
    pub cpu_not_landed: u64,
    /// Attaches tried only for their errno.
    pub attach_probes: u64,
    /// Outages that came to an end.
    pub outages: u64,
    /// The longest of them.
    pub longest_outage: Option<LongestOutage>,
    /// Guest accesses answered in them.
    pub answered: u64,
    /// Times a revoke was seen of a device that was expected live, with nothing under way:
    /// somebody else's.
    pub unexplained_revokes: u64,
    /// Expectations that held.
    pub expectations_held: u64,
    /// Lines of the kernel's log.
    pub kernel_lines: u64,
    /// Resources left, by name.
    pub leftovers: Tally,
    /// What was off, by its text.
    pub degraded: Tally,
    /// *Sometimes* marks that were hit.
    pub marks: Tally,
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
        Trigger::ALL.iter().copied().zip(self.triggers).filter(|(_, count)| *count > 0)
    }

    /// Events let through that revoke.
    pub fn revokes(&self) -> u64 {
        self.triggers().filter(|(trigger, _)| revokes(*trigger)).map(|(_, count)| count).sum()
    }

    /// Entries of memory it holds.
    pub(crate) fn footprint(&self) -> usize {
        [&self.leftovers, &self.degraded, &self.marks, &self.accesses].map(Tally::kept_apart).iter().sum()
    }

    pub(crate) fn absorb(&mut self, world: &World, event: &Event) {
        let value = event.value.unwrap_or(0);
        self.events += 1;
        match event.kind {
            Kind::Trigger if event.phase == Phase::Begin => self.trigger(world, event),
            Kind::DmaStart => self.dma_started += 1,
            Kind::Landed if event.text == "cpu" => self.cpu_landed += 1,
            Kind::Landed => self.dma_landed += 1,
            Kind::NotLanded if event.text == "cpu" => self.cpu_not_landed += 1,
            Kind::NotLanded => self.dma_not_landed += 1,
            Kind::Faulted => self.dma_faulted += 1,
            Kind::AttachProbe if event.phase != Phase::Begin => self.attach_probes += 1,
            Kind::Outage if event.phase == Phase::End => self.outage(world, event),
            Kind::Answered => self.answered = self.answered.saturating_add(value),
            Kind::Revoked => self.revoked(world, event),
            Kind::Expectation => self.expectations_held += u64::from(event.result == Some(0)),
            Kind::KernelLog => self.kernel_lines += 1,
            Kind::Leftover if value > 0 => self.leftovers.add(&event.text, value),
            Kind::Degraded => self.degraded.add(&event.text, 1),
            Kind::Mark => self.marks.add(&event.text, 1),
            Kind::AccessCount => self.accesses.add(&event.text, value),
            Kind::Lost => self.lost = self.lost.saturating_add(event.value.unwrap_or(1)),
            Kind::RunStart
            | Kind::RunEnd
            | Kind::DeviceOpen
            | Kind::DeviceClose
            | Kind::BarExport
            | Kind::DmabufClose
            | Kind::RamMap
            | Kind::P2pMap
            | Kind::P2pUnmap
            | Kind::SlotAdd
            | Kind::SlotRemove
            | Kind::Trigger
            | Kind::FindOut
            | Kind::Expect
            | Kind::Outage
            | Kind::Administer
            | Kind::Hold
            | Kind::Request
            | Kind::DeviceError
            | Kind::Live
            | Kind::AttachProbe
            | Kind::VcpuFault
            | Kind::VcpuInternalError
            | Kind::Action
            | Kind::Leftover
            | Kind::Continuation
            | Kind::Process
            | Kind::ProcessStep => {}
        }
    }

    fn trigger(&mut self, world: &World, event: &Event) {
        self.triggers[event.trigger as usize] += 1;
        if let Some(device) = world.device(event)
            && revokes(event.trigger)
        {
            self.dma_in_flight += world.dmas.open_to(device).count() as u64;
        }
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
