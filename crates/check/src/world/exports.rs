//! The windows of a device that are exported as dma-bufs.

use barkeep_journal::Event;

/// A window that was exported: BAR, offset in it, size in bytes.
pub(crate) type Export = (u8, u64, u64);

/// Different windows that are kept apart.
const WINDOWS: usize = 1024;

/// What was exported and not closed: each window once, with how often, so that a run that
/// exports for ever and never closes is a number.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    open: Vec<(Export, u64)>,
    /// Those of further windows.
    beyond: u64,
    /// Something was exported, perhaps closed since.
    pub once: bool,
}

impl Exports {
    pub fn add(&mut self, event: &Event) {
        self.once = true;
        let Some(export) = export_of(event) else { return };
        match self.open.iter().position(|(known, _)| *known == export) {
            Some(at) => self.open[at].1 += 1,
            None if self.open.len() < WINDOWS => self.open.push((export, 1)),
            None => self.beyond += 1,
        }
    }

    pub fn close(&mut self, event: &Event) {
        let closed = export_of(event);
        match self.open.iter().position(|(export, _)| Some(*export) == closed) {
            Some(at) if self.open[at].1 == 1 => drop(self.open.swap_remove(at)),
            Some(at) => self.open[at].1 -= 1,
            None => self.beyond = self.beyond.saturating_sub(u64::from(closed.is_some())),
        }
    }

    /// Each window, with how many of its dma-bufs are open.
    pub fn iter(&self) -> impl Iterator<Item = (Export, u64)> {
        self.open.iter().copied()
    }

    /// How many are open of windows that are not kept apart.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }
}

fn export_of(event: &Event) -> Option<Export> {
    Some((event.bar?, event.address?, event.size?))
}
