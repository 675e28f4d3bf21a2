//! Perfetto's messages, as far as they are used: `protos/perfetto/trace/trace_packet.proto`,
//! `track_event/track_event.proto`, `track_event/track_descriptor.proto`,
//! `track_event/debug_annotation.proto`. Names and numbers are theirs.

use super::SEQUENCE;
use prost::{Enumeration, Message};

/// `Trace`: any number of them in a row are one.
#[derive(Clone, PartialEq, Message)]
pub struct Trace {
    #[prost(message, repeated, tag = "1")]
    pub packet: Vec<TracePacket>,
}

/// `TracePacket`; what it is of is one of two here.
#[derive(Clone, PartialEq, Message)]
pub struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    pub timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    pub trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    pub track_event: Option<TrackEvent>,
    #[prost(uint32, optional, tag = "13")]
    pub sequence_flags: Option<u32>,
    #[prost(message, optional, tag = "60")]
    pub track_descriptor: Option<Track>,
}

/// `TracePacket.SequenceFlags.SEQ_INCREMENTAL_STATE_CLEARED`.
const CLEARED: u32 = 1;

/// `TrackDescriptor`.
#[derive(Clone, PartialEq, Message)]
pub struct Track {
    #[prost(uint64, optional, tag = "1")]
    pub uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(uint64, optional, tag = "5")]
    pub parent_uuid: Option<u64>,
    #[prost(message, optional, tag = "8")]
    pub counter: Option<CounterDescriptor>,
    #[prost(enumeration = "Ordering", optional, tag = "11")]
    pub child_ordering: Option<i32>,
    #[prost(int32, optional, tag = "12")]
    pub sibling_order_rank: Option<i32>,
}

/// `CounterDescriptor`.
#[derive(Clone, PartialEq, Message)]
pub struct CounterDescriptor {}

/// `TrackDescriptor.ChildTracksOrdering`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Ordering {
    Unknown = 0,
    Explicit = 3,
}

/// `TrackEvent`.
#[derive(Clone, PartialEq, Message)]
pub struct TrackEvent {
    #[prost(message, repeated, tag = "4")]
    pub debug_annotations: Vec<Annotation>,
    #[prost(enumeration = "Type", optional, tag = "9")]
    pub r#type: Option<i32>,
    #[prost(uint64, optional, tag = "11")]
    pub track_uuid: Option<u64>,
    #[prost(string, repeated, tag = "22")]
    pub categories: Vec<String>,
    #[prost(string, optional, tag = "23")]
    pub name: Option<String>,
    #[prost(int64, optional, tag = "30")]
    pub counter_value: Option<i64>,
    #[prost(fixed64, repeated, packed = "false", tag = "47")]
    pub flow_ids: Vec<u64>,
    #[prost(fixed64, repeated, packed = "false", tag = "48")]
    pub terminating_flow_ids: Vec<u64>,
}

/// `TrackEvent.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Type {
    Unspecified = 0,
    SliceBegin = 1,
    SliceEnd = 2,
    Instant = 3,
    Counter = 4,
}

/// `DebugAnnotation`.
#[derive(Clone, PartialEq, Message)]
pub struct Annotation {
    #[prost(uint64, optional, tag = "3")]
    pub uint_value: Option<u64>,
    #[prost(string, optional, tag = "6")]
    pub string_value: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub name: Option<String>,
}

impl Annotation {
    /// A number by its name.
    pub fn number(name: &str, value: u64) -> Self {
        Self { uint_value: Some(value), name: Some(name.to_owned()), ..Self::default() }
    }

    /// A text by its name.
    pub fn text(name: &str, value: String) -> Self {
        Self { string_value: Some(value), name: Some(name.to_owned()), ..Self::default() }
    }
}

impl TrackEvent {
    /// One of a track.
    pub fn new(r#type: Type, track: u64) -> Self {
        Self { r#type: Some(r#type as i32), track_uuid: Some(track), ..Self::default() }
    }
}

impl Track {
    /// The one that all others are under.
    pub fn root(uuid: u64, name: String) -> Self {
        let child_ordering = Some(Ordering::Explicit as i32);
        Self { uuid: Some(uuid), name: Some(name), child_ordering, ..Self::default() }
    }

    /// A lane, at its place.
    pub fn lane(uuid: u64, parent: u64, name: &str, rank: usize) -> Self {
        Self { sibling_order_rank: i32::try_from(rank).ok(), ..Self::under(uuid, parent, name) }
    }

    /// A counter, at its place.
    pub fn counter(uuid: u64, parent: u64, name: String, rank: usize) -> Self {
        Self { counter: Some(CounterDescriptor {}), ..Self::lane(uuid, parent, &name, rank) }
    }

    /// One that is under another.
    pub fn under(uuid: u64, parent: u64, name: &str) -> Self {
        Self { uuid: Some(uuid), name: Some(name.to_owned()), parent_uuid: Some(parent), ..Self::default() }
    }
}

/// The first packet of the sequence.
pub fn first(track: Track) -> TracePacket {
    TracePacket { sequence_flags: Some(CLEARED), ..descriptor(track) }
}

/// A track is described.
pub fn descriptor(track: Track) -> TracePacket {
    TracePacket {
        trusted_packet_sequence_id: Some(SEQUENCE),
        track_descriptor: Some(track),
        ..TracePacket::default()
    }
}

/// Something happens on one.
pub fn event(ns: u64, event: TrackEvent) -> TracePacket {
    TracePacket {
        timestamp: Some(ns),
        trusted_packet_sequence_id: Some(SEQUENCE),
        track_event: Some(event),
        ..TracePacket::default()
    }
}
