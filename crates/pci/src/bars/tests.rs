use super::*;

fn bar(kind: BarKind, prefetchable: bool, size: u64) -> Bar {
    Bar { index: 2, kind, prefetchable, size }
}

fn request(function: u16, kind: BarKind, prefetchable: bool, size: u64) -> Request {
    let bar = bar(kind, prefetchable, size);
    Request { function, bar }
}

use BarKind::{Io, Memory32, Memory64};

const HOLE32: Range<u64> = 0xc000_0000..0xf000_0000;
const HOLE64: Range<u64> = 1 << 36..1 << 40;

#[test]
fn addresses_are_masked_by_flags_and_size() {
    let small = bar(Memory32, true, 0x1000);
    assert_eq!(address(&small, 0xe000_0fff, 0x77), Some(0xe000_0000));
    let wide = bar(Memory64, true, 1 << 33);
    assert_eq!(address(&wide, 0x1234_567c, 0x13), Some(0x12_0000_0000));
    let port = bar(Io, false, 32);
    assert_eq!(address(&port, 0xc021, u32::MAX), Some(0xc020));
}

#[test]
fn a_bar_without_place_has_no_address() {
    for (bar, low, high) in [
        (bar(Memory32, false, 0x1000), 0x0000_0008, 0),
        (bar(Memory32, false, 0x1000), 0xffff_ffff, 0),
        (bar(Memory32, false, 0x1000), 0xffff_f000, 0),
        (bar(Memory64, false, 0x1000), 0xffff_ffff, 0xffff_ffff),
        (bar(Memory64, false, 0x1000), 0xc, 0),
        (bar(Memory64, false, 1 << 40), 0xffff_ffff, 0xff),
        (bar(Io, false, 32), 0xffff_ffff, 0),
        (bar(Io, false, 32), 0x1_0001, 0),
        (bar(Io, false, 32), 0x1, 0),
        (bar(Memory32, false, 0), 0xe000_0000, 0),
    ] {
        assert_eq!(address(&bar, low, high), None, "{bar:?} {low:#x} {high:#x}");
    }
    // Next to the edges there is a place.
    let last = bar(Memory32, false, 0x1000);
    assert_eq!(address(&last, 0xffff_e000, 0), Some(0xffff_e000));
    let wide = bar(Memory64, false, 0x1000);
    assert_eq!(address(&wide, 0xffff_f004, 0), Some(0xffff_f000));
    let port = bar(Io, false, 32);
    assert_eq!(address(&port, 0xffe1, 0), Some(0xffe0));
}

#[test]
fn registers_have_the_flags() {
    let wide = bar(Memory64, true, 0x1000);
    assert_eq!(registers(&wide, 0x12_3456_7000), (0x3456_700c, Some(0x12)));
    let narrow = bar(Memory32, false, 0x1000);
    assert_eq!(registers(&narrow, 0xe000_0000), (0xe000_0000, None));
    assert_eq!(registers(&bar(Io, false, 32), 0xc020), (0xc021, None));
}

fn addresses(requests: &[Request]) -> Vec<Option<u64>> {
    let assignments = allocate(requests, HOLE32, HOLE64).unwrap();
    assignments.iter().map(|a| a.address).collect()
}

#[test]
fn the_biggest_comes_first_and_the_order_is_kept() {
    let requests = [
        request(1, Memory32, false, 0x1000),
        request(2, Memory32, false, 0x10_0000),
        request(3, Memory32, false, 0x1000),
    ];
    let expected = [0xc010_0000, 0xc000_0000, 0xc010_1000].map(Some);
    assert_eq!(addresses(&requests), expected);
}

#[test]
fn big_prefetchable_bars_go_high_and_ports_nowhere() {
    let requests = [
        request(0, Memory64, true, HIGH_FROM),
        request(0, Memory64, false, HIGH_FROM),
        request(0, Memory64, true, HIGH_FROM / 2),
        request(0, Io, false, 32),
    ];
    let expected = [Some(1 << 36), Some(0xc000_0000), Some(0xc000_0000 + HIGH_FROM), None];
    assert_eq!(addresses(&requests), expected);
}

#[test]
fn wide_bars_use_the_other_hole_when_theirs_is_full() {
    let big = [request(0, Memory64, true, HIGH_FROM)];
    let low = allocate(&big, HOLE32, 0..0).unwrap();
    assert_eq!(low[0].range(), Some(HOLE32.start..HOLE32.start + HIGH_FROM));
    let small = [request(0, Memory64, false, 0x1000)];
    let high = allocate(&small, 0..0, HOLE64).unwrap();
    assert_eq!(high[0].address, Some(1 << 36));
    // The 32-bit one has first call on the low hole, though smaller.
    let both = [request(0, Memory64, false, 0x2000), request(0, Memory32, false, 0x1000)];
    let placed = allocate(&both, 0x1000_0000..0x1000_2000, HOLE64).unwrap();
    assert_eq!(placed[0].address, Some(1 << 36));
    assert_eq!(placed[1].address, Some(0x1000_0000));
}

#[test]
fn what_does_not_fit_is_named() {
    let requests = [request(0x0018, Memory32, false, 1 << 29), request(0x0019, Memory32, false, 1 << 29)];
    let error = allocate(&requests, HOLE32, HOLE64).unwrap_err();
    let request = requests[1];
    assert_eq!(error, AllocateError::Full { request });
    assert_eq!(
        error.to_string(),
        "BAR 2 of 00:03.1 (Memory32, 0x20000000 bytes) does not fit into the address space"
    );
}

#[test]
fn narrow_bars_stay_below_four_gib_and_off_zero() {
    let small = [request(0, Memory32, false, 0x1000)];
    let all = allocate(&small, 0..u64::MAX, 0..0).unwrap();
    assert_eq!(all[0].address, Some(0x1000));
    let last_page = 0xffff_f000..FOUR_GIB;
    let error = allocate(&small, last_page, 0..0).unwrap_err();
    assert_eq!(error, AllocateError::Full { request: small[0] });
    let above = allocate(&small, FOUR_GIB..u64::MAX, 0..0).unwrap_err();
    assert_eq!(above, AllocateError::Full { request: small[0] });
}

#[test]
fn bad_requests_are_refused() {
    for size in [0, 3, 0x1800] {
        let bad = request(0, Memory32, false, size);
        let error = allocate(&[bad], HOLE32, HOLE64).unwrap_err();
        assert_eq!(error, AllocateError::Size { request: bad });
    }
    let error = allocate(&[], HOLE32, 0xefff_ffff..1 << 40).unwrap_err();
    assert!(matches!(error, AllocateError::Overlap { .. }));
    assert!(error.to_string().contains("0xc0000000"));
    assert_eq!(allocate(&[], HOLE32, 0xf000_0000..1 << 40), Ok(vec![]));
}
