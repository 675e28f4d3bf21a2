use super::*;
use crate::hardware::{BusReset, Device, Hardware, ResetMethod};
use crate::kernel::Progress;
use crate::profile::Profile;
use proptest::prelude::*;

const SIZE: u64 = 1 << 20;
const ADDRESS: [u64; 2] = [0xa000_0000, 0xe000_0000];

fn device(set: u8) -> Device {
    let mut image = [0u8; 256];
    image[..4].copy_from_slice(&[0x36, 0x1b, 0x10, 0x00]);
    image[0x06] = 0x10;
    image[0x34] = 0x40;
    image[0x40..0x46].copy_from_slice(&[0x01, 0x50, 0x03, 0x00, 0x08, 0x00]);
    image[0x50..0x58].copy_from_slice(&[0x10, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x10]);
    Device {
        name: "memory".into(),
        config: Device::digits(&image),
        bar_sizes: [SIZE, 0, 0, 0, 0, 0],
        bar_addresses: [0x40_0000_0000, 0, 0, 0, 0, 0],
        mappable: [true, false, false, false, false, false],
        virtual_function: false,
        reset_methods: vec![ResetMethod::Flr],
        set,
        bus_reset: BusReset::RootBus,
        memory_bar: Some(0),
        watched: vec![],
        engine: false,
        no_d3: false,
        wakes_whole: false,
        extra_reset_ns: 0,
        reset_fails: false,
    }
}

/// Both devices open in space 0, both BARs exported and mapped into the process.
fn kernel() -> Kernel {
    let hardware = Hardware { devices: vec![device(0), device(1)] };
    let mut kernel = Kernel::new(&hardware, Profile::V7_3).expect("a function can be so");
    for device in 0..2 {
        let file = FileId(device);
        for call in [
            Call::Open { device, context: 0 },
            Call::Attach { file, space: 0 },
            Call::Export { file, region: 0, ranges: vec![(0, SIZE)], flags: 0 },
            Call::MapBar { file, bar: 0, offset: 0, size: SIZE },
        ] {
            kernel.call(&call).expect("it comes back").expect("it succeeds");
        }
    }
    kernel
}

fn exchange() -> Exchange {
    Exchange {
        devices: vec![(0, 1)],
        files: vec![(FileId(0), FileId(1))],
        vmas: vec![(VmaId(0), VmaId(1))],
        exports: vec![(ExportId(0), ExportId(1))],
        attachments: vec![],
        addresses: vec![(ADDRESS[0], ADDRESS[1])],
        size: SIZE,
    }
}

fn call() -> impl Strategy<Value = Call> {
    let word =
        |offset, value| Just(Call::ConfigWrite { file: FileId(0), write: ConfigWrite::word(offset, value) });
    let of_device = prop_oneof![
        word(4, 0),
        word(4, 6),
        word(0x44, 3),
        word(0x44, 0),
        word(0x58, 0x8000),
        Just(Call::ConfigWrite { file: FileId(0), write: ConfigWrite::dword(0x10, ADDRESS[0] as u32) }),
        Just(Call::Reset { file: FileId(0) }),
        Just(Call::LowPowerEntry { file: FileId(0), wakes: true }),
        Just(Call::LowPowerExit { file: FileId(0) }),
        Just(Call::SysfsReset { device: 0 }),
        Just(Call::ResetMethods { device: 0, present: false }),
        Just(Call::Remove { device: 0 }),
        Just(Call::UnmapBar { vma: VmaId(0) }),
        Just(Call::CloseFile { file: FileId(0) }),
        Just(Call::CloseBuffer { export: ExportId(0) }),
        (0usize..2).prop_map(|space| Call::MapBuffer {
            space,
            export: ExportId(0),
            start: 0,
            length: SIZE,
            iova: ADDRESS[0],
        }),
        (0usize..2).prop_map(|space| Call::Unmap { space, iova: ADDRESS[0], length: SIZE }),
        Just(Call::Copy { from: 0, to: 1, iova: ADDRESS[0], length: SIZE, to_iova: ADDRESS[0] }),
    ];
    (of_device, any::<bool>()).prop_map(|(call, second)| if second { exchange().call(&call) } else { call })
}

/// Two threads: whose turn it is, and what it calls if it has nothing to do.
fn turns() -> impl Strategy<Value = Vec<(usize, Call)>> {
    proptest::collection::vec((0usize..2, call()), 1..60)
}

fn turn(kernel: &mut Kernel, task: &mut Option<Task>, call: &Call) -> Progress {
    let mut now = task.take().unwrap_or_else(|| kernel.start(call));
    let progress = kernel.step(&mut now);
    if !matches!(progress, Progress::Done(_)) {
        *task = Some(now);
    }
    kernel.renumber_pages();
    progress
}

/// A process that has closed a descriptor cannot name it again.
#[derive(Default)]
struct Closed {
    files: Vec<FileId>,
    exports: Vec<ExportId>,
}

impl Closed {
    fn allows(&mut self, call: &Call) -> bool {
        match *call {
            Call::CloseFile { file } => {
                !self.files.contains(&file) && {
                    self.files.push(file);
                    true
                }
            }
            Call::ConfigWrite { file, .. }
            | Call::Reset { file }
            | Call::LowPowerEntry { file, .. }
            | Call::LowPowerExit { file } => !self.files.contains(&file),
            Call::CloseBuffer { export } => {
                !self.exports.contains(&export) && {
                    self.exports.push(export);
                    true
                }
            }
            Call::MapBuffer { export, .. } => !self.exports.contains(&export),
            _ => true,
        }
    }
}

proptest! {
    /// Whatever two threads do, section by section: on the exchanged kernel the exchanged calls
    /// come to the same, and leave the exchanged state.
    #[test]
    fn an_exchange_makes_no_difference(turns in turns()) {
        let by = exchange();
        let (mut one, mut two) = (kernel(), kernel().exchanged(&exchange()));
        let mut tasks = [const { (None, None) }; 2];
        let mut closed = Closed::default();
        for (thread, call) in turns {
            let (mine, theirs) = &mut tasks[thread];
            if mine.is_none() && !closed.allows(&call) {
                continue;
            }
            let first = turn(&mut one, mine, &call);
            let second = turn(&mut two, theirs, &by.call(&call));
            prop_assert_eq!(first, second);
            prop_assert_eq!(&one.exchanged(&by), &two);
            prop_assert_eq!(mine.as_ref().map(|task| by.task(task)), theirs.clone());
            prop_assert_eq!(&one.exchanged(&by).exchanged(&by), &one);
        }
    }
}

#[test]
fn an_exchange_is_seen() {
    let mut kernel = kernel();
    let off = Call::ConfigWrite { file: FileId(0), write: ConfigWrite::word(4, 0) };
    assert_eq!(kernel.exchanged(&exchange()), kernel, "the same from either side");
    kernel.call(&off);
    let exchanged = kernel.exchanged(&exchange());
    assert_ne!(exchanged, kernel);
    assert!(!exchanged.memory_enabled(1) && exchanged.memory_enabled(0));
}

#[test]
fn who_mapped_first_makes_no_difference() {
    let map = |n: usize| Call::MapBuffer {
        space: 0,
        export: ExportId(n),
        start: 0,
        length: SIZE,
        iova: ADDRESS[n],
    };
    let (mut one, mut two) = (kernel(), kernel());
    for n in [0, 1] {
        one.call(&map(n));
        two.call(&map(1 - n));
    }
    assert_ne!(one, two);
    one.renumber_pages();
    two.renumber_pages();
    assert_eq!(one, two);
}
