//! A machine for the stories: a memory device with all that resets, and a DMA engine.

use barkeep_model::hardware::{BusReset, Device, Hardware, ResetMethod};
use barkeep_model::{Answer, Op, Process, Profile, Source, Subject};

/// Offsets of the capabilities of [`memory`].
pub const PM: u16 = 0x40;
pub const PCIE: u16 = 0x50;
pub const AF: u16 = 0x70;
pub const MIB: u64 = 1 << 20;

/// BAR 2 is 16 MiB of memory; FLR, AF FLR, power management with No_Soft_Reset.
pub fn memory() -> Device {
    let mut image = [0u8; 256];
    image[..4].copy_from_slice(&[0x36, 0x1b, 0x10, 0x00]);
    image[0x06] = 0x10;
    image[0x18] = 0x0c;
    image[0x34] = PM as u8;
    image[0x40..0x48].copy_from_slice(&[0x01, 0x50, 0x03, 0x00, 0x08, 0x00, 0x00, 0x00]);
    image[0x50..0x58].copy_from_slice(&[0x10, 0x70, 0x02, 0x00, 0x00, 0x00, 0x00, 0x10]);
    image[0x70..0x76].copy_from_slice(&[0x13, 0x00, 0x06, 0x03, 0x00, 0x00]);
    Device {
        name: "memory".into(),
        config: Device::digits(&image),
        bar_sizes: [0, 0, 16 * MIB, 0, 0, 0],
        bar_addresses: [0, 0, 0x40_0000_0000, 0, 0, 0],
        mappable: [false, false, true, false, false, false],
        virtual_function: false,
        reset_methods: vec![ResetMethod::Flr, ResetMethod::Pm],
        set: 0,
        bus_reset: BusReset::RootBus,
        memory_bar: Some(2),
        watched: vec![0, 0x1000],
        engine: false,
        no_d3: false,
        wakes_whole: false,
        extra_reset_ns: 0,
        reset_fails: false,
    }
}

/// edu: no capability, no reset.
pub fn engine() -> Device {
    let mut image = [0u8; 256];
    image[..4].copy_from_slice(&[0x34, 0x12, 0xe8, 0x11]);
    Device {
        name: "engine".into(),
        config: Device::digits(&image),
        bar_sizes: [MIB, 0, 0, 0, 0, 0],
        bar_addresses: [0xfe00_0000, 0, 0, 0, 0, 0],
        mappable: [true, false, false, false, false, false],
        reset_methods: vec![],
        set: 1,
        memory_bar: None,
        watched: vec![],
        engine: true,
        ..memory()
    }
}

pub fn hardware() -> Hardware {
    Hardware { devices: vec![memory(), engine()] }
}

/// A process with both devices open (files 0 and 1) in space 0, the engine a bus master, all of
/// the BAR exported (buffer 0), mapped at [`IOVA`] and into the process (map 0).
pub fn set_up(hardware: &Hardware) -> Process {
    let mut process = Process::new(hardware, Profile::V7_3).expect("the machine can be");
    process.begin();
    for op in beginning() {
        assert_eq!(process.apply(&op), Answer::Ok(0), "{op:?}");
    }
    process
}

pub const IOVA: u64 = 0x2000_0000;

pub fn beginning() -> Vec<Op> {
    vec![
        Op::Open { device: 0, context: 0, file: 0 },
        Op::Open { device: 1, context: 0, file: 1 },
        Op::Attach { file: 0, space: 0 },
        Op::Attach { file: 1, space: 0 },
        command(1, 6),
        Op::Export { file: 0, region: 2, ranges: vec![(0, 16 * MIB)], flags: 0, buffer: 0 },
        map_all(),
        Op::MapBar { file: 0, bar: 2, offset: 0, size: 16 * MIB, map: 0 },
    ]
}

pub fn command(file: u8, value: u32) -> Op {
    Op::ConfigWrite { file, offset: 4, width: 2, value }
}

pub fn power(state: u32) -> Op {
    Op::ConfigWrite { file: 0, offset: PM + 4, width: 2, value: state }
}

pub fn flr() -> Op {
    Op::ConfigWrite { file: 0, offset: PCIE + 8, width: 2, value: 0x8000 }
}

pub fn af_flr() -> Op {
    Op::ConfigWrite { file: 0, offset: AF + 4, width: 1, value: 1 }
}

pub fn map_all() -> Op {
    Op::Map { space: 0, source: Source::Buffer(0), start: 0, length: 16 * MIB, iova: IOVA }
}

pub fn unmap_all() -> Op {
    Op::Unmap { space: 0, iova: IOVA, length: 16 * MIB }
}

/// Whether the engine's data arrives.
pub fn lands(process: &mut Process, value: u32) -> bool {
    assert_eq!(process.apply(&Op::Dma { file: 1, iova: IOVA + 8, value }), Answer::Ok(0));
    process.apply(&Op::RegionRead { file: 0, bar: 2, offset: 8 }) == Answer::Ok(value.into())
}

/// 0, or the errno of an attach.
pub fn attach(process: &mut Process) -> u16 {
    process.seen().buffers[0].1
}
