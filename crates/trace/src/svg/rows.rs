//! Slices of one lane in as few rows as they need.

/// Rows, by when each is free again.
#[derive(Default)]
pub(super) struct Rows(Vec<u64>);

/// Rows of a lane at the most: what overlaps more is drawn over others.
const ROWS: usize = 12;

impl Rows {
    /// The row of the next slice; those that begin earlier come first.
    pub fn place(&mut self, begin: u64, end: Option<u64>) -> usize {
        let end = end.unwrap_or(u64::MAX);
        match self.0.iter().position(|free| *free <= begin) {
            Some(row) => {
                self.0[row] = end;
                row
            }
            None if self.0.len() == ROWS => ROWS - 1,
            None => {
                self.0.push(end);
                self.0.len() - 1
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Spans without those inside of others, in their order.
pub(super) fn union(mut spans: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    spans.sort_unstable();
    let mut union: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in spans {
        match union.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => union.push((begin, end)),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_overlap_shares_a_row() {
        let mut rows = Rows::default();
        let placed = [(0, Some(10)), (2, Some(4)), (4, Some(6)), (10, None), (11, Some(12))];
        assert_eq!(placed.map(|(begin, end)| rows.place(begin, end)), [0, 1, 1, 0, 1]);
        assert_eq!(rows.count(), 2);
    }

    #[test]
    fn spans_that_touch_are_one() {
        assert_eq!(union(vec![(5, 6), (0, 2), (2, 4), (1, 3)]), [(0, 4), (5, 6)]);
    }
}
