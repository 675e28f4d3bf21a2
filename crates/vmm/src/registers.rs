//! A vCPU's registers as they were before its first instruction, to begin with again.

use kvm_bindings::{
    kvm_debugregs, kvm_fpu, kvm_lapic_state, kvm_mp_state, kvm_regs, kvm_sregs, kvm_vcpu_events,
};
use kvm_ioctls::{Error, VcpuFd};

/// All that a reset of a CPU resets and the guest can have changed. Model-specific registers beyond
/// EFER and the bases are not among them: nothing the probe does depends on one.
pub(crate) struct Registers {
    general: kvm_regs,
    special: kvm_sregs,
    fpu: kvm_fpu,
    debug: kvm_debugregs,
    apic: kvm_lapic_state,
    events: kvm_vcpu_events,
    /// Running, or waiting for the message that starts it.
    state: kvm_mp_state,
}

impl Registers {
    /// Reads them.
    ///
    /// # Errors
    /// KVM's.
    pub fn of(vcpu: &VcpuFd) -> Result<Self, Error> {
        Ok(Self {
            general: vcpu.get_regs()?,
            special: vcpu.get_sregs()?,
            fpu: vcpu.get_fpu()?,
            debug: vcpu.get_debug_regs()?,
            apic: vcpu.get_lapic()?,
            events: vcpu.get_vcpu_events()?,
            state: vcpu.get_mp_state()?,
        })
    }

    /// Writes them back. The vCPU must not be in the middle of an access that KVM has not
    /// completed: that would write to them afterwards.
    ///
    /// # Errors
    /// KVM's.
    pub fn restore(&self, vcpu: &VcpuFd) -> Result<(), Error> {
        let Self { general, special, fpu, debug, apic, events, state } = self;
        // The APIC's base, among the special ones, first: it says whether there is an APIC.
        vcpu.set_sregs(special)?;
        vcpu.set_lapic(apic)?;
        vcpu.set_regs(general)?;
        vcpu.set_fpu(fpu)?;
        vcpu.set_debug_regs(debug)?;
        vcpu.set_vcpu_events(events)?;
        // Last: none of the others may wake one that waits to be started.
        vcpu.set_mp_state(*state)
    }
}
