//! An importer of dma-bufs that is driven step by step: the test module of `guest-kernel/importer`,
//! which the lab loads for a topology that binds a device to [`DRIVER`].
//!
//! A [`Session`] has one importing device to itself; an [`Attachment`] is one of it to one dma-buf.
//! Dropping either gives it up, mappings and all.

mod engine;
mod version;

use crate::errors;
use crate::sys::importer as sys;
use barkeep_journal::DeviceAddress;
use barkeep_model::Errno;
pub use engine::Engine;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
pub use version::{NotOffered, VERSION, fits, offered};

/// The driver that importing devices are bound to.
pub const DRIVER: &str = "barkeep-importer";
const NODE: &str = "/dev/barkeep-importer";

/// An importing device, taken.
#[derive(Clone, Debug)]
pub struct Session(Arc<File>);

/// What a device can do as an importer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Width of the addresses it can give out, 1 to 64.
    pub dma_bits: u32,
    /// Bytes of its largest segment, a multiple of the page size; 0: no limit.
    pub max_segment: u32,
}

impl Limits {
    /// None.
    pub const NONE: Self = Self { dma_bits: 64, max_segment: 0 };
}

/// In which way it attaches. The default is a static attachment, for which neither peers' memory nor a
/// dma-buf that moves will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Peers' memory is welcome.
    pub peer2peer: bool,
    /// What it does when it is told to let go; absent: it cannot be told.
    pub when_told: Option<WhenTold>,
    /// Who may write what.
    pub direction: Direction,
}

impl Manner {
    /// As an importer of a BAR has to be.
    pub const PEER: Self =
        Self { peer2peer: true, when_told: Some(WhenTold::LetGo), direction: Direction::BothWays };

    /// A peer that does this when it is told to let go.
    pub const fn peer(when_told: WhenTold) -> Self {
        Self { when_told: Some(when_told), ..Self::PEER }
    }
}

/// What an importer does that is told to let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenTold {
    /// It unmaps at once, as it should.
    LetGo,
    /// It keeps its mapping that many milliseconds longer; 0: until it is unmapped.
    Hold(u32),
    /// It unmaps, and tries at once to map again.
    MapAgain,
}

/// `enum dma_data_direction`, what of it an importer may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// `DMA_BIDIRECTIONAL`.
    #[default]
    BothWays,
    /// `DMA_TO_DEVICE`: the device reads.
    ToDevice,
    /// `DMA_FROM_DEVICE`: the device writes.
    FromDevice,
}

/// How a mapping is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By the exporter's scatter list.
    Table,
    /// Of the physical range, by the two-step DMA API, without a scatter list.
    Range,
}

/// A piece of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What the importing device puts on the bus.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// Where the IOMMU leads it; absent: it is an address on the bus, and no IOMMU stands before it.
    pub physical: Option<u64>,
}

/// What became of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether it is mapped.
    pub mapped: bool,
    /// Whether it was told to let go and has not yet.
    pub held: bool,
    /// How often it was told to let go, or of a move.
    pub notices: u64,
    /// How often a mapping was given up because of that.
    pub released: u64,
    /// How often a use had to map.
    pub faults: u64,
    /// What became of the last try to map from inside a notice.
    pub in_notice: Result<(), Errno>,
    /// Events so far.
    pub events: u64,
}

/// Something that happened to an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// What.
    pub kind: EventKind,
}

/// What can happen to an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Somebody tried to map it.
    Mapped(Result<(), Errno>),
    /// It was told to let go, or of a move.
    Notice,
    /// A mapping was given up because of a notice.
    Released,
    /// A notice came, and the mapping was kept.
    Held,
    /// It was unmapped of its own accord.
    Unmapped,
}

impl Session {
    /// Takes a device.
    ///
    /// # Errors
    /// ENOENT if the module is not loaded, EPROTO if it speaks another version ([`offered`] says which), ENODEV if the device is not bound to [`DRIVER`], EBUSY if
    /// another session has it, EINVAL for limits that are none, EIO for a width the platform lacks.
    pub fn open(device: DeviceAddress, limits: Limits) -> Result<Self, Errno> {
        let node = File::options().read(true).write(true).open(NODE).map_err(|e| errors::of_io(&e))?;
        offered().map_err(|_| Errno::EPROTO)?;
        let mut bind = sys::Bind {
            domain: device.domain.into(),
            bus: device.bus.into(),
            devfn: device.devfn.into(),
            dma_bits: limits.dma_bits,
            max_segment: limits.max_segment,
            reserved: 0,
        };
        sys::bind(&node, &mut bind)?;
        Ok(Self(Arc::new(node)))
    }

    /// Attaches it to a dma-buf.
    ///
    /// # Errors
    /// Whatever the exporter says; EBADF or EINVAL for a file that is no dma-buf.
    pub fn attach(&self, buffer: &File, manner: Manner) -> Result<Attachment, Errno> {
        let (when_told, hold_ms) = match manner.when_told {
            None => (0, 0),
            Some(WhenTold::LetGo) => (sys::INVALIDATE, 0),
            Some(WhenTold::Hold(milliseconds)) => (sys::INVALIDATE | sys::HOLD, milliseconds),
            Some(WhenTold::MapAgain) => (sys::INVALIDATE | sys::MAP_IN_NOTICE, 0),
        };
        let mut attach = sys::Attach {
            fd: buffer.as_raw_fd(),
            flags: when_told | if manner.peer2peer { sys::PEER2PEER } else { 0 },
            direction: match manner.direction {
                Direction::BothWays => 0,
                Direction::ToDevice => 1,
                Direction::FromDevice => 2,
            },
            hold_ms,
            ..sys::Attach::default()
        };
        sys::attach(&self.0, &mut attach)?;
        Ok(Attachment { session: self.clone(), id: attach.id, size: attach.size, detach: true })
    }

    /// The errnos of calls that are nonsense, each beside what it should be.
    pub fn nonsense(&self, buffer: &File) -> Vec<(&'static str, Result<(), Errno>, Errno)> {
        let node = &*self.0;
        let fd = buffer.as_raw_fd();
        let attach = |attach: sys::Attach| sys::attach(node, &mut { attach });
        let nobody = || sys::Id { id: 0x7fff, reserved: 0 };
        let attach_of = |fd, flags| sys::Attach { fd, flags, ..sys::Attach::default() };
        vec![
            ("a number that is none", sys::no_such_call(node, &mut nobody()), Errno::ENOTTY),
            (
                "a second device",
                sys::bind(node, &mut sys::Bind { dma_bits: 64, ..sys::Bind::default() }),
                Errno::EALREADY,
            ),
            ("no bits", sys::bind(node, &mut sys::Bind::default()), Errno::EINVAL),
            ("no descriptor", attach(attach_of(-1, sys::PEER2PEER)), Errno::EBADF),
            ("no dma-buf", attach(attach_of(node.as_raw_fd(), sys::PEER2PEER)), Errno::EINVAL),
            ("flags that are none", attach(attach_of(fd, 0x80)), Errno::EINVAL),
            (
                "to hold what it is not told of",
                attach(attach_of(fd, sys::PEER2PEER | sys::HOLD)),
                Errno::EINVAL,
            ),
            (
                "no direction",
                attach(sys::Attach { direction: 3, ..attach_of(fd, sys::PEER2PEER) }),
                Errno::EINVAL,
            ),
            (
                "nobody to map",
                sys::map(node, &mut sys::Map { id: 0x7fff, ..sys::Map::default() }),
                Errno::ENOENT,
            ),
            ("no form", sys::map(node, &mut sys::Map { form: 7, ..sys::Map::default() }), Errno::EINVAL),
            ("nobody to unmap", sys::unmap(node, &mut nobody()), Errno::ENOENT),
            ("nobody to detach", sys::detach(node, &mut nobody()), Errno::ENOENT),
            ("reserved bits", sys::pin(node, &mut sys::Id { id: 0, reserved: 1 }), Errno::EINVAL),
        ]
    }
}

/// An importing device and a dma-buf.
#[derive(Debug)]
pub struct Attachment {
    session: Session,
    id: u32,
    size: u64,
    /// Whether to detach when it is dropped.
    detach: bool,
}

impl Attachment {
    /// Leaves it attached, and mapped if it is, until the session ends.
    pub fn leave(mut self) {
        self.detach = false;
    }

    /// Bytes of the dma-buf.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Maps it; gives the entries of the exporter's table, or 1.
    ///
    /// # Errors
    /// Whatever the exporter says; EEXIST if it is mapped.
    pub fn map(&self, form: Form) -> Result<u32, Errno> {
        let mut map = sys::Map { id: self.id, form: u32::from(form == Form::Range), ..sys::Map::default() };
        sys::map(&self.session.0, &mut map)?;
        Ok(map.segments)
    }

    /// Unmaps it.
    ///
    /// # Errors
    /// ENOLINK if it is not mapped.
    pub fn unmap(&self) -> Result<(), Errno> {
        sys::unmap(&self.session.0, &mut self.named())
    }

    /// What the mapping is made of, whole or cut to the device's largest segment.
    ///
    /// # Errors
    /// ENOLINK if it is not mapped.
    pub fn segments(&self, cut: bool) -> Result<Vec<Segment>, Errno> {
        let flags = if cut { sys::CUT } else { 0 };
        let mut all = Vec::new();
        loop {
            let (some, total) = sys::segments(&self.session.0, self.id, flags, all.len() as u64)?;
            all.extend(some.iter().map(|segment| Segment {
                address: segment.address,
                length: segment.length,
                physical: (segment.kind == sys::KIND_IOVA).then_some(segment.physical),
            }));
            if some.is_empty() || all.len() as u64 >= total {
                return Ok(all);
            }
        }
    }

    /// How many [`Self::segments`] there are, cut.
    ///
    /// # Errors
    /// ENOLINK if it is not mapped.
    pub fn count_cut(&self) -> Result<u64, Errno> {
        sys::segments(&self.session.0, self.id, sys::CUT, u64::MAX).map(|(_, total)| total)
    }

    /// Uses a byte of it as an RDMA memory region is used: maps it if it is not. Gives what the device
    /// would put on the bus, and whether it had to be mapped.
    ///
    /// # Errors
    /// Whatever the exporter says of a map; EINVAL beyond the dma-buf.
    pub fn use_at(&self, offset: u64) -> Result<(u64, bool), Errno> {
        let mut request = sys::Use { id: self.id, offset, ..sys::Use::default() };
        sys::use_memory(&self.session.0, &mut request)?;
        Ok((request.address, request.faulted != 0))
    }

    /// Pins it.
    ///
    /// # Errors
    /// Whatever the exporter says; EINVAL for a static attachment, EALREADY.
    pub fn pin(&self) -> Result<(), Errno> {
        sys::pin(&self.session.0, &mut self.named())
    }

    /// Unpins it.
    ///
    /// # Errors
    /// ENOLINK if it is not pinned.
    pub fn unpin(&self) -> Result<(), Errno> {
        sys::unpin(&self.session.0, &mut self.named())
    }

    /// What became of it.
    ///
    /// # Errors
    /// EINTR; ENODEV if the device was taken away.
    pub fn state(&self) -> Result<State, Errno> {
        let mut state = sys::State { id: self.id, ..sys::State::default() };
        sys::state(&self.session.0, &mut state)?;
        Ok(State {
            mapped: state.mapped != 0,
            held: state.held != 0,
            notices: state.notices,
            released: state.released,
            faults: state.faults,
            in_notice: result_of(-state.in_notice),
            events: state.events,
        })
    }

    /// What happened to it from event number `first` on.
    ///
    /// # Errors
    /// ESTALE if that is not kept any more.
    pub fn events(&self, first: u64) -> Result<Vec<Event>, Errno> {
        let events = sys::events(&self.session.0, self.id, first)?;
        events.iter().map(|event| Ok(Event { time: event.time, kind: kind_of(event)? })).collect()
    }

    fn named(&self) -> sys::Id {
        sys::Id { id: self.id, reserved: 0 }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.detach {
            // It is there, or the device has gone and it with that.
            let _ = sys::detach(&self.session.0, &mut self.named());
        }
    }
}

fn kind_of(event: &sys::Event) -> Result<EventKind, Errno> {
    Ok(match event.kind {
        1 => EventKind::Mapped(result_of(event.result)),
        2 => EventKind::Notice,
        3 => EventKind::Released,
        4 => EventKind::Held,
        5 => EventKind::Unmapped,
        _ => return Err(Errno::EPROTO),
    })
}

/// Of what a kernel function returned: 0 or a negative errno.
fn result_of(returned: i32) -> Result<(), Errno> {
    if returned == 0 { Ok(()) } else { Err(Errno::from_number(-returned)) }
}
