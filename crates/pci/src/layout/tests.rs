use super::*;
use crate::image::Image as Builder;

#[test]
fn a_card_is_read_whole() {
    let card = Builder::card();
    assert_eq!((card.vendor, card.device), (0x8086, 0x1572));
    assert_eq!(card.class, 0x02_0000);
    assert_eq!(card.header_type, 0);
    assert!(!card.is_virtual_function);
    assert_eq!(card.anomalies, []);
    let (offset, flr) = (0xa0, true);
    assert_eq!(card.pcie, Some(PcieCapability { offset, flr }));
    let offset = 0xe0;
    assert_eq!(card.af, Some(AfCapability { offset, flr }));
    let pm = PmCapability { offset: 0x40, no_soft_reset: true };
    assert_eq!(card.pm, Some(pm));
    let msi = MsiCapability { offset: 0x50, is_64bit: true, maskable: true, vectors: 1 };
    assert_eq!(card.msi, Some(msi));
}

#[test]
fn msix_sizes_follow_the_vector_count() {
    for (vectors, table, pba) in [(1, 16, 8), (64, 1024, 8), (65, 1040, 16), (2048, 32768, 256)] {
        let layout =
            Builder::new().bar(3, 0x0c, 1 << 20).msix(0x70, vectors, 0x2003, 0x1_0003).parse().unwrap();
        let msix = layout.msix.unwrap();
        assert_eq!(msix.table.range(), 0x2000..0x2000 + table);
        assert_eq!(msix.pba.range(), 0x1_0000..0x1_0000 + pba);
        assert_eq!((msix.table.bar, msix.pba.bar), (3, 3));
        assert_eq!(layout.anomalies, []);
    }
}

#[test]
fn class_keeps_its_three_bytes() {
    let mut image = Builder::new();
    image.put(header::REVISION, &[0xff, 0x30, 0x03, 0x0c]);
    assert_eq!(image.parse().unwrap().class, 0x0c_0330);
}

#[test]
fn bars_take_kind_from_the_image_and_size_from_vfio() {
    let layout = Builder::new()
        .bar(0, 0xe000_0000, 0x1000)
        .bar(1, 0x0000_c001, 32)
        .bar(2, 0x1234_000c, 1 << 36)
        .bar(4, 0x0000_0008, 0x100)
        .parse()
        .unwrap();
    let bar = |index, kind, prefetchable, size| Some(Bar { index, kind, prefetchable, size });
    let expected = [
        bar(0, BarKind::Memory32, false, 0x1000),
        bar(1, BarKind::Io, false, 32),
        bar(2, BarKind::Memory64, true, 1 << 36),
        None,
        bar(4, BarKind::Memory32, true, 0x100),
        None,
    ];
    assert_eq!(layout.bars, expected);
}

#[test]
fn a_register_belongs_to_its_bar_or_the_wide_one_before() {
    let layout = Builder::new().bar(0, 0, 0x1000).bar(2, 0x4, 0x1000).parse().unwrap();
    let owners: Vec<_> =
        (0..8).map(|register| layout.bar_of_register(register).map(|bar| bar.index)).collect();
    assert_eq!(owners, [Some(0), None, Some(2), Some(2), None, None, None, None]);
}

#[test]
fn sizes_no_bar_can_have_are_refused() {
    for (register, size) in [(0x0, 0x1800), (0x0, 8), (0x0, 1 << 32), (0x4, u64::MAX), (0x1, 2)] {
        let error = Builder::new().bar(1, register, size).parse().unwrap_err();
        assert_eq!(error, LayoutError::BarSize { index: 1, size });
    }
}

#[test]
fn a_wide_bar_needs_its_upper_half() {
    let last = Builder::new().bar(5, 0x4, 0x1000).parse();
    assert_eq!(last.unwrap_err(), LayoutError::UpperHalf { index: 5 });
    let taken = Builder::new().bar(0, 0x4, 0x1000).bar(1, 0, 0x1000).parse();
    assert_eq!(taken.unwrap_err(), LayoutError::UpperHalf { index: 0 });
}

#[test]
fn images_of_nothing_are_refused() {
    let sizes = [0; 6];
    assert_eq!(Layout::parse(&[0; 63], &sizes), Err(LayoutError::Short { length: 63 }));
    assert_eq!(Layout::parse(&[0xff; 256], &sizes), Err(LayoutError::Absent));
    let mut bridge = Builder::new();
    bridge.put(header::HEADER_TYPE, &[0x81]);
    let header_type = 0x81;
    assert_eq!(bridge.parse(), Err(LayoutError::HeaderType { header_type }));
    bridge.put(header::HEADER_TYPE, &[0x80]);
    assert_eq!(bridge.parse().unwrap().header_type, 0x80);
}

#[test]
fn without_the_status_bit_there_is_no_list() {
    let mut image = Builder::new().pm(0x40, 0);
    image.put(header::STATUS, &[0, 0]);
    assert_eq!(image.parse().unwrap().pm, None);
}

#[test]
fn a_list_that_loops_ends() {
    let mut image = Builder::new().pm(0x40, 0).af(0x50, 3);
    image.put(0x51, &[0x40]);
    let layout = image.parse().unwrap();
    assert!(layout.pm.is_some() && layout.af.is_some());
    assert_eq!(layout.anomalies, [Anomaly::Loop { offset: 0x40 }]);

    image.put(0x41, &[0x40]);
    let layout = image.parse().unwrap();
    assert!(layout.pm.is_some() && layout.af.is_none());
    assert_eq!(layout.anomalies, [Anomaly::Loop { offset: 0x40 }]);
}

#[test]
fn bad_pointers_end_the_walk() {
    let mut image = Builder::new().pm(0x40, 0);
    image.put(0x41, &[0x3c]);
    let layout = image.parse().unwrap();
    assert!(layout.pm.is_some());
    assert_eq!(layout.anomalies, [Anomaly::BadPointer { offset: 0x3c }]);

    // An image of the header alone: the pointer leads behind it.
    let layout = Layout::parse(&image.bytes[..64], &image.sizes).unwrap();
    assert_eq!(layout.anomalies, [Anomaly::BadPointer { offset: 0x40 }]);
}

#[test]
fn low_bits_of_a_pointer_are_masked_and_told() {
    let mut image = Builder::new().pm(0x40, 0);
    image.put(header::CAPABILITIES_POINTER, &[0x43]);
    let layout = image.parse().unwrap();
    assert_eq!(layout.pm.unwrap().offset, 0x40);
    assert_eq!(layout.anomalies, [Anomaly::Unaligned { pointer: 0x43 }]);
}

#[test]
fn a_capability_that_is_cut_off_is_left_out() {
    let image = Builder::new().pcie(0xf8, header::PCIE_DEVCAP_FLR);
    let layout = image.parse().unwrap();
    assert_eq!(layout.pcie, None);
    let (id, offset) = (header::CAPABILITY_PCIE, 0xf8);
    assert_eq!(layout.anomalies, [Anomaly::Truncated { id, offset }]);

    let image = Builder::new().pm(0xf8, 0);
    assert!(image.parse().unwrap().pm.is_some(), "ends exactly at 0x100");
    let short = Layout::parse(&image.bytes[..255], &image.sizes).unwrap();
    assert_eq!(short.pm, None);
}

#[test]
fn the_first_of_two_counts() {
    let layout = Builder::new().pm(0x40, 0).pm(0x80, 8).parse().unwrap();
    assert_eq!(layout.pm.unwrap().offset, 0x40);
    let (id, offset) = (header::CAPABILITY_PM, 0x80);
    assert_eq!(layout.anomalies, [Anomaly::Duplicate { id, offset }]);
}

#[test]
fn overlapping_capabilities_both_count() {
    let layout = Builder::new().pm(0x40, 0).af(0x44, 3).parse().unwrap();
    assert!(layout.pm.is_some() && layout.af.is_some());
    let (first, second) = (0x40, 0x44);
    assert_eq!(layout.anomalies, [Anomaly::Overlap { first, second }]);
    let layout = Builder::new().pm(0x40, 0).af(0x48, 3).parse().unwrap();
    assert_eq!(layout.anomalies, [], "neighbours");
}

#[test]
fn unknown_capabilities_are_passed_over() {
    let layout =
        Builder::new().capability(0xff, 0x40, &[]).capability(0x09, 0x48, &[8]).af(0x50, 3).parse().unwrap();
    assert!(layout.af.is_some_and(|af| af.flr));
    assert_eq!(layout.anomalies, []);
}

#[test]
fn af_resets_only_with_both_bits() {
    for (cap, flr) in [(0, false), (1, false), (2, false), (3, true), (0xff, true)] {
        let layout = Builder::new().af(0x40, cap).parse().unwrap();
        assert_eq!(layout.af.unwrap().flr, flr, "cap {cap:#x}");
    }
}

#[test]
fn pcie_resets_only_with_devcap() {
    for (devcap, flr) in [(0, false), (!(1 << 28), false), (1 << 28, true)] {
        let layout = Builder::new().pcie(0x40, devcap).parse().unwrap();
        assert_eq!(layout.pcie.unwrap().flr, flr, "devcap {devcap:#x}");
    }
}

#[test]
fn msix_outside_of_its_bar_is_told() {
    for (table, pba) in [(0x0006, 3), (0x7ff3, 3), (0x0000, 3), (0x0004, 3)] {
        let image = Builder::new().bar(3, 0x0c, 0x8000).msix(0x70, 8, table, pba);
        let anomaly = Anomaly::MsixOutside { bar: (table & 7) as u8, offset: u64::from(table & !7) };
        let layout = image.parse().unwrap();
        assert_eq!(layout.anomalies, [anomaly]);
        assert!(layout.msix.is_some());
    }
}
