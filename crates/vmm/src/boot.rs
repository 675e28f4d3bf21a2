//! How the first vCPU begins.

use barkeep_boot::Entry;
use kvm_bindings::{Msrs, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::{Error, VcpuFd};

/// `IA32_MTRR_DEF_TYPE`.
const MTRR_DEFAULT_TYPE: u32 = 0x2ff;
/// Its enable bit, and "write-back": without it all memory is uncached to who goes by it.
const MTRR_WRITE_BACK: u64 = 1 << 11 | 6;

/// Registers as both PVH and Linux's 32-bit boot protocol want them: protected mode, flat segments, no
/// paging, interrupts off, and the address of what the guest is told in EBX or ESI.
///
/// # Errors
/// KVM's.
pub fn set_registers(vcpu: &VcpuFd, entry: Entry) -> Result<(), Error> {
    let mut sregs: kvm_sregs = vcpu.get_sregs()?;
    let flat = |selector, type_| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        ..Default::default()
    };
    const CODE_EXECUTE_READ: u8 = 0xb;
    const DATA_READ_WRITE: u8 = 0x3;
    const TSS_BUSY: u8 = 0xb;
    let (code, data) = selectors(entry);
    sregs.cs = flat(code, CODE_EXECUTE_READ);
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs, &mut sregs.ss] {
        *segment = flat(data, DATA_READ_WRITE);
    }
    sregs.tr = kvm_segment { s: 0, g: 0, db: 0, limit: 0x67, ..flat(data + 8, TSS_BUSY) };
    const CR0_PE: u64 = 1;
    const CR0_ET: u64 = 1 << 4;
    sregs.cr0 = CR0_PE | CR0_ET;
    sregs.cr4 = 0;
    sregs.efer = 0;
    vcpu.set_sregs(&sregs)?;
    vcpu.set_regs(&general(entry))
}

/// Of code and data.
fn selectors(entry: Entry) -> (u16, u16) {
    match entry {
        Entry::Pvh { .. } => (0x8, 0x10),
        // `__BOOT_CS` and `__BOOT_DS`.
        Entry::Linux { .. } => (0x10, 0x18),
    }
}

fn general(entry: Entry) -> kvm_regs {
    const ALWAYS_SET: u64 = 1 << 1;
    let begin = |rip: u32| kvm_regs { rip: rip.into(), rflags: ALWAYS_SET, ..Default::default() };
    match entry {
        Entry::Pvh { entry, start_info } => kvm_regs { rbx: start_info.into(), ..begin(entry) },
        Entry::Linux { entry, zero_page } => kvm_regs { rsi: zero_page.into(), ..begin(entry) },
    }
}

/// What firmware sets of the model-specific registers, on every vCPU.
///
/// # Errors
/// KVM's.
pub fn set_memory_type(vcpu: &VcpuFd) -> Result<(), Error> {
    const EINVAL: i32 = 22;
    let entry = kvm_msr_entry { index: MTRR_DEFAULT_TYPE, data: MTRR_WRITE_BACK, ..Default::default() };
    let msrs = Msrs::from_entries(&[entry]).map_err(|_| Error::new(EINVAL))?;
    vcpu.set_msrs(&msrs).map(drop)
}
