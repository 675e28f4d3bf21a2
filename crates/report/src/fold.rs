//! Folds what repeats: the first few of a kind are told, the rest is counted, and the count is
//! told before anything new is.
//!
//! "Of a kind" is a line's shape. A storm alternates (decode off, decode on, a DMA, and again),
//! so a line is held against all shapes of the stretch, not only against the one before it.

use crate::time::duration;

/// Lines of a shape that are told in full.
const TOLD: u64 = 2;
/// Shapes of a stretch; a new one beyond them starts another.
const SHAPES: usize = 64;

#[derive(Debug)]
struct Repeated {
    shape: String,
    told: u64,
    held_back: u64,
    longest: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Fold(Vec<Repeated>);

impl Fold {
    /// Takes a line of this shape; gives whether it is to be told, and before it the lines
    /// about those that were not.
    pub fn take(&mut self, shape: &str, away: Option<u64>) -> (bool, Vec<String>) {
        if let Some(repeated) = self.0.iter_mut().find(|repeated| repeated.shape == shape) {
            let tell = repeated.told < TOLD;
            repeated.told += u64::from(tell);
            repeated.held_back += u64::from(!tell);
            repeated.longest = repeated.longest.max(away.filter(|_| !tell));
            return (tell, Vec::new());
        }
        // In the order of time: what was held back came before this one.
        let before = if self.holds() || self.0.len() == SHAPES { self.flush() } else { Vec::new() };
        self.0.push(Repeated { shape: shape.to_owned(), told: 1, held_back: 0, longest: None });
        (true, before)
    }

    /// The lines about what was held back; a new stretch starts.
    pub fn flush(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0).iter().filter_map(Repeated::line).collect()
    }

    fn holds(&self) -> bool {
        self.0.iter().any(|repeated| repeated.held_back > 0)
    }
}

impl Repeated {
    fn line(&self) -> Option<String> {
        let longest =
            self.longest.map_or_else(String::new, |ns| format!(", away for {} at most", duration(ns)));
        (self.held_back > 0).then(|| format!("… {} more like this: {}{longest}", self.held_back, self.shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_alternates_is_folded_and_counted() {
        let mut fold = Fold::default();
        let mut told = 0;
        for n in 0..200 {
            for shape in ["off", "on"] {
                let (tell, before) = fold.take(shape, Some(n));
                assert!(before.is_empty());
                told += u32::from(tell);
            }
        }
        assert_eq!(told, 4);
        let (tell, before) = fold.take("new", None);
        assert!(tell);
        assert_eq!(
            before,
            [
                "… 198 more like this: off, away for 199 ns at most",
                "… 198 more like this: on, away for 199 ns at most"
            ]
        );
        assert!(fold.flush().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut fold = Fold::default();
        for n in 0..10_000 {
            assert!(fold.take(&n.to_string(), None).0);
        }
        assert!(fold.0.len() <= SHAPES);
    }
}
