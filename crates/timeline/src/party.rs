//! Whose doing an event is: its lane in a timeline.

use crate::vocabulary::named;
use barkeep_journal::{Actor, Event, Kind};

named! {
    /// Who does something. The order is that of a revoke's way: the guest writes, the VMM withdraws, the
    /// kernel revokes what the exporter has given out, the importer has to come again.
    Party {
        /// The guest: its vCPUs and what they see.
        Guest = "guest";
        /// The VMM: its keeper, its memory slots, the scenario that drives it.
        Vmm = "VMM";
        /// The kernel, by its log and its own trace.
        Kernel = "kernel";
        /// The device whose BARs are exported, and what is done to it.
        Exporter = "exporter";
        /// Who maps what was exported: I/O address spaces, and the engines behind them.
        Importer = "importer";
    }
}

impl Party {
    /// The letter of its column.
    pub const fn letter(self) -> char {
        match self {
            Self::Guest => 'G',
            Self::Vmm => 'V',
            Self::Kernel => 'K',
            Self::Exporter => 'E',
            Self::Importer => 'I',
        }
    }

    /// Whose doing an event tells of.
    pub fn of(event: &Event) -> Self {
        match (event.kind, event.actor) {
            // What an engine did is told by the IOMMU's log; it is the importer's all the same.
            (Kind::Faulted, _) => Self::Importer,
            (_, Actor::Kernel) => Self::Kernel,
            (_, Actor::ImporterDriver) => Self::Importer,
            (Kind::Process | Kind::ProcessStep, Actor::Exporter) => Self::Exporter,
            (Kind::Process | Kind::ProcessStep, Actor::Importer) => Self::Importer,
            (Kind::Landed | Kind::NotLanded, _) if matches!(event.text.as_str(), "dma" | "importer") => {
                Self::Importer
            }
            (kind, _) => Self::of_kind(kind),
        }
    }

    fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Landed
            | Kind::NotLanded
            | Kind::VcpuFault
            | Kind::VcpuInternalError
            | Kind::AccessCount => Self::Guest,
            Kind::RunStart
            | Kind::RunEnd
            | Kind::SlotAdd
            | Kind::SlotRemove
            | Kind::FindOut
            | Kind::Expect
            | Kind::Outage
            | Kind::Answered
            | Kind::Action
            | Kind::Expectation
            | Kind::Mark
            | Kind::Degraded
            | Kind::Leftover
            | Kind::Control
            | Kind::Continuation
            | Kind::Lost
            | Kind::Process
            | Kind::ProcessStep => Self::Vmm,
            Kind::KernelLog | Kind::KernelStep | Kind::KernelTrace => Self::Kernel,
            Kind::DeviceOpen
            | Kind::DeviceClose
            | Kind::BarExport
            | Kind::DmabufClose
            | Kind::Trigger
            | Kind::Administer
            | Kind::Hold
            | Kind::Request
            | Kind::DeviceError
            | Kind::Interrupts => Self::Exporter,
            Kind::RamMap
            | Kind::P2pMap
            | Kind::P2pUnmap
            | Kind::Revoked
            | Kind::Live
            | Kind::Faulted
            | Kind::AttachProbe
            | Kind::DmaStart
            | Kind::ImporterStep
            | Kind::ImporterEvent => Self::Importer,
        }
    }
}
