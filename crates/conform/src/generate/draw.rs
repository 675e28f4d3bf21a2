//! Random choices that are the same for a seed for ever.
//!
//! The stream is ChaCha8's, as its definition says and no library decides: the seed is the first
//! 8 bytes of the key, the episode the stream's number. Choices are made here from 32-bit words
//! and not by a library of distributions, which may change how it makes them from one version to
//! the next. A test holds the first words to the definition's test vectors.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// Whence an episode's choices come.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    /// That of an episode.
    pub(crate) fn new(seed: u64, episode: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut words = ChaCha8Rng::from_seed(key);
        words.set_stream(episode);
        Self(words)
    }

    /// Any word.
    pub(crate) fn word(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number less than `count`, which is not 0. Takes one word.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(count)) >> 32) as u32
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// One of them, `None` if there are none.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        if choices.is_empty() {
            return None;
        }
        choices.get(self.below(choices.len() as u32) as usize).copied()
    }

    /// One of them, each as likely as its weight, `None` if all weights are 0.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> Option<T> {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        if total == 0 {
            return None;
        }
        let mut at = self.below(total);
        for &(weight, choice) in choices {
            if at < weight {
                return Some(choice);
            }
            at -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_chacha8s() {
        // draft-strombergson-chacha-test-vectors-01, TC1 and TC2: 8 rounds, 256-bit key, IV 0.
        let words = |seed| {
            std::array::from_fn::<u32, 4, _>({
                let mut draw = Draw::new(seed, 0);
                move |_| draw.word()
            })
        };
        let bytes = |bytes: [u8; 16]| {
            std::array::from_fn(|i| u32::from_le_bytes(bytes[4 * i..][..4].try_into().unwrap()))
        };
        assert_eq!(words(0), bytes(*b"\x3e\x00\xef\x2f\x89\x5f\x40\xd6\x7f\x5b\xb8\xe8\x1f\x09\xa5\xa1"));
        assert_eq!(words(1), bytes(*b"\xcf\x5e\xe9\xa0\x49\x4a\xa9\x61\x3e\x05\xd5\xed\x72\x5b\x80\x4b"));
        assert_ne!(words(0), words(1));
    }

    #[test]
    fn episodes_are_streams_of_their_own() {
        assert_ne!(Draw::new(1, 0).word(), Draw::new(1, 1).word());
    }

    #[test]
    fn weights_are_kept() {
        let mut draw = Draw::new(7, 0);
        let mut counts = [0; 3];
        for _ in 0..6000 {
            counts[draw.weighted(&[(1, 0), (0, 1), (5, 2)]).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
        assert_eq!(draw.weighted(&[(0, 1)]), None);
        assert_eq!(draw.one_of::<u8>(&[]), None);
    }
}
