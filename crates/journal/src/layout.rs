//! The bytes of a journal file: one header page, then records of [`RECORD_SIZE`] bytes.
//!
//! Little endian, and only ever mapped on little-endian machines (vfio-pci's P2P users are
//! x86-64 and arm64).

use crate::event::{DeviceAddress, Event};
use crate::kinds::{Actor, Kind, Phase, SeenBy, Trigger};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First eight bytes of a journal file.
pub const MAGIC: u64 = u64::from_le_bytes(*b"BARKEEPJ");
/// Version of this layout and of the vocabularies.
pub const VERSION: u32 = 1;
/// Bytes before the first record.
pub const HEADER_SIZE: usize = 4096;
/// Bytes of a record.
pub const RECORD_SIZE: usize = 128;
/// Bytes of text a record holds; longer texts go on in [`Kind::Continuation`] records.
pub const TEXT_SIZE: usize = 64;

/// Offsets in the header page.
pub mod header {
    /// `u64` [`super::MAGIC`], written last: a journal without it was never set up.
    pub const MAGIC: usize = 0;
    /// `u32` [`super::VERSION`].
    pub const VERSION: usize = 8;
    /// `u32` [`crate::Lane`].
    pub const LANE: usize = 12;
    /// `u32` [`crate::Clock`].
    pub const CLOCK: usize = 16;
    /// `u32` 1 once the run has ended by itself.
    pub const FINISHED: usize = 20;
    /// `u64` records there is room for.
    pub const CAPACITY: usize = 24;
    /// `u64` the next record to hand out.
    pub const NEXT: usize = 32;
    /// `u32` the next step's number less one.
    pub const STEP: usize = 40;
    /// `i32` the run's exit status, once finished.
    pub const STATUS: usize = 44;
    /// `u64` where [`crate::written::stopped`] is in the process that set the journal up.
    pub const STOPS_AT: usize = 48;
    /// `u64` the place of the event after which to come there, plus one; 0 for none. Whoever made the file may have
    /// written it.
    pub const STOP_AFTER: usize = 56;
}

/// Bits of [`Record::present`].
mod present {
    pub const ADDRESS: u8 = 1;
    pub const SIZE: u8 = 2;
    pub const VALUE: u8 = 4;
    pub const RESULT: u8 = 8;
    pub const MORE: u8 = 16;
}

/// One record. `commit` is its sequence number plus one, stored last: anything else there
/// means the record was never finished.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Record {
    /// Sequence number plus one.
    pub commit: u64,
    time_ns: u64,
    kind: u16,
    phase: u8,
    actor: u8,
    index: u16,
    trigger: u8,
    seen_by: u8,
    step: u32,
    result: i32,
    device: u32,
    bar: u8,
    present: u8,
    text_len: u8,
    _pad: u8,
    address: u64,
    size: u64,
    value: u64,
    text: [u8; TEXT_SIZE],
}

const _: () = assert!(size_of::<Record>() == RECORD_SIZE);

const NO_BAR: u8 = 0xff;

/// Records an event takes.
#[inline]
pub fn records_of(event: &Event) -> usize {
    event.text.len().div_ceil(TEXT_SIZE).max(1)
}

/// Bytes of a record before its text. A record without text is written only so far: what
/// stands behind is not read.
pub const HEAD_SIZE: usize = RECORD_SIZE - TEXT_SIZE;

/// The `n`th record of an event whose first one is number `seq`.
#[inline]
pub fn encode(event: &Event, n: usize, seq: u64, time_ns: u64) -> Record {
    let bit = |there: bool, bit: u8| if there { bit } else { 0 };
    let (chunk, more) = chunk(&event.text, n);
    let mut record = Record {
        commit: seq + n as u64 + 1,
        time_ns,
        kind: if n == 0 { event.kind } else { Kind::Continuation } as u16,
        phase: event.phase as u8,
        actor: event.actor as u8,
        index: event.index,
        trigger: event.trigger as u8,
        seen_by: event.seen_by as u8,
        step: event.step,
        result: event.result.unwrap_or(0),
        device: DeviceAddress::option_to_bits(event.device),
        bar: event.bar.unwrap_or(NO_BAR),
        present: bit(event.address.is_some(), present::ADDRESS)
            | bit(event.size.is_some(), present::SIZE)
            | bit(event.value.is_some(), present::VALUE)
            | bit(event.result.is_some(), present::RESULT)
            | bit(more, present::MORE),
        text_len: chunk.len() as u8,
        _pad: 0,
        address: event.address.unwrap_or(0),
        size: event.size.unwrap_or(0),
        value: event.value.unwrap_or(0),
        text: [0; TEXT_SIZE],
    };
    record.text[..chunk.len()].copy_from_slice(chunk);
    record
}

/// The bytes of a text that go into the `n`th record, and whether there are more.
#[inline]
fn chunk(text: &str, n: usize) -> (&[u8], bool) {
    let rest = &text.as_bytes()[(n * TEXT_SIZE).min(text.len())..];
    match rest.split_at_checked(TEXT_SIZE) {
        Some((chunk, rest)) => (chunk, !rest.is_empty()),
        None => (rest, false),
    }
}

impl Record {
    /// Whether the next record continues this one's text.
    pub fn more(&self) -> bool {
        self.present & present::MORE != 0
    }

    /// Whether this record only continues another's text.
    pub fn is_continuation(&self) -> bool {
        self.kind == Kind::Continuation as u16
    }

    /// Bytes of it that carry anything.
    #[inline]
    pub fn used(&self) -> usize {
        if self.text_len == 0 { HEAD_SIZE } else { RECORD_SIZE }
    }

    /// The text's bytes in this record.
    pub fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.text_len).min(TEXT_SIZE)]
    }

    /// The event without its text, `None` where a number is not of this version.
    pub fn decode(&self) -> Option<Event> {
        let there = |bit: u8| self.present & bit != 0;
        let mut event = Event::new(Kind::from_number(self.kind)?, Actor::from_number(self.actor)?);
        event.seq = self.commit.checked_sub(1)?;
        event.time_ns = self.time_ns;
        event.phase = Phase::from_number(self.phase)?;
        event.index = self.index;
        event.step = self.step;
        event.trigger = Trigger::from_number(self.trigger)?;
        event.seen_by = SeenBy::from_number(self.seen_by)?;
        event.device = DeviceAddress::from_bits(self.device);
        event.bar = (self.bar != NO_BAR).then_some(self.bar);
        event.address = there(present::ADDRESS).then_some(self.address);
        event.size = there(present::SIZE).then_some(self.size);
        event.value = there(present::VALUE).then_some(self.value);
        event.result = there(present::RESULT).then_some(self.result);
        Some(event)
    }
}
