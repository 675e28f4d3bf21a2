use super::*;
use crate::testbed::machine;

// The devices of the testbed: their registers, and their memory where they have some.
const NVME: u8 = 0;
const EDU: u8 = 1;
const MEMORY: u8 = 2;

fn open(device: u8, file: u8) -> Op {
    Op::Open { device, context: 0, file }
}

fn harmless(ops: &[Op]) -> bool {
    super::harmless(ops, &machine())
}

fn map_bar(file: u8, bar: u8, size: u64) -> Op {
    Op::MapBar { file, bar, offset: 0, size, map: 0 }
}

#[test]
fn memory_may_be_written_and_registers_not() {
    let write = |bar, offset| Op::RegionWrite { file: 0, bar, offset, value: 1 };
    assert!(harmless(&[open(NVME, 0), write(MEMORY, 0)]));
    assert!(!harmless(&[open(NVME, 0), write(0, 0)]));
    assert!(harmless(&[open(NVME, 0), write(0, 0x4000)]), "beyond the end");
    assert!(harmless(&[open(NVME, 0), write(5, 0)]), "no such BAR");
    assert!(!harmless(&[open(NVME, 0), write(7, 0)]), "config space");
    assert!(!harmless(&[open(5, 0), write(2, 0)]), "I/O ports");
    assert!(harmless(&[write(0, 0)]), "an empty register");
}

#[test]
fn mappings_of_registers_are_not_touched() {
    let read = Op::CpuRead { map: 0, offset: 0x1000 };
    assert!(harmless(&[open(NVME, 0), map_bar(0, MEMORY, 0x2000), read.clone()]));
    assert!(!harmless(&[open(NVME, 0), map_bar(0, MEMORY, 0x1000), read.clone()]), "behind its end");
    assert!(!harmless(&[open(NVME, 0), map_bar(0, 0, 0x2000), read.clone()]));
    assert!(harmless(&[open(NVME, 0), map_bar(0, 0, 0x2000), Op::UnmapBar { map: 0 }, read.clone()]));
    // Which of the two is there depends on whether the first one succeeded.
    let ops = [open(NVME, 0), map_bar(0, 0, 0x2000), map_bar(0, MEMORY, 0x2000), read];
    assert!(!harmless(&ops));
}

#[test]
fn a_register_holds_whatever_came_into_it() {
    let dma = |file| Op::Dma { file, iova: 0x2000_0000, value: 1 };
    assert!(harmless(&[open(EDU, 0), dma(0)]));
    assert!(!harmless(&[open(NVME, 0), dma(0)]));
    assert!(!harmless(&[open(NVME, 0), open(EDU, 0), dma(0)]), "the second open may have found it full");
    assert!(harmless(&[open(NVME, 0), Op::CloseFile { file: 0 }, open(EDU, 0), dma(0)]));
    assert!(!harmless(&[open(NVME, 0), Op::DupFile { file: 0, to: 1 }, dma(1)]));
    let sent = [open(NVME, 0), Op::SendFile { file: 0 }, Op::ReceiveFile { to: 3 }, dma(3)];
    assert!(!harmless(&sent));
}

#[test]
fn dma_stays_away_from_registers() {
    let export = |region| Op::Export { file: 0, region, ranges: vec![(0, 0x1000)], flags: 0, buffer: 0 };
    let map = |source, iova| Op::Map { space: 0, source, start: 0, length: 0x1000, iova };
    let at = |region, iova| {
        let buffer = map(Source::Buffer(0), 0x2000_0000);
        vec![open(NVME, 0), open(EDU, 1), export(region), buffer, Op::Dma { file: 1, iova, value: 1 }]
    };
    assert!(harmless(&at(u32::from(MEMORY), 0x2000_0000)));
    assert!(!harmless(&at(0, 0x2000_0ffc)));
    assert!(harmless(&at(0, 0x2000_1000)));
    let mut copied = at(0, 0x3000_0000);
    copied.insert(4, Op::Copy { from: 0, to: 0, iova: 0x2000_0000, length: 0x1000, to_iova: 0x3000_0000 });
    assert!(!harmless(&copied));
    for hand in [Op::DupBuffer { buffer: 0, to: 1 }, Op::ReceiveBuffer { to: 1 }] {
        let mut ops = at(0, 0x3000_0000);
        ops.splice(4..4, [Op::SendBuffer { buffer: 0 }, hand, map(Source::Buffer(1), 0x3000_0000)]);
        assert!(!harmless(&ops));
    }
}

#[test]
fn the_engines_page_of_ram_stays() {
    let unmap = |iova, length| Op::Unmap { space: 0, iova, length };
    assert!(!harmless(&[unmap(0, u64::MAX)]));
    assert!(!harmless(&[unmap(RAM_IOVA, PAGE)]));
    assert!(harmless(&[unmap(0x2000_0000, u64::MAX)]));
    let copy = |iova, to_iova| Op::Copy { from: 0, to: 1, iova, length: PAGE, to_iova };
    assert!(!harmless(&[copy(RAM_IOVA, 0x2000_0000)]) && !harmless(&[copy(0x2000_0000, RAM_IOVA)]));
    assert!(!harmless(&[open(EDU, 0), Op::Dma { file: 0, iova: RAM_IOVA, value: 1 }]));
}

#[test]
fn config_space_is_written_only_where_it_is_known() {
    let write =
        |offset, width, value| harmless(&[open(NVME, 0), Op::ConfigWrite { file: 0, offset, width, value }]);
    // COMMAND, PMCSR at 0x64, DEVCTL at 0x88 with what it holds at the open, a BAR.
    assert!(write(4, 2, 6) && write(4, 1, 6) && write(0x10, 4, u32::MAX));
    assert!(write(0x64, 2, 3) && write(0x88, 2, 0xa810) && write(0x89, 1, 0xa8) && write(0x88, 1, 0x10));
    assert!(!write(4, 4, 6), "STATUS too");
    assert!(!write(4, 2, 0x100) && !write(0x64, 2, 0x8000) && !write(0x88, 2, 0x8000));
    assert!(!write(0x3c, 1, 0) && !write(0x62, 2, 0) && !write(0x84, 4, 0));
    assert!(write(0x1000, 4, 1), "beyond");
    let read =
        |offset, width, mask| harmless(&[open(NVME, 0), Op::ConfigRead { file: 0, offset, width, mask }]);
    assert!(read(0, 4, u32::MAX) && read(4, 2, 7) && read(0x88, 2, 0x8000) && read(6, 2, 0));
    assert!(!read(4, 2, 0xffff) && !read(6, 2, 1));
}

#[test]
fn a_mapping_of_a_dma_buf_is_what_its_export_is() {
    let export = |region| Op::Export { file: 0, region, ranges: vec![(0, 0x1000)], flags: 0, buffer: 0 };
    let map = |size| Op::MapBuffer { buffer: 0, offset: 0, size, map: 0 };
    let write = Op::CpuWrite { map: 0, offset: 0xffc, value: 1 };
    assert!(harmless(&[open(NVME, 0), export(MEMORY.into()), map(0x1000), write.clone()]));
    assert!(!harmless(&[open(NVME, 0), export(MEMORY.into()), map(0x800), write.clone()]), "behind its end");
    assert!(!harmless(&[open(NVME, 0), export(0), map(0x1000), write.clone()]));
    // The region's mapping may be the one that is there.
    assert!(!harmless(&[open(NVME, 0), export(MEMORY.into()), map_bar(0, 0, 0x1000), map(0x1000), write]));
}
