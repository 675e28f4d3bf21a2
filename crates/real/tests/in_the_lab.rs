//! The executor on a real kernel, in the lab. This program is both halves: run by `cargo test` it
//! boots itself inside the emulator once for each topology; inside it asks, and judges. Where no
//! kernel is named it says so and passes.

use barkeep_lab::{Outcome, Request, Topology, inner};
use barkeep_model::Source::Buffer;
use barkeep_model::hardware::{BusReset, ResetMethod};
use barkeep_model::{Answer, Errno, Op, Seen, Subject};
use barkeep_real::{Executor, Place};
use std::path::Path;
use std::time::Duration;

const KERNEL: &str = "BARKEEP_TEST_KERNEL";

type Check = fn(&mut Executor);
const ON_NVME_EDU: [(&str, Check); 5] = [
    ("an episode finds everything as the one before it did", every_episode_begins_the_same),
    ("what DMA left in memory is gone", dma_lands_and_is_wiped),
    ("an access to what is not there is an answer", a_fault_is_an_answer),
    ("a device goes and comes back", a_removal_ends_with_the_last_reference),
    ("a call that hangs is said so, and is over when its episode is", a_hang_is_an_answer),
];
const ON_CONFORM: [(&str, Check); 2] =
    [("the devices are found to be what they are", hardware_is_found_out), ("twins", twins_share_a_group)];

fn main() {
    if inner::is_lab_init() {
        inner::init_main();
    }
    let inside = std::env::var_os(barkeep_real::places::VARIABLE).is_some();
    match std::env::args().nth(1).as_deref() {
        Some("nvme-edu") if inside => judge(&ON_NVME_EDU),
        Some("conform") if inside => judge(&ON_CONFORM),
        _ => outside(),
    }
}

fn outside() {
    let Some(kernel) = std::env::var_os(KERNEL) else {
        println!("skipped: {KERNEL} names no kernel image to boot");
        return;
    };
    for topology in ["nvme-edu", "conform"] {
        let out = tempfile::tempdir().unwrap();
        let request = Request {
            importer: None,
            kernel: kernel.clone().into(),
            topology: Topology::named_or_file(topology).unwrap().without_importer(),
            fast: false,
            timeout: Duration::from_secs(240),
            out: out.path().to_owned(),
            share: None,
            carried: Vec::new(),
            command: vec![topology.to_owned()],
            replay: None,
            append: String::new(),
        };
        let outcome = barkeep_lab::run(&request, &mut |_, _| ()).unwrap();
        let said = |name: &str| std::fs::read_to_string(Path::join(out.path(), name)).unwrap_or_default();
        print!("{}", said("stdout.txt"));
        let passed = matches!(outcome, Outcome::Finished { status: 0, .. });
        assert!(passed, "{topology}: {outcome}\n{}", said("stderr.txt"));
    }
}

fn judge(checks: &[(&str, Check)]) {
    let mut executor = Executor::new(&Place::all_named().unwrap()).unwrap();
    for (name, check) in checks {
        executor.begin();
        assert_eq!(executor.broken(), None, "before: {name}");
        check(&mut executor);
        println!("test {name} ... ok");
    }
    executor.begin();
    assert_eq!(executor.broken(), None);
}

const NVME: u8 = 0;
const EDU: u8 = 1;
const MEMORY: u8 = 2;
const IOVA: u64 = 0x4000_0000;
const SIZE: u64 = 0x10_0000;
const OK: Answer = Answer::Ok(0);

fn open(device: u8, file: u8) -> [Op; 2] {
    [Op::Open { device, context: 0, file }, Op::Attach { file, space: 0 }]
}

fn command(file: u8, value: u32) -> Op {
    Op::ConfigWrite { file, offset: 4, width: 2, value }
}

/// File 0 is the NVMe's, file 1 edu's; buffer 0 is mapped, map 0 too.
fn everything() -> Vec<Op> {
    let mut ops = [open(NVME, 0), open(EDU, 1)].concat();
    ops.extend([command(0, 6), command(1, 6)]);
    ops.push(Op::Export { file: 0, region: 2, ranges: vec![(0, SIZE)], flags: 0, buffer: 0 });
    ops.push(Op::Map { space: 0, source: Buffer(0), start: 0, length: SIZE, iova: IOVA });
    ops.push(Op::MapBar { file: 0, bar: MEMORY, offset: 0, size: SIZE, map: 0 });
    ops
}

fn all_ok(executor: &mut Executor, ops: impl IntoIterator<Item = Op>) {
    for op in ops {
        assert_eq!(executor.apply(&op), OK, "{op:?}");
    }
}

fn words(executor: &mut Executor) -> Vec<u64> {
    executor.seen().words[0].1.clone()
}

fn every_episode_begins_the_same(executor: &mut Executor) {
    let mut ops = everything();
    ops.extend([
        Op::RegionWrite { file: 0, bar: MEMORY, offset: 0x1000, value: 7 },
        Op::Dma { file: 1, iova: IOVA, value: 8 },
        Op::SendFile { file: 0 },
        Op::LowPowerEntry { file: 0, wakes: false },
        Op::CloseFile { file: 0 },
        Op::ResetMethods { device: NVME, present: false },
        Op::SysfsReset { device: NVME },
        Op::ReceiveFile { to: 2 },
        Op::Reset { file: 2 },
    ]);
    let run = |executor: &mut Executor| -> Vec<(Answer, Seen)> {
        ops.iter().map(|op| (executor.apply(op), executor.seen())).collect()
    };
    let first = run(executor);
    assert_eq!(first.last().unwrap().0, Answer::Failed(Errno::ENOTTY));
    executor.begin();
    let second = run(executor);
    for (op, (first, second)) in ops.iter().zip(first.into_iter().zip(second)) {
        assert_eq!(first, second, "{op:?}");
    }
}

fn dma_lands_and_is_wiped(executor: &mut Executor) {
    all_ok(executor, everything());
    all_ok(executor, [Op::Dma { file: 1, iova: IOVA + 0x1000, value: 0x1234_5678 }]);
    assert_eq!(words(executor)[..2], [0, 0x1234_5678]);
    // Not attached, it reaches nothing; not even a zero arrives.
    all_ok(executor, [Op::Detach { file: 1 }, Op::Dma { file: 1, iova: IOVA + 0x1000, value: 9 }]);
    assert_eq!(words(executor)[..2], [0, 0x1234_5678]);
    assert_eq!(executor.apply(&Op::Dma { file: 0, iova: IOVA, value: 9 }), Answer::Idle);
    executor.begin();
    all_ok(executor, open(NVME, 0));
    assert_eq!(words(executor), [0, 0, 0]);
}

fn a_fault_is_an_answer(executor: &mut Executor) {
    all_ok(executor, everything());
    all_ok(executor, [Op::CpuWrite { map: 0, offset: 8, value: 5 }]);
    assert_eq!(executor.apply(&Op::CpuRead { map: 0, offset: 8 }), Answer::Ok(5));
    all_ok(executor, [command(0, 0)]);
    assert_eq!(executor.apply(&Op::CpuRead { map: 0, offset: 8 }), Answer::Failed(Errno::EFAULT));
    assert_eq!(executor.apply(&Op::CpuWrite { map: 0, offset: 8, value: 6 }), Answer::Failed(Errno::EFAULT));
    let seen = executor.seen();
    assert_eq!((seen.buffers, seen.maps), (vec![(0, 19)], vec![(0, 14)]));
    assert_eq!(seen.registers, [(0, 0), (1, 6)]);
    assert_eq!(seen.words, [(0, vec![5 << 32; 3])]);
    all_ok(executor, [command(0, 2)]);
    assert_eq!(executor.apply(&Op::CpuRead { map: 0, offset: 8 }), Answer::Ok(5));
    assert_eq!(executor.apply(&Op::CpuRead { map: 0, offset: SIZE - 2 }), Answer::Failed(Errno::EFAULT));
}

fn a_removal_ends_with_the_last_reference(executor: &mut Executor) {
    let again = Op::Open { device: NVME, context: 0, file: 3 };
    let rescan = Op::Rescan { device: NVME };
    all_ok(executor, everything());
    all_ok(executor, [Op::SendFile { file: 0 }, Op::Remove { device: NVME }]);
    assert_eq!(executor.apply(&again), Answer::Failed(Errno::ENOENT));
    assert_eq!(executor.apply(&Op::Remove { device: EDU }), Answer::Idle, "one at a time");
    all_ok(executor, [Op::CloseFile { file: 0 }, Op::UnmapBar { map: 0 }]);
    assert_eq!(executor.apply(&rescan), Answer::Idle, "a reference is under way");
    all_ok(executor, [Op::ReceiveFile { to: 0 }, Op::CloseFile { file: 0 }, rescan, again]);
    assert_eq!(executor.seen().buffers, [(0, 19)], "the export of the device that is gone");
    // The rest is the next episode's to put right.
    all_ok(executor, [Op::Remove { device: NVME }]);
}

fn a_hang_is_an_answer(executor: &mut Executor) {
    all_ok(executor, open(NVME, 0));
    all_ok(executor, [Op::Remove { device: NVME }]);
    // It waits for the device's lock, which the removal has until the file is closed.
    assert_eq!(executor.apply(&Op::SysfsReset { device: NVME }), Answer::Hung);
    assert_eq!(executor.apply(&Op::Reset { file: 0 }), Answer::Failed(Errno::EAGAIN));
}

fn hardware_is_found_out(executor: &mut Executor) {
    use ResetMethod::{Bus, Flr, Pm};
    let devices = executor.hardware().devices.iter();
    let found = devices.map(|device| {
        let first = device.reset_methods.first().copied();
        (device.name.as_str(), first, device.set, device.bus_reset, device.memory_bar)
    });
    let found: Vec<_> = found.collect();
    let expected = [
        ("nvme", Some(Flr), 0, BusReset::RootBus, Some(2)),
        ("edu", None, 1, BusReset::RootBus, None),
        ("e1000e", Some(Pm), 2, BusReset::RootBus, None),
        ("igb-vf", Some(Flr), 3, BusReset::RootBus, None),
        ("twin-a", Some(Flr), 4, BusReset::Works, Some(2)),
        ("twin-b", Some(Flr), 4, BusReset::Works, Some(2)),
        ("stubborn", Some(Pm), 6, BusReset::Fails, None),
        ("sdhci", Some(Bus), 7, BusReset::Works, None),
    ];
    assert_eq!(found, expected);
    for device in &executor.hardware().devices {
        assert_eq!(device.engine, device.name == "edu", "{}", device.name);
        assert_eq!(device.virtual_function, device.name == "igb-vf", "{}", device.name);
        assert_eq!(device.no_d3, device.name == "stubborn", "{}", device.name);
        assert!(device.layout().is_ok() && !device.reset_fails, "{}", device.name);
    }
    assert_eq!(executor.hardware().devices[0].watched, [0, 0x1000, 0x20_0000]);
}

fn twins_share_a_group(executor: &mut Executor) {
    const TWINS: [u8; 2] = [4, 5];
    all_ok(executor, open(TWINS[0], 0));
    let elsewhere = Op::Open { device: TWINS[1], context: 1, file: 1 };
    assert_eq!(executor.apply(&elsewhere), Answer::Failed(Errno::EPERM));
    all_ok(executor, open(TWINS[1], 1));
    // A twin that came back is reset with the other as before.
    all_ok(
        executor,
        [
            Op::HotReset { file: 0 },
            Op::Remove { device: TWINS[1] },
            Op::CloseFile { file: 1 },
            Op::Rescan { device: TWINS[1] },
            Op::HotReset { file: 0 },
        ],
    );
    let virtual_function = executor.hardware().devices.iter().position(|device| device.virtual_function);
    let device = virtual_function.unwrap() as u8;
    assert_eq!(executor.apply(&Op::Remove { device }), Answer::Idle);
}
