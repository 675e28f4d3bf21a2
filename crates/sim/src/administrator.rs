//! The administrator of the simulated machine.

use crate::host::SimHost;
use crate::parts;
use barkeep_export::{Administrator, Errno};
use barkeep_journal::DeviceAddress;
use barkeep_model::kernel::Call;
use std::sync::Arc;

/// Acts on the devices of a simulated kernel.
pub struct SimAdministrator(pub Arc<SimHost>);

impl SimAdministrator {
    fn call(&self, call: &Call) -> Result<(), Errno> {
        self.0.call(call).map(drop)
    }
}

impl Administrator for SimAdministrator {
    fn reset(&self, device: DeviceAddress) -> Result<(), Errno> {
        self.call(&Call::SysfsReset { device: parts::number(device) })
    }

    fn reset_methods(&self, device: DeviceAddress, present: bool) -> Result<(), Errno> {
        self.call(&Call::ResetMethods { device: parts::number(device), present })
    }

    /// Not waited for: the specification's removal is over with the last reference to the file,
    /// and there is one thread that could give it up.
    fn remove(&self, device: DeviceAddress) -> Result<(), Errno> {
        let device = parts::number(device);
        self.call(&Call::Remove { device })?;
        let mut state = self.0.lock();
        // `vfio_unregister_group_dev` asks whoever has it open.
        state.requests[device] = state.kernel.is_leaving(device);
        Ok(())
    }

    /// A simulated virtual function has no physical one.
    fn virtual_functions(&self, _: DeviceAddress, _: u16) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    fn is_there(&self, device: DeviceAddress) -> bool {
        self.0.is_there(parts::number(device))
    }
}
