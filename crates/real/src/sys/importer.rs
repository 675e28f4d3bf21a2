//! The ioctls of the test importer, as `guest-kernel/importer/barkeep_importer.h` has them. Structs
//! with a reserved field have it zero, by `Default`.

use super::returned;
use barkeep_model::Errno;
use std::fs::File;
use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::{ioctl_io_nr, ioctl_iow_nr, ioctl_iowr_nr};

const TYPE: u32 = b'K' as u32;

pub(crate) const PEER2PEER: u32 = 1;
pub(crate) const INVALIDATE: u32 = 2;
pub(crate) const HOLD: u32 = 4;
pub(crate) const MAP_IN_NOTICE: u32 = 8;
/// `BKI_CUT`.
pub(crate) const CUT: u32 = 1;
/// `BKI_KIND_IOVA`.
pub(crate) const KIND_IOVA: u32 = 1;
/// `BKI_MAX_SEGMENTS`.
pub(crate) const MAX_SEGMENTS: usize = 1024;
/// `BKI_MAX_EVENTS`.
pub(crate) const MAX_EVENTS: usize = 64;

/// `struct bki_bind`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Bind {
    pub(crate) domain: u32,
    pub(crate) bus: u32,
    pub(crate) devfn: u32,
    pub(crate) dma_bits: u32,
    pub(crate) max_segment: u32,
    pub(crate) reserved: u32,
}

/// `struct bki_attach`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Attach {
    pub(crate) fd: i32,
    pub(crate) flags: u32,
    pub(crate) direction: u32,
    pub(crate) hold_ms: u32,
    pub(crate) id: u32,
    pub(crate) reserved: u32,
    pub(crate) size: u64,
}

/// `struct bki_map`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Map {
    pub(crate) id: u32,
    pub(crate) form: u32,
    pub(crate) segments: u32,
    pub(crate) reserved: u32,
}

/// `struct bki_id`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Id {
    pub(crate) id: u32,
    pub(crate) reserved: u32,
}

/// `struct bki_segment`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    pub(crate) length: u64,
    pub(crate) physical: u64,
    pub(crate) kind: u32,
    pub(crate) reserved: u32,
}

/// `struct bki_segments`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Segments {
    pub(crate) id: u32,
    pub(crate) flags: u32,
    pub(crate) first: u64,
    pub(crate) segments: u64,
    pub(crate) capacity: u32,
    pub(crate) count: u32,
    pub(crate) total: u64,
}

/// `struct bki_use`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Use {
    pub(crate) id: u32,
    pub(crate) faulted: u32,
    pub(crate) offset: u64,
    pub(crate) address: u64,
}

/// `struct bki_state`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct State {
    pub(crate) id: u32,
    pub(crate) mapped: u32,
    pub(crate) held: u32,
    pub(crate) pinned: u32,
    pub(crate) notices: u64,
    pub(crate) released: u64,
    pub(crate) faults: u64,
    pub(crate) in_notice: i32,
    pub(crate) reserved: u32,
    pub(crate) events: u64,
}

/// `struct bki_event`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Event {
    pub(crate) time: u64,
    pub(crate) kind: u32,
    pub(crate) result: i32,
}

/// `struct bki_events`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) id: u32,
    pub(crate) capacity: u32,
    pub(crate) first: u64,
    pub(crate) events: u64,
    pub(crate) count: u32,
    pub(crate) reserved: u32,
}

ioctl_iow_nr!(BKI_BIND, TYPE, 0xe0, Bind);
ioctl_iowr_nr!(BKI_ATTACH, TYPE, 0xe1, Attach);
ioctl_iow_nr!(BKI_DETACH, TYPE, 0xe2, Id);
ioctl_iowr_nr!(BKI_MAP, TYPE, 0xe3, Map);
ioctl_iow_nr!(BKI_UNMAP, TYPE, 0xe4, Id);
ioctl_iowr_nr!(BKI_SEGMENTS, TYPE, 0xe5, Segments);
ioctl_iowr_nr!(BKI_USE, TYPE, 0xe6, Use);
ioctl_iow_nr!(BKI_PIN, TYPE, 0xe7, Id);
ioctl_iow_nr!(BKI_UNPIN, TYPE, 0xe8, Id);
ioctl_iowr_nr!(BKI_STATE, TYPE, 0xe9, State);
ioctl_iowr_nr!(BKI_EVENTS, TYPE, 0xea, Events);
// None of its.
ioctl_io_nr!(BKI_NONE, TYPE, 0xeb);

macro_rules! calls {
    ($($name:ident, $number:ident, $argument:ty, $what:literal;)+) => { $(
        #[doc = concat!("`", stringify!($number), "`: ", $what, ".")]
        ///
        /// # Errors
        /// The errno of the ioctl.
        pub(crate) fn $name(session: &File, argument: &mut $argument) -> Result<(), Errno> {
            // SAFETY: the struct is the ioctl's own; those that hold pointers are made below, where
            // what they point at is as long as they say.
            returned(unsafe { ioctl_with_mut_ref(session, $number(), argument) }).map(drop)
        }
    )+ };
}

calls! {
    bind, BKI_BIND, Bind, "choose the importing device";
    attach, BKI_ATTACH, Attach, "attach it to a dma-buf";
    detach, BKI_DETACH, Id, "detach it";
    map, BKI_MAP, Map, "map an attachment";
    unmap, BKI_UNMAP, Id, "unmap it";
    pin, BKI_PIN, Id, "pin it";
    unpin, BKI_UNPIN, Id, "unpin it";
    use_memory, BKI_USE, Use, "use it as an RDMA memory region is used";
    state, BKI_STATE, State, "what became of it";
    no_such_call, BKI_NONE, Id, "a number that is none of its";
}

/// `BKI_SEGMENTS`: those from `first` on, [`MAX_SEGMENTS`] at the most, and how many there are.
///
/// # Errors
/// The errno of the ioctl.
pub(crate) fn segments(
    session: &File,
    id: u32,
    flags: u32,
    first: u64,
) -> Result<(Vec<Segment>, u64), Errno> {
    let mut room = vec![Segment::default(); MAX_SEGMENTS];
    let mut request = Segments {
        id,
        flags,
        first,
        segments: room.as_mut_ptr() as u64,
        capacity: MAX_SEGMENTS as u32,
        ..Segments::default()
    };
    // SAFETY: the struct is the ioctl's own, and `room` has as many segments as it says.
    returned(unsafe { ioctl_with_mut_ref(session, BKI_SEGMENTS(), &mut request) })?;
    room.truncate(request.count as usize);
    Ok((room, request.total))
}

/// `BKI_EVENTS`: those from number `first` on that are kept.
///
/// # Errors
/// The errno of the ioctl.
pub(crate) fn events(session: &File, id: u32, first: u64) -> Result<Vec<Event>, Errno> {
    let mut room = vec![Event::default(); MAX_EVENTS];
    let mut request = Events {
        id,
        capacity: MAX_EVENTS as u32,
        first,
        events: room.as_mut_ptr() as u64,
        ..Events::default()
    };
    // SAFETY: the struct is the ioctl's own, and `room` has as many events as it says.
    returned(unsafe { ioctl_with_mut_ref(session, BKI_EVENTS(), &mut request) })?;
    room.truncate(request.count as usize);
    Ok(room)
}
