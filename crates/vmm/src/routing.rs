//! The one table of KVM's interrupt routes, and the irqfds that go by it.
//!
//! `KVM_SET_GSI_ROUTING` replaces the whole table. So the pins of the interrupt controllers, which KVM
//! puts there itself with `KVM_CREATE_IRQCHIP`, have to be in each one that is given to it: without
//! them the serial port's and the timer's interrupts would be gone.

use barkeep_export::Errno;
use barkeep_platform::interrupts::{Message, Routes};
use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1,
    kvm_irq_routing_irqchip, kvm_irq_routing_msi, kvm_irq_routing_msi__bindgen_ty_1,
};
use kvm_ioctls::VmFd;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vmm_sys_util::eventfd::EventFd;

/// GSI 0 to 23 are the pins of the I/O interrupt controller (`KVM_IOAPIC_NUM_PINS`), 0 to 15 those of
/// the two of the PC/AT as well.
const PINS: u32 = 24;
/// Pins of the two together.
const LEGACY_PINS: u32 = 16;
/// Pins of one of them.
const LEGACY_CHIP_PINS: u32 = 8;
/// The first GSI there cannot be: a table has 4096 routes at the most (`KVM_MAX_IRQ_ROUTES`), and the
/// lowest 16 GSIs have two each.
const MOST: u32 = 4096 - LEGACY_PINS;

/// The routes of a VM with KVM's interrupt controllers.
pub struct Routing {
    vm: Arc<VmFd>,
    /// Each GSI that is reserved, and its message once it has one.
    table: Mutex<BTreeMap<u32, Option<Message>>>,
    /// The guest is told of pins.
    pins: bool,
}

impl Routing {
    /// The routes as they are after `KVM_CREATE_IRQCHIP`: the pins alone.
    pub fn new(vm: Arc<VmFd>) -> Self {
        Self { vm, table: Mutex::default(), pins: false }
    }

    /// The same for a guest that is told which pin each PCI slot's INTx goes to.
    #[must_use]
    pub fn with_pins(self, pins: bool) -> Self {
        Self { pins, ..self }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<u32, Option<Message>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, table: &BTreeMap<u32, Option<Message>>) -> Result<(), Errno> {
        let routing = KvmIrqRouting::from_entries(&entries(table)).map_err(|_| Errno::NOMEM)?;
        self.vm.set_gsi_routing(&routing).map_err(errno)
    }
}

impl Routes for Routing {
    fn reserve(&self) -> Result<u32, Errno> {
        let mut table = self.table();
        let free = (PINS..MOST).find(|gsi| !table.contains_key(gsi)).ok_or(Errno::NOSPC)?;
        table.insert(free, None);
        Ok(free)
    }

    /// KVM follows a changed route without a gap: irqfds take the new one while the table is swapped
    /// (`kvm_irq_routing_update`).
    fn route(&self, changes: &[(u32, Option<Message>)]) -> Result<(), Errno> {
        let mut table = self.table();
        let mut changed = table.clone();
        for (gsi, message) in changes {
            match message {
                Some(_) => changed.insert(*gsi, *message),
                None => changed.remove(gsi),
            };
        }
        // A GSI that was only reserved is in no table of KVM's.
        if routed(&changed).ne(routed(&table)) {
            self.give(&changed)?;
        }
        *table = changed;
        Ok(())
    }

    fn attach(&self, gsi: u32, event: &EventFd) -> Result<(), Errno> {
        self.vm.register_irqfd(event, gsi).map_err(errno)
    }

    fn has_pins(&self) -> bool {
        self.pins
    }

    fn attach_level(&self, gsi: u32, raise: &EventFd, ended: &EventFd) -> Result<(), Errno> {
        self.vm.register_irqfd_with_resample(raise, ended, gsi).map_err(errno)
    }

    /// Waits until what was signalled before has been delivered (`kvm_irqfd_deassign`).
    fn detach(&self, gsi: u32, event: &EventFd) -> Result<(), Errno> {
        self.vm.unregister_irqfd(event, gsi).map_err(errno)
    }
}

fn errno(error: kvm_ioctls::Error) -> Errno {
    Errno::from_raw_os_error(error.errno())
}

fn routed(table: &BTreeMap<u32, Option<Message>>) -> impl Iterator<Item = (u32, Message)> {
    table.iter().filter_map(|(gsi, message)| Some((*gsi, (*message)?)))
}

/// The whole table: the pins as KVM's own begins (`default_routing`), then the messages.
fn entries(table: &BTreeMap<u32, Option<Message>>) -> Vec<kvm_irq_routing_entry> {
    let io = (0..PINS).map(|gsi| pin(gsi, KVM_IRQCHIP_IOAPIC, gsi));
    let legacy = (0..LEGACY_PINS).map(|gsi| {
        let chip = if gsi < LEGACY_CHIP_PINS { KVM_IRQCHIP_PIC_MASTER } else { KVM_IRQCHIP_PIC_SLAVE };
        pin(gsi, chip, gsi % LEGACY_CHIP_PINS)
    });
    io.chain(legacy).chain(routed(table).map(|(gsi, to)| message(gsi, to))).collect()
}

fn pin(gsi: u32, irqchip: u32, pin: u32) -> kvm_irq_routing_entry {
    let irqchip = kvm_irq_routing_irqchip { irqchip, pin };
    let u = kvm_irq_routing_entry__bindgen_ty_1 { irqchip };
    kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_IRQCHIP, u, ..Default::default() }
}

fn message(gsi: u32, Message { address, data }: Message) -> kvm_irq_routing_entry {
    let msi = kvm_irq_routing_msi {
        address_lo: address as u32,
        address_hi: (address >> 32) as u32,
        data,
        __bindgen_anon_1: kvm_irq_routing_msi__bindgen_ty_1::default(),
    };
    let u = kvm_irq_routing_entry__bindgen_ty_1 { msi };
    kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_MSI, u, ..Default::default() }
}

#[cfg(test)]
mod tests;
