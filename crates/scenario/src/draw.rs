//! What a run draws from its seed.

/// A stream of numbers that is the same for the same seed: SplitMix64 (Steele, Lea, Flood, "Fast
/// splittable pseudorandom number generators").
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// One of `0..=most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        // The upper half of a product: biased by less than one in 2^64 / most.
        ((u128::from(self.any()) * (u128::from(most) + 1)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_splitmix64() {
        let mut draw = Draw::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| draw.any()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn every_number_up_to_the_most_is_drawn_and_none_above() {
        let mut draw = Draw::new(1);
        let mut seen = [false; 4];
        for _ in 0..100 {
            seen[draw.up_to(3) as usize] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(draw.up_to(0), 0);
        let _ = draw.up_to(u64::MAX);
    }
}
