//! I5: nothing is lost silently. Records that were lost, places in the journal that are
//! missing, a journal without its end; and what the checker itself has no room to follow. What
//! is told as degraded is not lost.

use crate::findings::Findings;
use crate::verdict::Invariant::I5;
use crate::world::{Beyond, World};
use barkeep_journal::layout::records_of;
use barkeep_journal::{Event, Kind};

#[derive(Default)]
pub(crate) struct Places {
    /// The place after the last event, and the last event's own.
    next: u64,
    last: Option<u64>,
}

impl Places {
    #[inline]
    /// Every event: each follows the one before it.
    pub fn event(&mut self, event: &Event, out: &mut Findings) {
        let seq = event.seq;
        if seq > self.next {
            let missing = seq - self.next;
            out.add(I5, event, format!("{missing} places of the journal before this one are missing"));
        } else if self.last.is_some_and(|last| seq <= last) {
            out.add(I5, event, "the journal goes back: it is not one run's".to_owned());
        }
        let taken = match event.kind {
            Kind::Lost => event.value.unwrap_or(1).max(1),
            _ => records_of(event) as u64,
        };
        self.next = seq.saturating_add(taken);
        self.last = Some(seq);
    }
}

/// Records were lost.
pub(crate) fn lost(event: &Event, out: &mut Findings) {
    out.add(I5, event, format!("{} records lost: {}", event.value.unwrap_or(1), event.text));
}

/// The checker has no room to follow what an event is about: it is not judged.
pub(crate) fn not_followed(event: &Event, beyond: Beyond, out: &mut Findings) {
    out.add(I5, event, format!("{beyond}: {} is not judged any further", event.kind));
}

/// The journal is at its end.
pub(crate) fn end(world: &World, out: &mut Findings) {
    if !world.run_ended {
        out.add_unfinished(I5, world.last, "the journal ends without the end of the run".to_owned());
    }
}
