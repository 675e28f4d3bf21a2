use super::*;

const PAGE: u64 = 4096;

fn bar(kind: BarKind, size: u64) -> Bar {
    Bar { index: 3, kind, prefetchable: true, size }
}

fn msix(table: (u8, u64, u64), pba: (u8, u64, u64)) -> MsixCapability {
    let place = |(bar, offset, size)| Location { bar, offset, size };
    MsixCapability { offset: 0x70, table: place(table), pba: place(pba) }
}

/// Start and end.
type Ranges = Vec<(u64, u64)>;

fn split(size: u64, msix: &MsixCapability) -> (Ranges, Vec<(Range<u64>, Reason)>) {
    let parts = exportable(&bar(BarKind::Memory64, size), Some(msix), PAGE);
    let windows = parts.windows.iter().map(|w| (w.offset, w.range().end)).collect();
    let excluded = parts.excluded.into_iter();
    (windows, excluded.map(|e| (e.range, e.reason)).collect())
}

#[test]
fn a_bar_without_msix_goes_whole() {
    for kind in [BarKind::Memory32, BarKind::Memory64] {
        for elsewhere in [None, Some(&msix((0, 0, 16), (1, 0, 8)))] {
            let parts = exportable(&bar(kind, 1 << 20), elsewhere, PAGE);
            let window = Window { bar: 3, offset: 0, size: 1 << 20 };
            assert_eq!(parts.windows, [window]);
            assert_eq!(parts.excluded, []);
        }
    }
}

#[test]
fn table_and_pba_cut_the_bar() {
    let (windows, excluded) = split(0x8000, &msix((3, 0x2000, 16), (3, 0x5ff8, 16)));
    assert_eq!(windows, [(0, 0x2000), (0x3000, 0x5000), (0x7000, 0x8000)]);
    assert_eq!(excluded, [(0x2000..0x3000, Reason::MsixTable), (0x5000..0x7000, Reason::MsixPba)]);
}

#[test]
fn a_shared_page_names_both() {
    let (windows, excluded) = split(0x4000, &msix((3, 0x800, 0x1000), (3, 0x1f00, 8)));
    assert_eq!(windows, [(0x2000, 0x4000)]);
    assert_eq!(excluded, [(0..0x1000, Reason::MsixTable), (0x1000..0x2000, Reason::MsixTableAndPba)]);
}

#[test]
fn a_bar_that_is_all_table_gives_nothing() {
    let (windows, excluded) = split(0x1000, &msix((3, 0, 16), (3, 0x800, 8)));
    assert_eq!(windows, []);
    assert_eq!(excluded, [(0..0x1000, Reason::MsixTableAndPba)]);
}

#[test]
fn a_table_that_sticks_out_is_cut() {
    let (windows, excluded) = split(0x2000, &msix((3, 0x1ff8, 0x8000), (3, u64::MAX, 8)));
    assert_eq!(windows, [(0, 0x1000)]);
    assert_eq!(excluded, [(0x1000..0x2000, Reason::MsixTable)]);
    let (windows, excluded) = split(0x2000, &msix((3, 0x2000, 16), (3, 0x9000, 8)));
    assert_eq!((windows, excluded), (vec![(0, 0x2000)], vec![]));
}

#[test]
fn unfit_bars_say_why() {
    for (bar, page, reason) in [
        (bar(BarKind::Io, 0x1_0000), PAGE, Reason::Io),
        (bar(BarKind::Memory32, 0x800), PAGE, Reason::SmallerThanPage),
        (bar(BarKind::Memory32, 0), PAGE, Reason::SmallerThanPage),
        (bar(BarKind::Memory64, 0x8000), 0x1_0000, Reason::SmallerThanPage),
        (bar(BarKind::Memory64, 0x8000), 0, Reason::PageSize),
        (bar(BarKind::Memory64, 0x8000), 4095, Reason::PageSize),
    ] {
        let parts = exportable(&bar, None, page);
        assert_eq!(parts.windows, []);
        let range = 0..bar.size;
        assert_eq!(parts.excluded, [Excluded { range, reason }]);
    }
}

#[test]
fn a_rest_is_left_out() {
    let parts = exportable(&bar(BarKind::Memory64, 0x1800), None, PAGE);
    assert_eq!(parts.windows.len(), 1);
    let (range, reason) = (0x1000..0x1800, Reason::PartialPage);
    assert_eq!(parts.excluded, [Excluded { range, reason }]);
}

#[test]
fn bigger_pages_exclude_more() {
    let msix = msix((3, 0x2000, 16), (3, 0x3000, 8));
    let parts = exportable(&bar(BarKind::Memory64, 0x4_0000), Some(&msix), 0x1_0000);
    assert_eq!(parts.windows[0].range(), 0x1_0000..0x4_0000);
    assert_eq!(parts.excluded[0].reason, Reason::MsixTableAndPba);
}

#[test]
fn reasons_read_as_a_sentence() {
    let text = format!("BAR 3 {}", Reason::SmallerThanPage);
    assert_eq!(text, "BAR 3 is smaller than a page");
}
