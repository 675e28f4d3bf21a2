//! Who looks at which event.

use crate::expectations::Expectations;
use crate::findings::Findings;
use crate::i3::Restores;
use crate::i5::Places;
use crate::i6::KernelLog;
use crate::sometimes::Sometimes;
use crate::summary::Summary;
use crate::verdict::{Ended, Finding, Verdict};
use crate::world::World;
use crate::{i1, i2, i3, i4, i5, i7};
use barkeep_journal::{Event, Kind, Phase, Sink};

/// Holds events against the invariants, one at a time, in the journal's order.
#[derive(Default)]
pub struct Checker {
    world: World,
    places: Places,
    restores: Restores,
    kernel_log: KernelLog,
    expectations: Expectations,
    sometimes: Sometimes,
    summary: Summary,
    findings: Findings,
}

impl Sink for Checker {
    fn event(&mut self, event: &Event) {
        Checker::event(self, event);
    }
}

impl Checker {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Checker::new`], with another bound than 30 s for the VMM's own part of every restore: from
    /// the end of what was let through to its word that all is back, nanoseconds of the run's clock.
    #[must_use]
    pub fn restoring_within(self, ns: u64) -> Self {
        Self { restores: Restores::within(ns), ..self }
    }

    /// The next event.
    pub fn event(&mut self, event: &Event) {
        self.places.event(event, &mut self.findings);
        self.judge(event);
        self.summary.absorb(&self.world, event, &mut self.sometimes);
        if let Some(beyond) = self.world.absorb(event) {
            i5::not_followed(event, beyond, &mut self.findings);
        }
    }

    /// What was found so far, in that order. What is left open shows only at the end.
    pub fn findings(&self) -> &[Finding] {
        self.findings.listed()
    }

    /// Entries of memory it holds: devices, windows, exports, steps under way and the like. It
    /// goes with what there is at the same time, not with the length of the journal.
    pub fn footprint(&self) -> usize {
        let Self { world, places: _, restores, kernel_log: _, expectations: _, sometimes, summary, findings } =
            self;
        let of_run = sometimes.footprint() + summary.footprint() + findings.footprint();
        world.footprint() + restores.footprint() + of_run
    }

    /// No event follows. What was left open shows now.
    pub fn finish(self, ended: Ended) -> Verdict {
        let Self {
            world,
            places: _,
            mut restores,
            kernel_log: _,
            expectations: _,
            sometimes: _,
            mut summary,
            mut findings,
        } = self;
        restores.end(&world, &mut findings);
        i4::end(&world, &mut findings);
        i5::end(&world, &mut findings);
        i7::end(&world, &ended, &mut findings);
        let (findings, unlisted, undecided) = findings.into_parts();
        summary.unlisted = unlisted;
        summary.undecided = undecided;
        Verdict { findings, counts: summary, ended }
    }

    /// Shows an event to every invariant it can break. A kind that is new has to be given a
    /// place here.
    fn judge(&mut self, event: &Event) {
        let (world, out) = (&self.world, &mut self.findings);
        let ends = event.phase == Phase::End;
        match event.kind {
            Kind::Landed => i1::landed(world, event, out),
            Kind::P2pMap if ends => {
                i1::went_in(world, event, out);
                i2::map_tried(world, event, out);
            }
            Kind::P2pMap => i1::map_begins(world, event, out),
            Kind::SlotAdd => i1::went_in(world, event, out),
            Kind::AttachProbe => i2::map_tried(world, event, out),
            Kind::P2pUnmap if ends => i2::unmapped(world, event, out),
            Kind::Trigger if ends => {
                i1::let_through(world, event, out);
                i2::let_through(world, event, out);
            }
            Kind::ImporterStep if ends => {
                i2::imported(world, event, out);
                i3::imported(world, event, out);
            }
            Kind::Trigger => self.restores.let_through(world, event, out),
            Kind::FindOut if ends => i2::found_out(world, event, out),
            Kind::BarExport => i2::exported(event, out),
            Kind::Expect => self.restores.settled(world, event, out),
            Kind::Degraded => {
                self.restores.degraded(event);
                i7::degraded(event, out);
            }
            Kind::Leftover => i4::leftover(event, out),
            Kind::Lost => i5::lost(event, out),
            Kind::KernelLog => self.kernel_log.line(event, out),
            Kind::VcpuFault => i7::vcpu_fault(event, out),
            Kind::VcpuInternalError => i7::vcpu_internal_error(event, out),
            Kind::Expectation => self.expectations.expectation(world, event, out),
            Kind::Action => self.expectations.action(world, event, out),
            // Taken in by the world or counted; nothing can be wrong with them alone.
            Kind::RunStart
            | Kind::RunEnd
            | Kind::DeviceOpen
            | Kind::DeviceClose
            | Kind::DmabufClose
            | Kind::RamMap
            | Kind::P2pUnmap
            | Kind::SlotRemove
            | Kind::FindOut
            | Kind::Outage
            | Kind::Administer
            | Kind::Hold
            | Kind::Request
            | Kind::DeviceError
            | Kind::Interrupts
            | Kind::Revoked
            | Kind::Live
            | Kind::NotLanded
            | Kind::Faulted
            | Kind::DmaStart
            | Kind::Answered
            | Kind::AccessCount
            | Kind::Mark
            | Kind::Control
            | Kind::Continuation
            | Kind::Process
            | Kind::ProcessStep
            | Kind::ImporterStep
            | Kind::ImporterEvent
            | Kind::KernelStep
            | Kind::KernelTrace => {}
        }
    }
}
