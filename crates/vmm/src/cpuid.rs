//! What a vCPU is told of itself.

use kvm_bindings::CpuId;

/// Leaf of processor information and features (Intel SDM, vol. 2A, CPUID).
const FEATURES: u32 = 1;
/// Leaves of extended topology.
const TOPOLOGY: [u32; 2] = [0xb, 0x1f];

/// Puts a vCPU's own number into what KVM supports.
pub(crate) fn set_index(cpuid: &mut CpuId, index: u16) {
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            // Initial APIC ID, bits 31–24.
            FEATURES => entry.ebx = entry.ebx & 0x00ff_ffff | u32::from(index) << 24,
            // x2APIC ID.
            leaf if TOPOLOGY.contains(&leaf) => entry.edx = index.into(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvm_bindings::kvm_cpuid_entry2;

    #[test]
    fn a_vcpu_has_its_own_number_and_no_other_bit_changes() {
        let entry = |function| kvm_cpuid_entry2 {
            function,
            eax: !0,
            ebx: !0,
            ecx: !0,
            edx: !0,
            ..Default::default()
        };
        let mut cpuid = CpuId::from_entries(&[FEATURES, 2, 0xb, 0x1f].map(entry)).unwrap();
        set_index(&mut cpuid, 5);
        let expected = [
            kvm_cpuid_entry2 { ebx: 0x05ff_ffff, ..entry(FEATURES) },
            entry(2),
            kvm_cpuid_entry2 { edx: 5, ..entry(0xb) },
            kvm_cpuid_entry2 { edx: 5, ..entry(0x1f) },
        ];
        assert_eq!(cpuid.as_slice(), expected);
    }
}
