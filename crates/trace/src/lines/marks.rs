//! Which way is away, beside a line.

/// How many windows were away by each way at the line before.
#[derive(Default)]
pub(super) struct Ways([usize; 2]);

impl Ways {
    /// How many are now: what stands beside the line.
    pub fn next(&mut self, now: [usize; 2]) -> [char; 2] {
        let before = std::mem::replace(&mut self.0, now);
        let mark = |n: usize| match (before[n], now[n]) {
            (0, 0) => ' ',
            (0, _) => '╥',
            (_, 0) => '╨',
            _ => '║',
        };
        [mark(0), mark(1)]
    }
}
