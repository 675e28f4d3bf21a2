//! Importers inside the kernel: what user space cannot reach without a module.

use crate::machine::*;
use barkeep_model::kernel::{Call, ExportId, FileId, ImporterKind, OnInvalidate, Progress, Range};
use barkeep_model::{Errno, Kernel, Profile};
use barkeep_pci::write::ConfigWrite;

const GOOD: ImporterKind = ImporterKind {
    peer2peer: true,
    invalidate: Some(OnInvalidate::Unmap),
    longest_segment: 64 << 10,
    translated: false,
};

fn exported(profile: Profile) -> (Kernel, FileId, ExportId) {
    let mut kernel = Kernel::new(&hardware(), profile).expect("the machine can be");
    let mut call = |call: Call| kernel.call(&call).expect("it comes back").expect("it succeeds");
    call(Call::Open { device: 0, context: 0 });
    let file = FileId::of(0);
    call(Call::Export { file, region: 2, ranges: vec![(0, MIB), (2 * MIB, MIB)], flags: 0 });
    (kernel, file, ExportId::of(0))
}

fn write(kernel: &mut Kernel, file: FileId, write: ConfigWrite) -> Option<Result<u64, Errno>> {
    kernel.call(&Call::ConfigWrite { file, write })
}

#[test]
fn peer2peer_is_asked_first_then_revoked_then_invalidation() {
    let (mut kernel, file, export) = exported(Profile::V7_3);
    let no_peer = ImporterKind { peer2peer: false, ..GOOD };
    let deaf = ImporterKind { invalidate: None, ..GOOD };
    assert_eq!(kernel.attach_importer(export, no_peer), Err(Errno::EOPNOTSUPP));
    assert_eq!(kernel.attach_importer(export, deaf), Err(Errno::EOPNOTSUPP));
    write(&mut kernel, file, ConfigWrite::word(4, 0));
    assert_eq!(kernel.attach_importer(export, no_peer), Err(Errno::EOPNOTSUPP));
    assert_eq!(kernel.attach_importer(export, deaf), Err(Errno::ENODEV));
    assert_eq!(kernel.attach_importer(export, GOOD), Err(Errno::ENODEV));
}

#[test]
fn segments_do_not_look_at_the_importer_but_in_the_old_design() {
    for (profile, expected) in [(Profile::V7_3, 2), (Profile::DmabufV2, 32)] {
        let (mut kernel, _, export) = exported(profile);
        let id = kernel.attach_importer(export, GOOD).expect("attached");
        assert_eq!(kernel.map_attachment(id).expect("mapped").len(), expected, "{profile}");
    }
}

#[test]
fn who_maps_from_the_notice_of_an_un_revoke_is_too_early() {
    let (mut kernel, file, export) = exported(Profile::V7_3);
    let kind = ImporterKind { invalidate: Some(OnInvalidate::Remap), ..GOOD };
    let id = kernel.attach_importer(export, kind).expect("attached");
    kernel.map_attachment(id).expect("mapped");
    write(&mut kernel, file, ConfigWrite::word(4, 0));
    write(&mut kernel, file, ConfigWrite::word(4, 2));
    let last = kernel.attachment(id).expect("still there").last_map;
    assert_eq!(last, Some(Err(Errno::ENODEV)));
    assert!(kernel.map_attachment(id).is_ok(), "and later it works");
}

#[test]
fn a_holder_keeps_the_revoke_waiting_without_an_end() {
    let (mut kernel, file, export) = exported(Profile::V7_3);
    let kind = ImporterKind { invalidate: Some(OnInvalidate::Hold), ..GOOD };
    let id = kernel.attach_importer(export, kind).expect("attached");
    kernel.map_attachment(id).expect("mapped");
    let off = Call::ConfigWrite { file, write: ConfigWrite::word(4, 0) };
    let mut task = kernel.start(&off);
    while kernel.step(&mut task) == Progress::More {}
    assert!(kernel.waits(&task));
    kernel.unmap_attachment(id);
    assert_eq!(kernel.finish(&mut task), Some(Ok(2)));
}

#[test]
fn the_old_design_let_anybody_attach_and_refused_the_map() {
    let (mut kernel, file, export) = exported(Profile::DmabufV2);
    let no_peer = kernel.attach_importer(export, ImporterKind { peer2peer: false, ..GOOD });
    let no_peer = no_peer.expect("attached");
    assert_eq!(kernel.map_attachment(no_peer), Err(Errno::EPERM));
    write(&mut kernel, file, ConfigWrite::word(4, 0));
    let late = kernel.attach_importer(export, GOOD).expect("attached while revoked");
    assert_eq!(kernel.map_attachment(late), Err(Errno::ENODEV));
}

#[test]
fn a_revoke_between_the_halves_of_a_map_leaves_nothing_mapped() {
    let mut kernel = Kernel::new(&hardware(), Profile::V7_3).expect("the machine can be");
    let file = FileId::of(0);
    let export = ExportId::of(0);
    for call in [
        Call::Open { device: 0, context: 0 },
        Call::Attach { file, space: 0 },
        Call::Export { file, region: 2, ranges: vec![(0, MIB)], flags: 0 },
    ] {
        kernel.call(&call).expect("it comes back").expect("it succeeds");
    }
    let map = Call::MapBuffer { space: 0, export, start: 0, length: MIB, iova: IOVA };
    let mut task = kernel.start(&map);
    write(&mut kernel, file, ConfigWrite::word(4, 0));
    assert_eq!(kernel.finish(&mut task), Some(Ok(0)), "success");
    write(&mut kernel, file, ConfigWrite::word(4, 2));
    assert_eq!(kernel.translate(0, IOVA), None);
}

#[test]
fn before_7_1_the_notice_came_after_access_was_back() {
    let (mut kernel, file, export) = exported(Profile::V7_0);
    let kind = ImporterKind { invalidate: Some(OnInvalidate::Remap), ..GOOD };
    let id = kernel.attach_importer(export, kind).expect("attached");
    kernel.map_attachment(id).expect("mapped");
    write(&mut kernel, file, ConfigWrite::word(4, 0));
    write(&mut kernel, file, ConfigWrite::word(4, 2));
    assert_eq!(kernel.attachment(id).expect("still there").last_map, Some(Ok(())));
    let deaf = ImporterKind { invalidate: None, ..GOOD };
    assert_eq!(kernel.attach_importer(export, deaf), Err(Errno::EINVAL));
}

#[test]
fn only_the_old_design_takes_ranges_of_several_regions() {
    let mut hardware = hardware();
    hardware.devices[0].bar_sizes[0] = MIB;
    let ranges = vec![Range { bar: 0, offset: 0, length: MIB }, Range { bar: 2, offset: MIB, length: MIB }];
    for (profile, expected) in [(Profile::V7_3, Err(Errno::EINVAL)), (Profile::DmabufV2, Ok(0))] {
        let mut kernel = Kernel::new(&hardware, profile).expect("the machine can be");
        kernel.call(&Call::Open { device: 0, context: 0 }).expect("it comes back").expect("it succeeds");
        let call = Call::ExportRegions { file: FileId::of(0), ranges: ranges.clone() };
        assert_eq!(kernel.call(&call), Some(expected), "{profile}");
        if expected.is_ok() {
            let id = kernel.attach_importer(ExportId::of(0), GOOD).expect("attached");
            let segments = kernel.map_attachment(id).expect("mapped");
            assert_eq!(segments.iter().map(|segment| segment.bar).collect::<Vec<_>>()[15..17], [0, 2]);
        }
    }
}
