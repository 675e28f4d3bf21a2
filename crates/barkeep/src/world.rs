//! The world of a scenario: a VM on VFIO whose guest is the probe.

use barkeep_export::{Cause, Driver, Errno, Function, Phase, WindowId};
use barkeep_journal::{Actor, Journal};
use barkeep_pci::header;
use barkeep_pci::layout::Layout;
use barkeep_probe::{Command, Reply};
use barkeep_scenario::language::Unseen;
use barkeep_scenario::world::WorldError;
use barkeep_scenario::{DeviceRef, IommuFault, World};
use barkeep_vfio::{FaultLog, Passthrough, Space};
use barkeep_vmm::map::{CONTROL_WORDS, MMIO64, OUTAGE_WORDS, SCRATCH};
use barkeep_vmm::pci_root::PciRoot;
use barkeep_vmm::{ProbeError, ProbeLink, Ram};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vm_memory::{Bytes, GuestAddress};

/// How long the probe may take for a command. Far more than any takes, and still an end: a
/// reset may last 60 s.
const PATIENCE: Duration = Duration::from_secs(200);

/// The world.
pub struct VfioWorld {
    /// The journal.
    pub journal: Journal,
    /// Guest memory.
    pub ram: Arc<Ram>,
    /// The I/O address space.
    pub space: Arc<Space>,
    /// The devices.
    pub functions: Vec<Arc<Passthrough>>,
    /// Their names.
    pub names: Vec<String>,
    /// Their driver.
    pub driver: Arc<Driver>,
    /// The probe.
    pub link: Arc<ProbeLink>,
    /// For each device the number of its first window, over all devices.
    pub first_window: Vec<u64>,
    /// The IOMMU's faults, where they can be read.
    pub faults: Option<Mutex<FaultLog>>,
    /// One attach at a time: they share an IOVA.
    pub attaching: Mutex<()>,
}

impl VfioWorld {
    fn window(&self, device: u16, bar: u8, offset: u64) -> Option<WindowId> {
        let windows = self.functions.get(usize::from(device))?.windows();
        let found =
            windows.iter().position(|w| w.bar == bar && (w.offset..w.offset + w.size).contains(&offset));
        Some(WindowId { device, window: found? as u16 })
    }
}

impl World for VfioWorld {
    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn device(&self, name: &str) -> Option<DeviceRef> {
        let index = self.names.iter().position(|known| known == name)?;
        Some(DeviceRef { index: index as u16, address: self.functions[index].address() })
    }

    fn device_names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn layout(&self, device: u16) -> &Layout {
        self.functions[usize::from(device)].layout()
    }

    fn bar_address(&self, device: u16, bar: u8, offset: u64) -> Option<u64> {
        let function = self.functions.get(usize::from(device))?;
        let size = function.layout().bars.get(usize::from(bar))?.as_ref()?.size;
        Some(function.bar_address(bar)? + (offset < size).then_some(offset)?)
    }

    fn register_address(&self, device: u16, register: u16) -> u64 {
        PciRoot::ecam_address(device, register)
    }

    fn outage_word(&self, device: u16, bar: u8, offset: u64) -> Option<u64> {
        let id = self.window(device, bar, offset)?;
        Some(OUTAGE_WORDS + 8 * (self.first_window[usize::from(id.device)] + u64::from(id.window)))
    }

    fn is_out(&self, device: u16, bar: u8, offset: u64) -> bool {
        let phase = self.window(device, bar, offset).map(|id| self.driver.outage(id).phase());
        phase == Some(Phase::Out)
    }

    fn stop_word(&self, vcpu: usize) -> u64 {
        CONTROL_WORDS + 8 * vcpu as u64
    }

    fn set_stop_word(&self, vcpu: usize, value: u64) {
        let stored = self.ram.memory().store(value, GuestAddress(self.stop_word(vcpu)), Ordering::Release);
        debug_assert!(stored.is_ok());
    }

    fn dma_buffer(&self) -> u64 {
        SCRATCH.start
    }

    fn send(&self, vcpu: usize, command: Command) -> Result<(), WorldError> {
        self.link.send(vcpu, command).map_err(|error| probe_error(&error))
    }

    fn receive(&self, vcpu: usize) -> Result<Reply, WorldError> {
        self.link.receive(vcpu, PATIENCE).map_err(|error| probe_error(&error))
    }

    fn device_reset(&self, device: u16) -> Result<(), Errno> {
        self.driver.handle(device, Cause::DEVICE_RESET, (Actor::Vmm, 0))
    }

    fn close(&self, device: u16) {
        // Closing has no result; what went wrong around it is in the journal.
        let _ = self.driver.handle(device, Cause::CLOSE, (Actor::Vmm, 0));
    }

    fn unseen(&self, device: u16, what: Unseen) -> Result<(), Errno> {
        let device = self.functions[usize::from(device)].device();
        let mut command = [0; 2];
        device.config_read(header::COMMAND, &mut command)?;
        let command = u16::from_le_bytes(command);
        match what {
            Unseen::DecodeOff => {
                device.config_write(header::COMMAND, &(command & !header::COMMAND_MEMORY).to_le_bytes())
            }
            Unseen::DecodeOn => {
                device.config_write(header::COMMAND, &(command | header::COMMAND_MEMORY).to_le_bytes())
            }
            Unseen::DeviceReset => device.reset(),
        }
    }

    fn suspect(&self, device: u16) {
        // What it comes to is in the journal.
        let _ = self.driver.handle(device, Cause::SUSPECT, (Actor::Vmm, 0));
    }

    fn attach(&self, device: u16, bar: u8, offset: u64) -> Result<(), Errno> {
        let window = self.window(device, bar, offset).ok_or(Errno::NOENT)?;
        let _one_at_a_time = self.attaching.lock().unwrap_or_else(PoisonError::into_inner);
        // Above everything a guest can reach, and still inside 39 bits.
        self.space.attach_probe(window, MMIO64.end)
    }

    fn faults(&self) -> Option<Vec<IommuFault>> {
        let mut log = self.faults.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = |fault: barkeep_vfio::Fault| {
            let barkeep_vfio::Fault { time_ns, requester, iova, text } = fault;
            IommuFault { time_ns, requester, iova, text }
        };
        Some(log.take().into_iter().map(fault).collect())
    }

    fn cpu_time(&self) -> Duration {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
    }

    fn pause(&self, time: Duration) {
        if !time.is_zero() {
            std::thread::sleep(time);
        }
    }
}

fn probe_error(error: &ProbeError) -> WorldError {
    let text = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match error {
        ProbeError::Hangs { .. } => WorldError::Hang(text),
        ProbeError::NotThere(_) | ProbeError::Refused { .. } | ProbeError::Busy(_) => {
            WorldError::Failed(text)
        }
    }
}
