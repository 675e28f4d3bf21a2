//! A dma-buf that a CPU has mapped, and importers that count what they are told.

use crate::machine::*;
use barkeep_model::kernel::{Call, CpuTarget, ExportId, FileId, ImporterKind, OnInvalidate};
use barkeep_model::{Abilities, Errno, Kernel, Profile, Rule};
use barkeep_pci::write::ConfigWrite;

const ABLE: Abilities = Abilities { importer: true, mmap: true, ranges: true };
fn file() -> FileId {
    FileId::of(0)
}

fn export() -> ExportId {
    ExportId::of(0)
}

const SIGBUS: Result<CpuTarget, Errno> = Err(Errno::EFAULT);
const PAGE: u64 = 0x1000;

fn exported(able: Abilities, ranges: Vec<(u64, u64)>) -> Kernel {
    let kernel = Kernel::new(&hardware(), Profile::V7_3).expect("the machine can be");
    let mut kernel = kernel.with_abilities(able);
    call(&mut kernel, &Call::Open { device: 0, context: 0 });
    call(&mut kernel, &Call::Export { file: file(), region: 2, ranges, flags: 0 });
    kernel
}

fn call(kernel: &mut Kernel, call: &Call) -> u64 {
    kernel.call(call).expect("it comes back").expect("it succeeds")
}

fn decode(kernel: &mut Kernel, on: bool) {
    let write = ConfigWrite::word(4, if on { 2 } else { 0 });
    call(kernel, &Call::ConfigWrite { file: file(), write });
}

fn at(offset: u64) -> Result<CpuTarget, Errno> {
    Ok(CpuTarget::Bar { device: 0, bar: 2, offset })
}

#[test]
fn a_mapping_is_served_while_live_and_at_no_other_time() {
    let mut kernel = exported(ABLE, vec![(MIB, MIB)]);
    let vma = kernel.map_export(export(), PAGE, PAGE).expect("mapped");
    assert_eq!(kernel.buffer_access(vma, 8), at(MIB + PAGE + 8));
    decode(&mut kernel, false);
    assert_eq!(kernel.buffer_access(vma, 8), SIGBUS);
    let second = kernel.map_export(export(), 0, PAGE).expect("mapped while revoked");
    assert_eq!(kernel.buffer_access(second, 0), SIGBUS);
    decode(&mut kernel, true);
    assert_eq!((kernel.buffer_access(vma, 0), kernel.buffer_access(second, 0)), (at(MIB + PAGE), at(MIB)));
    // It keeps nothing open: the close is the last, and access does not come back with the next open.
    call(&mut kernel, &Call::CloseFile { file: file() });
    assert_eq!(kernel.buffer_access(vma, 0), SIGBUS);
    call(&mut kernel, &Call::Open { device: 0, context: 0 });
    assert_eq!(kernel.buffer_access(vma, 0), SIGBUS);
}

#[test]
fn ranges_lie_end_to_end() {
    let mut kernel = exported(ABLE, vec![(3 * MIB, PAGE), (MIB, 2 * PAGE)]);
    let vma = kernel.map_export(export(), 0, 3 * PAGE).expect("mapped");
    for (offset, behind) in [(0, 3 * MIB), (PAGE, MIB), (2 * PAGE + 4, MIB + PAGE + 4)] {
        assert_eq!(kernel.buffer_access(vma, offset), at(behind), "{offset:#x}");
    }
    assert_eq!(kernel.map_export(export(), 0, 4 * PAGE), Err(Errno::EINVAL));
    assert_eq!(kernel.map_export(export(), PAGE / 2, PAGE), Err(Errno::EINVAL));
}

#[test]
fn a_mapping_keeps_the_dma_buf() {
    let mut kernel = exported(ABLE, vec![(0, MIB)]);
    let vma = kernel.map_export(export(), 0, MIB).expect("mapped");
    call(&mut kernel, &Call::CloseBuffer { export: export() });
    assert_eq!(kernel.buffer_access(vma, 0), at(0));
    let mut task = kernel.unmap_export(vma);
    kernel.finish(&mut task);
    assert_eq!(kernel.export(export()), None);
}

#[test]
fn a_kernel_as_released_has_none_of_it() {
    let mut kernel = exported(Abilities::default(), vec![(0, MIB)]);
    assert_eq!(kernel.map_export(export(), 0, PAGE), Err(Errno::EINVAL));
    assert!(kernel.reached().contains(Rule::MmapOfBuffer));
}

fn importer(invalidate: OnInvalidate) -> ImporterKind {
    ImporterKind { peer2peer: true, invalidate: Some(invalidate), longest_segment: PAGE, translated: true }
}

#[test]
fn importers_are_told_at_the_revoke_and_again_when_access_returns() {
    let mut kernel = exported(ABLE, vec![(0, MIB)]);
    let id = kernel.attach_importer(export(), importer(OnInvalidate::Remap)).expect("attached");
    kernel.pin_attachment(id, true).expect("pinned");
    kernel.map_attachment(id).expect("mapped");
    let told = |kernel: &Kernel| kernel.attachment(id).expect("still there").tally();
    decode(&mut kernel, false);
    assert_eq!((told(&kernel).notices, told(&kernel).released), (1, 1));
    decode(&mut kernel, false);
    assert_eq!(told(&kernel).notices, 1, "revoked before");
    decode(&mut kernel, true);
    assert_eq!((told(&kernel).notices, told(&kernel).in_notice), (2, Some(Err(Errno::ENODEV))));
}

#[test]
fn who_holds_on_for_a_while_has_let_go_when_the_revoke_is_over() {
    let mut kernel = exported(ABLE, vec![(0, MIB)]);
    let id = kernel.attach_importer(export(), importer(OnInvalidate::HoldForNow)).expect("attached");
    kernel.map_attachment(id).expect("mapped");
    decode(&mut kernel, false);
    let attachment = kernel.attachment(id).expect("still there");
    assert_eq!((attachment.mapped, attachment.tally().released), (false, 1));
}

#[test]
fn several_ranges_collide_behind_an_iommu_but_with_our_patch() {
    for (ranges, expected) in [(false, Err(Errno::EADDRINUSE)), (true, Ok(1))] {
        let mut kernel = exported(Abilities { ranges, ..ABLE }, vec![(0, PAGE), (MIB, PAGE)]);
        let id = kernel.attach_importer(export(), importer(OnInvalidate::Unmap)).expect("attached");
        assert_eq!(kernel.map_attachment(id).map(|segments| segments.len()), expected);
    }
}
