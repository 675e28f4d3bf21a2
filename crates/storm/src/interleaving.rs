//! The order in which things happened, as one number.

use barkeep_journal::{Event, Sink};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Who did what after whom, with times, addresses and values left out: two runs in which the same
/// steps came in the same order have the same number.
#[derive(Default)]
pub struct Interleaving(SipHasher13);

impl Interleaving {
    /// The number.
    pub fn finish(&self) -> u128 {
        self.0.finish128().as_u128()
    }
}

impl Sink for Interleaving {
    fn event(&mut self, event: &Event) {
        let Event { kind, phase, actor, index, trigger, device, bar, .. } = event;
        // All of an event in two words: it comes for each event of a run.
        let who = u64::from(*kind as u16) << 48
            | u64::from(*phase as u8) << 40
            | u64::from(*actor as u8) << 32
            | u64::from(*index) << 16
            | u64::from(*trigger as u8) << 8
            | u64::from(bar.unwrap_or(u8::MAX));
        let device = device.map_or(u64::MAX, |device| device.to_bits().into());
        self.0.write_u64(who);
        self.0.write_u64(device);
    }
}
