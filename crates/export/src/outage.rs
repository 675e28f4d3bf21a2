//! Whether the CPU can reach a window at this moment, as one word that vCPU threads, and the
//! guest program that checks them, read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where a window stands between reachable and not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The slot is in; accesses land.
    Live = 0,
    /// The slot is being withdrawn; an access may land or be answered.
    Closing = 1,
    /// The slot is out; every access is answered by the VMM: all ones, writes dropped.
    Out = 2,
    /// The slot is being put back; an access may land or be answered.
    Opening = 3,
}

/// `4 * generation + phase`. The generation counts outages.
#[derive(Debug)]
pub struct OutageWord(AtomicU64);

impl Default for OutageWord {
    /// Out, before the first mapping.
    fn default() -> Self {
        Self(AtomicU64::new(Phase::Out as u64))
    }
}

impl OutageWord {
    /// The word itself.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The phase in it.
    pub fn phase(&self) -> Phase {
        match self.get() & 3 {
            0 => Phase::Live,
            1 => Phase::Closing,
            2 => Phase::Out,
            _ => Phase::Opening,
        }
    }

    /// The number of outages so far, the present one included.
    pub fn generation(&self) -> u64 {
        self.get() >> 2
    }

    /// Goes to a phase; from live to closing a new generation begins. Gives the new word.
    /// Only the thread that drives the window's device may call it.
    pub(crate) fn enter(&self, phase: Phase) -> u64 {
        let old = self.get();
        let new_outage = old & 3 == Phase::Live as u64 && phase != Phase::Live;
        let generation = (old >> 2) + u64::from(new_outage);
        let word = generation << 2 | phase as u64;
        self.0.store(word, Ordering::Release);
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outage_has_its_generation() {
        let word = OutageWord::default();
        assert_eq!(word.phase(), Phase::Out);
        word.enter(Phase::Opening);
        word.enter(Phase::Live);
        assert_eq!((word.generation(), word.phase()), (0, Phase::Live));
        for phase in [Phase::Closing, Phase::Out, Phase::Opening, Phase::Live] {
            word.enter(phase);
            assert_eq!((word.generation(), word.phase()), (1, phase));
        }
        word.enter(Phase::Out);
        assert_eq!(word.generation(), 2);
    }
}
