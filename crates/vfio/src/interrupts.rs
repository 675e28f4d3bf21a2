//! INTx, MSI and MSI-X by `VFIO_DEVICE_SET_IRQS`.
//!
//! `VfioDevice::enable_irq` always begins at vector 0, knows no vector without an eventfd, and gives no
//! errno; [`sys::set_irqs`] is what is missing there. The device's own enable bits are the kernel's:
//! it sets them inside of these calls, and a config write of them would be dropped (MSI-X) or taken
//! for the guest's number of vectors (MSI, `vfio_msi_config_write`).

use crate::sys::{self, IrqAction};
use barkeep_export::{Errno, VectorCount};
use barkeep_pci::msi::Mechanism;
use std::fs::File;
use std::os::fd::AsRawFd;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_NORESIZE, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
};
use vfio_ioctls::VfioDevice;
use vmm_sys_util::eventfd::EventFd;

/// How the kernel says "no eventfd".
const NOBODY: i32 = -1;

fn index(mechanism: Mechanism) -> u32 {
    match mechanism {
        Mechanism::Msi => VFIO_PCI_MSI_IRQ_INDEX,
        Mechanism::MsiX => VFIO_PCI_MSIX_IRQ_INDEX,
    }
}

/// How many vectors there are.
pub(crate) fn vectors(device: &VfioDevice, mechanism: Mechanism) -> VectorCount {
    match device.get_irq_info(index(mechanism)) {
        Some(info) => VectorCount {
            most: u16::try_from(info.count).unwrap_or(u16::MAX),
            grows: info.flags & VFIO_IRQ_INFO_NORESIZE == 0,
        },
        None => VectorCount { most: 0, grows: false },
    }
}

/// Gives vectors from `first` on their eventfds.
///
/// # Errors
/// ENOSPC where the host has fewer vectors than are asked for at once; EINVAL past the last vector,
/// and while the other mechanism is on (`vfio_pci_set_msi_trigger`); what the kernel's
/// `pci_alloc_irq_vectors` and `request_irq` give.
pub(crate) fn set(
    device: &File,
    mechanism: Mechanism,
    first: u16,
    events: &[Option<&EventFd>],
) -> Result<(), Errno> {
    let fds: Vec<i32> = events.iter().map(|event| event.map_or(NOBODY, AsRawFd::as_raw_fd)).collect();
    sys::set_irqs(device, IrqAction::Trigger, index(mechanism), first.into(), &fds)
}

/// Turns a mechanism off.
///
/// # Errors
/// EINVAL where it is not on.
pub(crate) fn disable(device: &File, mechanism: Mechanism) -> Result<(), Errno> {
    sys::set_irqs(device, IrqAction::Trigger, index(mechanism), 0, &[])
}

/// Turns INTx on, by what it signals and what unmasks it, or off.
///
/// # Errors
/// EINVAL while another index is on, or off when it is to be turned off (`vfio_pci_set_intx_trigger`); EBUSY
/// from `request_irq` where the line cannot be shared.
pub(crate) fn set_intx(device: &File, events: Option<(&EventFd, &EventFd)>) -> Result<(), Errno> {
    let Some((raise, unmask)) = events else {
        return sys::set_irqs(device, IrqAction::Trigger, VFIO_PCI_INTX_IRQ_INDEX, 0, &[]);
    };
    sys::set_irqs(device, IrqAction::Trigger, VFIO_PCI_INTX_IRQ_INDEX, 0, &[raise.as_raw_fd()])?;
    sys::set_irqs(device, IrqAction::Unmask, VFIO_PCI_INTX_IRQ_INDEX, 0, &[unmask.as_raw_fd()])
}
