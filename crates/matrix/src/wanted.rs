//! What the journal of a cell has to show.

use barkeep_scenario::language::Place;

/// What becomes of the ways to a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Away, and back.
    Back,
    /// The peers' away and back by the VMM's own noticing; the CPU's never seen to be away.
    DmaBack,
    /// Away for ever.
    Gone,
    /// Never away.
    Kept,
    /// Refused with this errno, or without effect; there afterwards.
    Refused(&'static str),
}

/// A BAR that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The device's name.
    pub device: String,
    /// Index.
    pub bar: u8,
    /// Bytes from its start.
    pub offset: u64,
    /// Whether peers reach it.
    pub peers: bool,
}

impl Bar {
    /// The one a place is in.
    pub fn of(place: &Place) -> Self {
        Self { device: place.device.clone(), bar: place.bar, offset: place.offset, peers: true }
    }
}

/// What the journal of a cell has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What happens to this one is what is measured.
    pub victim: Bar,
    /// These go through the same.
    pub others: Vec<Bar>,
    /// What becomes of them.
    pub end: End,
    /// The action after which it is looked at, as the journal has it, where nothing else shows that
    /// something was tried: a write that does nothing is no event.
    pub action: Option<String>,
}
