//! What the table says, told as stories. `barkeep conform` holds the specification to the kernel;
//! these hold it to the table, and show how it is asked.

mod importers;
mod machine;
mod mapped;

use barkeep_model::{Answer, Errno, Op, Process, Rule, Subject};
use machine::*;

const ENODEV: u16 = 19;

fn failed(process: &mut Process, op: &Op) -> Option<Errno> {
    match process.apply(op) {
        Answer::Failed(errno) => Some(errno),
        Answer::Ok(_) => None,
        other => panic!("{op:?}: {other:?}"),
    }
}

#[test]
fn both_ways_reach_the_bar() {
    let mut process = set_up(&hardware());
    assert!(lands(&mut process, 0x1111));
    assert_eq!(process.apply(&Op::CpuRead { map: 0, offset: 8 }), Answer::Ok(0x1111));
}

#[test]
fn whatever_revokes_kills_the_mapping_for_good() {
    let triggers: [(&str, Vec<Op>); 5] = [
        ("decode off and on", vec![command(0, 4), command(0, 6)]),
        ("FLR", vec![flr()]),
        ("AF FLR", vec![af_flr()]),
        ("D3hot and D0", vec![power(3), power(0)]),
        ("device reset", vec![Op::Reset { file: 0 }]),
    ];
    for (name, ops) in triggers {
        let mut process = set_up(&hardware());
        for op in &ops {
            assert_eq!(failed(&mut process, op), None, "{name}");
        }
        assert_eq!(attach(&mut process), 0, "{name}: the dma-buf is live");
        assert!(!lands(&mut process, 1), "{name}: and the mapping is dead");
        assert_eq!(failed(&mut process, &map_all()), Some(Errno::EEXIST), "{name}");
        assert_eq!(process.apply(&unmap_all()), Answer::Ok(16 * MIB), "{name}");
        assert_eq!(failed(&mut process, &map_all()), None, "{name}");
        assert!(lands(&mut process, 2), "{name}");
        assert_eq!(process.apply(&Op::CpuRead { map: 0, offset: 8 }), Answer::Ok(2), "{name}");
    }
}

#[test]
fn while_access_is_away_everybody_is_refused() {
    for ops in [vec![command(0, 4)], vec![power(3)]] {
        let mut process = set_up(&hardware());
        for op in &ops {
            process.apply(op);
        }
        assert_eq!(attach(&mut process), ENODEV);
        assert_eq!(failed(&mut process, &Op::CpuRead { map: 0, offset: 0 }), Some(Errno::EFAULT));
        let read = Op::RegionRead { file: 0, bar: 2, offset: 0 };
        assert_eq!(failed(&mut process, &read), Some(Errno::EIO));
        let export = Op::Export { file: 0, region: 2, ranges: vec![(0, MIB)], flags: 0, buffer: 1 };
        assert_eq!(failed(&mut process, &export), None, "born revoked");
        assert_eq!(process.seen().buffers[1].1, ENODEV);
    }
}

#[test]
fn writes_that_change_nothing_keep_the_mapping() {
    for op in [command(0, 6), command(0, 2), power(1), power(2), power(0), Op::SysfsReset { device: 0 }] {
        let mut process = set_up(&hardware());
        process.apply(&op);
        assert!(lands(&mut process, 3), "{op:?}");
    }
}

#[test]
fn a_failed_reset_revokes_all_the_same() {
    let mut process = set_up(&hardware());
    process.apply(&Op::ResetMethods { device: 0, present: false });
    assert_eq!(failed(&mut process, &flr()), None, "the write succeeds");
    assert!(!lands(&mut process, 1));
    assert_eq!(failed(&mut process, &Op::Reset { file: 0 }), Some(Errno::ENOTTY));
    assert_eq!(attach(&mut process), 0);
    assert_eq!(failed(&mut process, &Op::Reset { file: 1 }), Some(Errno::EINVAL), "never worked");
}

#[test]
fn a_refused_reset_leaves_d3hot_as_it_is() {
    let mut process = set_up(&hardware());
    process.apply(&Op::ResetMethods { device: 0, present: false });
    process.apply(&power(3));
    assert_eq!(failed(&mut process, &flr()), None);
    assert_eq!(attach(&mut process), ENODEV);
    assert_eq!(process.seen().registers[0].1 >> 8, 3);
}

#[test]
fn a_virtual_function_is_revoked_and_live_in_one_write() {
    let mut hardware = hardware();
    hardware.devices[0].virtual_function = true;
    let mut process = set_up(&hardware);
    process.apply(&command(0, 4));
    assert_eq!(attach(&mut process), 0);
    assert!(!lands(&mut process, 1));
}

#[test]
fn low_power_is_not_part_of_the_decode_check() {
    let mut process = set_up(&hardware());
    let entry = Op::LowPowerEntry { file: 0, wakes: false };
    assert_eq!(failed(&mut process, &entry), None);
    assert_eq!(attach(&mut process), ENODEV);
    assert_eq!(failed(&mut process, &entry), Some(Errno::EINVAL));
    process.apply(&command(0, 6));
    assert_eq!(attach(&mut process), 0);
    assert_eq!(failed(&mut process, &Op::CpuRead { map: 0, offset: 0 }), Some(Errno::EFAULT));
    assert_eq!(failed(&mut process, &Op::LowPowerExit { file: 0 }), None);
    assert_eq!(failed(&mut process, &Op::CpuRead { map: 0, offset: 0 }), None);
}

#[test]
fn a_wake_up_leaves_low_power_and_un_revokes_nothing() {
    let mut process = set_up(&hardware());
    process.apply(&Op::LowPowerEntry { file: 0, wakes: true });
    process.apply(&Op::ConfigRead { file: 0, offset: 4, width: 2, mask: 2 });
    assert_eq!(attach(&mut process), ENODEV);
    assert_eq!(failed(&mut process, &Op::CpuRead { map: 0, offset: 0 }), None, "CPU access is back");
}

#[test]
fn the_last_reference_closes_whoever_has_it() {
    let mut process = set_up(&hardware());
    process.apply(&Op::SendFile { file: 0 });
    process.apply(&Op::CloseFile { file: 0 });
    process.apply(&Op::UnmapBar { map: 0 });
    assert_eq!(attach(&mut process), 0, "the socket has it");
    process.apply(&Op::ReceiveFile { to: 3 });
    process.apply(&Op::CloseFile { file: 3 });
    assert_eq!(attach(&mut process), ENODEV);
    assert_eq!(failed(&mut process, &Op::Open { device: 0, context: 0, file: 0 }), None);
    assert_eq!(attach(&mut process), ENODEV, "for ever");
}

#[test]
fn a_mapped_bar_keeps_the_device_open() {
    let mut process = set_up(&hardware());
    process.apply(&Op::CloseFile { file: 0 });
    assert_eq!(attach(&mut process), 0);
    process.apply(&Op::UnmapBar { map: 0 });
    assert_eq!(attach(&mut process), ENODEV);
}

#[test]
fn a_removed_device_stays_live_until_its_last_file() {
    let mut process = set_up(&hardware());
    process.apply(&Op::Remove { device: 0 });
    assert!(lands(&mut process, 5));
    assert_eq!(failed(&mut process, &Op::Reset { file: 0 }), Some(Errno::EAGAIN));
    let open = Op::Open { device: 0, context: 0, file: 2 };
    assert_eq!(failed(&mut process, &open), Some(Errno::ENOENT));
    process.apply(&Op::UnmapBar { map: 0 });
    process.apply(&Op::CloseFile { file: 0 });
    assert_eq!(attach(&mut process), ENODEV);
    assert_eq!(process.apply(&Op::Rescan { device: 0 }), Answer::Ok(0));
    assert_eq!(failed(&mut process, &open), None);
}

#[test]
fn one_revoke_kills_every_copy() {
    let mut process = set_up(&hardware());
    let copy = Op::Copy { from: 0, to: 1, iova: IOVA, length: 16 * MIB, to_iova: IOVA };
    assert_eq!(failed(&mut process, &copy), None);
    process.apply(&Op::Attach { file: 1, space: 1 });
    assert!(lands(&mut process, 6));
    process.apply(&flr());
    assert!(!lands(&mut process, 7));
    let again = Op::Copy { from: 0, to: 1, iova: IOVA, length: 16 * MIB, to_iova: 2 * IOVA };
    assert_eq!(failed(&mut process, &again), None, "a dead mapping can be copied");
}

#[test]
fn nothing_is_left_when_everything_is_closed() {
    let mut process = set_up(&hardware());
    process.apply(&flr());
    process.apply(&unmap_all());
    process.apply(&Op::CloseBuffer { buffer: 0 });
    process.apply(&Op::UnmapBar { map: 0 });
    process.apply(&Op::CloseFile { file: 0 });
    process.apply(&Op::CloseFile { file: 1 });
    // Each space's page of RAM.
    assert_eq!(process.kernel().census(), [0, 0, 0, 0, 3, 0]);
}

/// Each planted error shows in some story, so no rule stands in the table for nothing. How the
/// recorded answers of a real kernel find them is `barkeep conform`'s.
#[test]
fn planted_errors_are_asked_for() {
    let mut process = set_up(&hardware());
    process.apply(&flr());
    process.begin();
    for rule in [Rule::Flr, Rule::RevokeKills, Rule::BackIfEnabled, Rule::Zap] {
        assert!(process.reached().contains(rule), "{rule}");
    }
}
