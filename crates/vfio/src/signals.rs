//! What the kernel tells the user of a device by eventfds.

use crate::device::DeviceError;
use barkeep_journal::DeviceAddress;
use vfio_bindings::bindings::vfio::{VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX};
use vfio_ioctls::VfioDevice;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// A device's eventfds; each is readable once it was signalled.
pub struct Signals {
    /// The kernel asks for the device back (`vfio_pci_core_request`): it is being removed or
    /// unbound, and that waits for the last reference to the device file. Signalled again every
    /// ten seconds.
    pub request: EventFd,
    /// An uncorrectable PCIe error (`vfio_pci_core_aer_err_detected`).
    pub error: EventFd,
    /// Something has resumed a device that was in low power
    /// (`VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP`).
    pub wake: EventFd,
}

impl Signals {
    /// Makes them and has the kernel signal the first two.
    ///
    /// # Errors
    /// No descriptor is to be had, or the kernel takes none.
    pub(crate) fn of(device: &VfioDevice, address: DeviceAddress) -> Result<Self, DeviceError> {
        let event = || {
            EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map_err(|source| DeviceError::Signals(address, source))
        };
        let signals = Self { request: event()?, error: event()?, wake: event()? };
        for (index, event) in
            [(VFIO_PCI_REQ_IRQ_INDEX, &signals.request), (VFIO_PCI_ERR_IRQ_INDEX, &signals.error)]
        {
            // Older kernels have the error interrupt for PCIe devices only.
            if device.get_irq_info(index).is_some_and(|irq| irq.count > 0) {
                device.enable_irq(index, vec![event]).map_err(|error| DeviceError::Signal(address, error))?;
            }
        }
        Ok(signals)
    }

    /// The same eventfds once more, for whoever waits for them.
    ///
    /// # Errors
    /// EMFILE.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        let Self { request, error, wake } = self;
        Ok(Self { request: request.try_clone()?, error: error.try_clone()?, wake: wake.try_clone()? })
    }
}
