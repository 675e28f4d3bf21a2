//! What a fault that needs several things in a row remembers of them.

/// How far it has got; 0 at first. No bytes, and always 0, in a build without faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    #[cfg(feature = "planted")]
    step: u8,
}

impl Progress {
    /// How far.
    #[inline(always)]
    #[must_use]
    pub const fn get(&self) -> u8 {
        #[cfg(feature = "planted")]
        return self.step;
        #[cfg(not(feature = "planted"))]
        0
    }

    /// That far.
    #[inline(always)]
    pub const fn set(&mut self, step: u8) {
        #[cfg(feature = "planted")]
        {
            self.step = step;
        }
        #[cfg(not(feature = "planted"))]
        let _ = step;
    }
}
