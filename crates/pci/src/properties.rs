//! Properties that hold for any bytes at all.

use std::ops::Range;

use proptest::prelude::*;

use crate::bars::{self, Request};
use crate::header;
use crate::image::Image;
use crate::layout::{Bar, BarKind, Layout, Location, MsixCapability};
use crate::windows::{Window, exportable};
use crate::write::{ConfigWrite, Effect, Registers};

/// An image of any length, mostly one that gets past the header checks.
fn any_config() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![Just(256usize), Just(4096), 0..300usize];
    length.prop_flat_map(|length| {
        let bytes = proptest::collection::vec(any::<u8>(), length);
        (bytes, any::<bool>()).prop_map(|(mut bytes, endpoint)| {
            if let (true, Some(header)) = (endpoint, bytes.get_mut(..64)) {
                header[usize::from(header::STATUS)] |= 0x10;
                header[usize::from(header::HEADER_TYPE)] &= 0x80;
            }
            bytes
        })
    })
}

/// Writes at every offset, often where the registers of `Image::card` are.
fn any_write() -> impl Strategy<Value = ConfigWrite> {
    let places = [0x04u16, 0x10, 0x30, 0x44, 0x52, 0x72, 0xa8, 0xe4];
    let near = proptest::sample::select(places.to_vec()).prop_flat_map(|at| at - 3..at + 5);
    let offset = prop_oneof![2 => near, 1 => 0..256u16, 1 => any::<u16>()];
    let value = any::<u32>().prop_map(u32::to_le_bytes);
    let width = proptest::sample::select(&[1usize, 2, 4][..]);
    (offset, value, width)
        .prop_map(|(offset, bytes, width)| ConfigWrite::new(offset, &bytes[..width]).unwrap())
}

fn any_registers() -> impl Strategy<Value = Registers> {
    (any::<u16>(), any::<u16>()).prop_map(|(command, pmcsr)| Registers { command, pmcsr })
}

fn any_card() -> impl Strategy<Value = Layout> {
    any::<[bool; 4]>().prop_map(|[is_virtual_function, pcie, af, soft]| {
        let mut card = Image::card();
        card.is_virtual_function = is_virtual_function;
        card.pcie.as_mut().unwrap().flr = pcie;
        card.af.as_mut().unwrap().flr = af;
        card.pm.as_mut().unwrap().no_soft_reset = soft;
        card
    })
}

fn any_bar() -> impl Strategy<Value = Bar> {
    let kinds = [BarKind::Memory32, BarKind::Memory64, BarKind::Io];
    let kind = proptest::sample::select(kinds.to_vec());
    let size = prop_oneof![8 => (0..40u32).prop_map(|bits| 1 << bits), 1 => any::<u64>()];
    (0..6u8, kind, any::<bool>(), size).prop_map(|(index, kind, prefetchable, size)| Bar {
        index,
        kind,
        prefetchable,
        size,
    })
}

fn any_location() -> impl Strategy<Value = Location> {
    let offset = prop_oneof![4 => 0..0x2_0000u64, 1 => any::<u64>()];
    let size = prop_oneof![4 => 0..0x9000u64, 1 => any::<u64>()];
    (0..8u8, offset, size).prop_map(|(bar, offset, size)| Location { bar, offset, size })
}

fn any_msix() -> impl Strategy<Value = Option<MsixCapability>> {
    let pair = (any_location(), any_location());
    proptest::option::of(pair.prop_map(|(table, pba)| MsixCapability { offset: 0x70, table, pba }))
}

fn disjoint(ranges: &[Range<u64>]) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    sorted.windows(2).all(|pair| pair[0].end <= pair[1].start)
}

/// What the kernel did on one write, as far as dma-bufs are concerned.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    revoked: bool,
    reset: bool,
    live: Option<bool>,
}

/// The module's table in the kernel's own terms: pieces, handlers, offsets in a capability. It
/// shares nothing with `classify` but the layout.
struct Kernel<'a> {
    card: &'a Layout,
    command: u16,
    state: u16,
    done: Done,
}

impl Kernel<'_> {
    fn run(mut self, write: &ConfigWrite) -> (Done, Registers) {
        let bytes = write.bytes.as_slice();
        let (mut at, end) = (usize::from(write.offset), 0x1000);
        let last = at + bytes.len();
        if last <= end {
            while at < last {
                let left = (last - at).min(4 - at % 4);
                let count = match left {
                    4 => 4,
                    2 | 3 if at % 2 == 0 => 2,
                    _ => 1,
                };
                let from = at - usize::from(write.offset);
                let mut value = [0; 4];
                value[..count].copy_from_slice(&bytes[from..from + count]);
                self.piece(at as u16, count as u16, u32::from_le_bytes(value));
                at += count;
            }
        }
        let (command, pmcsr) = (self.command, self.state);
        (self.done, Registers { command, pmcsr })
    }

    fn enabled(&self) -> bool {
        self.state < 3 && (self.card.is_virtual_function || self.command & 2 != 0)
    }

    fn restore(&mut self) {
        self.done.live = Some(self.enabled());
    }

    fn piece(&mut self, at: u16, count: u16, value: u32) {
        // Only the high byte of a word is written by a one-byte piece at 5.
        match (at, count) {
            (4, 1) => self.command = self.command & 0xff00 | value as u16,
            (4, _) => self.command = value as u16,
            (5, _) => self.command = self.command & 0xff | (value as u16) << 8,
            _ => {}
        }
        if at == 4 {
            self.done.revoked |= value & 2 == 0;
            self.restore();
        }
        if at == self.card.pm.unwrap().offset + 4 {
            let state = value as u16 & 3;
            self.done.revoked |= state == 3;
            if state == 0 || state >= self.state {
                self.done.reset |= state == 0 && self.state == 3 && !self.card.pm.unwrap().no_soft_reset;
                self.state = state;
            }
            self.restore();
        }
        let bits = u64::from(value) << (8 * u64::from(at % 4));
        let dword = at & !3;
        let covers = |byte: u16| (at..at + count).contains(&byte);
        let (pcie, af) = (self.card.pcie.unwrap(), self.card.af.unwrap());
        let flr = dword == pcie.offset + 8 && covers(dword + 1) && bits & 0x8000 != 0;
        let af_flr = dword == af.offset + 4 && covers(dword) && bits & 1 != 0;
        if flr && pcie.flr || af_flr && af.flr {
            self.done.revoked = true;
            self.done.reset = true;
            self.state = 0;
            self.restore();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parse_takes_any_bytes(config in any_config(), bits in any::<[u8; 6]>()) {
        let sizes = bits.map(|bits| 1u64.checked_shl(bits.into()).unwrap_or(0));
        for sizes in [sizes, [0; 6]] {
            let Ok(layout) = Layout::parse(&config, &sizes) else { continue };
            for bar in layout.bars.iter().flatten() {
                prop_assert_eq!(bar.size, sizes[usize::from(bar.index)]);
            }
            for (offset, size) in [
                (layout.pm.map(|c| c.offset), header::PM_SIZE),
                (layout.pcie.map(|c| c.offset), header::PCIE_SIZE),
                (layout.af.map(|c| c.offset), header::AF_SIZE),
                (layout.msix.map(|c| c.offset), header::MSIX_SIZE),
                (layout.msi.map(|c| c.offset), 10),
            ] {
                let Some(offset) = offset else { continue };
                prop_assert!(offset >= header::HEADER_SIZE && offset % 4 == 0);
                prop_assert!(offset + size <= header::CONFIG_SIZE);
                prop_assert!(usize::from(offset + size) <= config.len());
            }
        }
    }

    #[test]
    fn classify_takes_anything(
        config in any_config(),
        before in any_registers(),
        write in any_write(),
        is_virtual_function in any::<bool>(),
    ) {
        let Ok(mut layout) = Layout::parse(&config, &[0; 6]) else { return Ok(()) };
        layout.is_virtual_function = is_virtual_function;
        let effects = layout.classify(&before, &write);
        let list: Vec<Effect> = effects.iter().collect();
        for (index, effect) in list.iter().enumerate() {
            prop_assert!(!list[..index].contains(effect), "{} twice", effect);
        }
        prop_assert!(!effects.may_restore() || layout.memory_enabled(&layout.after(&before, &write)));
    }

    #[test]
    fn classify_does_as_the_kernel(
        card in any_card(),
        before in any_registers(),
        write in any_write(),
    ) {
        let kernel = Kernel {
            card: &card,
            command: before.command,
            state: before.pmcsr & 3,
            done: Done::default(),
        };
        let (done, registers) = kernel.run(&write);
        let effects = card.classify(&before, &write);
        prop_assert_eq!(effects.revokes(), done.revoked);
        prop_assert_eq!(effects.resets(), done.reset);
        prop_assert_eq!(effects.may_restore(), done.live == Some(true));
        let after = card.after(&before, &write);
        prop_assert_eq!((after.command, after.pmcsr & 3), (registers.command, registers.pmcsr));
    }

    #[test]
    fn a_revoke_does_not_depend_on_what_was_before(
        card in any_card(),
        one in any_registers(),
        other in any_registers(),
        write in any_write(),
    ) {
        let [a, b] = [one, other].map(|before| card.classify(&before, &write).revokes());
        prop_assert_eq!(a, b);
    }

    #[test]
    fn windows_and_exclusions_are_the_bar(
        bar in any_bar(),
        msix in any_msix(),
        page in proptest::sample::select(&[0u64, 3, 1, 4096, 0x1_0000, 1 << 63][..]),
    ) {
        let parts = exportable(&bar, msix.as_ref(), page);
        let windows: Vec<_> = parts.windows.iter().map(Window::range).collect();
        let mut all = windows.clone();
        all.extend(parts.excluded.iter().map(|excluded| excluded.range.clone()));
        prop_assert!(disjoint(&all));
        prop_assert_eq!(all.iter().map(|range| range.end - range.start).sum::<u64>(), bar.size);
        prop_assert!(all.iter().all(|range| range.end <= bar.size));
        for window in &parts.windows {
            prop_assert_eq!(window.bar, bar.index);
            prop_assert!(window.size > 0);
            prop_assert!(window.offset % page == 0 && window.size % page == 0);
        }
        for place in msix.iter().flat_map(|msix| [msix.table, msix.pba]) {
            let hit = |window: &Range<u64>| {
                place.bar == bar.index && place.size > 0
                    && window.start < place.range().end && place.range().start < window.end
            };
            prop_assert!(!windows.iter().any(hit), "{:?} is given away", place);
        }
    }

    #[test]
    fn a_programmed_address_reads_back(bar in any_bar(), low in any::<u32>(), high in any::<u32>()) {
        if let Some(address) = bars::address(&bar, low, high)
            && bar.size.is_power_of_two()
        {
            prop_assert_eq!(address % bar.size, 0);
            let (low, high) = bars::registers(&bar, address);
            if bar.size >= 16 {
                prop_assert_eq!(bars::address(&bar, low, high.unwrap_or(0)), Some(address));
            }
        }
    }

    #[test]
    fn bars_are_placed_apart_and_aligned(
        wanted in proptest::collection::vec((any::<u16>(), any_bar()), 0..40),
        start in 0u64..1 << 33,
        length in 0u64..1 << 33,
        high in (1u64 << 34)..(1 << 45),
    ) {
        let requests: Vec<_> = wanted.into_iter()
            .filter(|(_, bar)| bar.size >= 16 && bar.size.is_power_of_two())
            .map(|(function, bar)| Request { function, bar })
            .collect();
        let (hole32, hole64) = (start..start + length, high..1 << 46);
        let Ok(placed) = bars::allocate(&requests, hole32.clone(), hole64.clone()) else {
            return Ok(());
        };
        let ranges: Vec<_> = placed.iter().filter_map(|assignment| assignment.range()).collect();
        prop_assert!(disjoint(&ranges));
        prop_assert_eq!(placed.len(), requests.len());
        for (assignment, request) in placed.iter().zip(&requests) {
            prop_assert_eq!((assignment.function, assignment.bar), (request.function, request.bar));
            let Some(range) = assignment.range() else {
                prop_assert_eq!(assignment.bar.kind, BarKind::Io);
                continue;
            };
            prop_assert_eq!(range.start % assignment.bar.size, 0);
            let inside = |hole: &Range<u64>| hole.start <= range.start && range.end <= hole.end;
            let low = inside(&hole32) && range.end < 1 << 32;
            prop_assert!(low || inside(&hole64) && assignment.bar.kind == BarKind::Memory64);
            let (low, high) = bars::registers(&assignment.bar, range.start);
            let read = bars::address(&assignment.bar, low, high.unwrap_or(0));
            prop_assert_eq!(read, Some(range.start));
        }
    }
}
