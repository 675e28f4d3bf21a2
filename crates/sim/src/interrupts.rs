//! A simulated device's vectors, as `vfio_pci_intrs.c` has them: which mechanism is on, and who is told
//! of which vector.

use barkeep_export::Errno;
use barkeep_pci::msi::Mechanism;
use std::collections::BTreeMap;
use vmm_sys_util::eventfd::EventFd;

/// Off at first.
#[derive(Default)]
pub(crate) struct Interrupts {
    on: Option<Mechanism>,
    events: BTreeMap<u16, EventFd>,
}

impl Interrupts {
    /// `vfio_pci_set_msi_trigger` with eventfds; a device has `most` vectors.
    pub fn set(
        &mut self,
        mechanism: Mechanism,
        most: u16,
        first: u16,
        events: &[Option<&EventFd>],
    ) -> Result<(), Errno> {
        let end = usize::from(first) + events.len();
        if self.on.is_some_and(|on| on != mechanism) || end > usize::from(most) {
            return Err(Errno::INVAL);
        }
        for (vector, event) in (first..).zip(events) {
            match event {
                Some(event) => {
                    let kept = event.try_clone().map_err(|_| Errno::MFILE)?;
                    self.events.insert(vector, kept);
                }
                None => drop(self.events.remove(&vector)),
            }
        }
        self.on = Some(mechanism);
        Ok(())
    }

    /// The same without eventfds (`vfio_msi_disable`).
    pub fn disable(&mut self, mechanism: Mechanism) -> Result<(), Errno> {
        if self.on != Some(mechanism) {
            return Err(Errno::INVAL);
        }
        *self = Self::default();
        Ok(())
    }

    /// `vfio_msihandler`; gives whether anybody is told.
    pub fn raise(&self, vector: u16) -> bool {
        self.events.get(&vector).is_some_and(|event| event.write(1).is_ok())
    }
}
