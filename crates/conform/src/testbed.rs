//! Hardware like that of the lab, and a subject small enough to be wrong in a known way: for
//! tests of what stands around a specification, not of one.

use crate::machine::Machine;
use barkeep_model::hardware::{BusReset, Device, ResetMethod};
use barkeep_model::op::{BUFFERS, FILES};
use barkeep_model::{Answer, Errno, Hardware, Op, Seen, Subject};

/// A capability: where, and its bytes. The list is linked in this order.
type Capability<'a> = (u8, &'a [u8]);

const PM: Capability<'_> = (0x60, &[0x01, 0, 0x03, 0, 0x08, 0, 0, 0]);
const PM_SOFT_RESET: Capability<'_> = (0x60, &[0x01, 0, 0x03, 0, 0, 0, 0, 0]);
const PCIE_WITH_FLR: Capability<'_> = (0x80, &[0x10, 0, 0x02, 0, 0, 0, 0, 0x10, 0x10, 0x28, 0, 0]);
const PCIE: Capability<'_> = (0x80, &[0x10, 0, 0x02, 0, 0, 0, 0, 0, 0x10, 0x28, 0, 0]);
const AF: Capability<'_> = (0xa0, &[0x13, 0, 6, 0x03, 0, 0]);

fn config(bars: [u32; 6], capabilities: &[Capability<'_>]) -> String {
    let mut image = vec![0; 256];
    image[..8].copy_from_slice(&[0x36, 0x1b, 0x10, 0, 0x06, 0, 0x10, 0]);
    for (at, bar) in (0x10..).step_by(4).zip(bars) {
        image[at..at + 4].copy_from_slice(&bar.to_le_bytes());
    }
    let mut link = 0x34;
    for &(at, bytes) in capabilities {
        image[link] = at;
        image[usize::from(at)..][..bytes.len()].copy_from_slice(bytes);
        link = usize::from(at) + 1;
    }
    Device::digits(&image)
}

fn device(name: &str, set: u8, config: String, bar_sizes: [u64; 6]) -> Device {
    Device {
        name: name.to_owned(),
        config,
        bar_sizes,
        bar_addresses: [0; 6],
        mappable: bar_sizes.map(|size| size >= 0x1000),
        virtual_function: false,
        reset_methods: vec![],
        set,
        bus_reset: BusReset::RootBus,
        memory_bar: None,
        watched: vec![],
        engine: false,
        no_d3: false,
        wakes_whole: false,
        extra_reset_ns: 0,
        reset_fails: false,
    }
}

/// A device of each sort there is a row for.
pub(crate) fn hardware() -> Hardware {
    let with_memory = |name: &str, set, capabilities: &[Capability<'_>]| Device {
        memory_bar: Some(2),
        watched: vec![0, 0x1004, 0x10_0000],
        reset_methods: vec![ResetMethod::Flr],
        ..device(name, set, config([4, 0, 0xc, 0, 0, 0], capabilities), [0x4000, 0, 0x100_0000, 0, 0, 0])
    };
    let edu = Device { engine: true, ..device("edu", 1, config([0; 6], &[]), [0x10_0000, 0, 0, 0, 0, 0]) };
    let io = device("e1000e", 5, config([0, 0, 1, 0, 0, 0], &[PM, PCIE]), [0x2_0000, 0, 0x20, 0, 0, 0]);
    let works = |device: Device| Device { bus_reset: BusReset::Works, ..device };
    let soft_reset = device("igb", 4, config([0; 6], &[PM_SOFT_RESET, PCIE]), [0x2_0000, 0, 0, 0, 0, 0]);
    let function = Device { virtual_function: true, ..with_memory("vf", 7, &[PCIE_WITH_FLR]) };
    let stuck = Device { bus_reset: BusReset::Fails, ..with_memory("stuck", 6, &[PM, PCIE]) };
    let devices = vec![
        with_memory("nvme", 0, &[PM, PCIE_WITH_FLR]),
        edu,
        works(with_memory("left", 2, &[PM, PCIE_WITH_FLR])),
        works(with_memory("right", 2, &[PM, PCIE_WITH_FLR])),
        with_memory("af", 3, &[AF]),
        io,
        soft_reset,
        function,
        stuck,
    ];
    Hardware { devices }
}

/// The same, looked at.
pub(crate) fn machine() -> Machine {
    Machine::new(hardware()).unwrap()
}

/// Files and buffers and nothing else: enough to have something to shrink.
#[derive(Clone, Debug, Default)]
pub(crate) struct Small {
    files: [Option<u8>; FILES],
    buffers: [Option<bool>; BUFFERS],
    decode_off: bool,
    /// The error in it.
    pub(crate) wrong: Option<Wrong>,
}

/// An error of [`Small`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Decode off does not revoke.
    DecodeOff,
    /// MAP_FILE of a revoked buffer fails with another errno.
    Errno,
    /// A rescan ends the world: no sequence without a rescan shows it.
    Rescan,
}

impl Small {
    pub(crate) fn wrong(wrong: Wrong) -> Self {
        Self { wrong: Some(wrong), ..Self::default() }
    }

    fn result(&mut self, op: &Op) -> Result<u64, Errno> {
        match *op {
            Op::Open { device, file, .. } => {
                let register = &mut self.files[usize::from(file)];
                if register.is_none() {
                    *register = Some(device);
                }
            }
            Op::CloseFile { file } => self.files[usize::from(file)] = None,
            Op::ConfigWrite { file, offset: 4, value, .. } if self.files[usize::from(file)].is_some() => {
                let revoked = value & 2 == 0;
                self.decode_off = revoked;
                if !revoked || self.wrong != Some(Wrong::DecodeOff) {
                    self.buffers.iter_mut().flatten().for_each(|buffer| *buffer = revoked);
                }
            }
            Op::Export { file, buffer, .. } if self.files[usize::from(file)].is_some() => {
                let revoked = self.decode_off;
                self.buffers[usize::from(buffer)].get_or_insert(revoked);
            }
            Op::CloseBuffer { buffer } => self.buffers[usize::from(buffer)] = None,
            Op::Map { source: barkeep_model::Source::Buffer(buffer), .. } => {
                let error = if self.wrong == Some(Wrong::Errno) { Errno::EINVAL } else { Errno::ENODEV };
                if self.buffers[usize::from(buffer)] == Some(true) {
                    return Err(error);
                }
            }
            Op::Rescan { .. } if self.wrong == Some(Wrong::Rescan) => return Err(Errno::EIO),
            _ => {}
        }
        Ok(0)
    }
}

impl Subject for Small {
    fn begin(&mut self) {
        *self = Self { wrong: self.wrong, ..Self::default() };
    }

    fn apply(&mut self, op: &Op) -> Answer {
        self.result(op).into()
    }

    fn seen(&mut self) -> Seen {
        let errno = |revoked: bool| if revoked { 19 } else { 0 };
        let buffers = (0..).zip(self.buffers).filter_map(|(at, buffer)| Some((at, errno(buffer?))));
        Seen { buffers: buffers.collect(), ..Seen::default() }
    }
}
