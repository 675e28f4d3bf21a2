//! What of a journal could not be read: never a reason not to show the rest.

use barkeep_report::Damage;
use std::fmt;

/// Damages that are named each; more are counted.
const NAMED: usize = 8;

/// All of a journal.
#[derive(Debug, Default)]
pub struct Damages {
    first: Vec<Damage>,
    count: u64,
}

impl Damages {
    /// One more.
    pub fn add(&mut self, damage: Damage) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(damage);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Damages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, damage) in self.first.iter().enumerate() {
            write!(f, "{}{damage}", if n == 0 { "" } else { "; " })?;
        }
        match self.count - self.first.len() as u64 {
            0 => Ok(()),
            more => write!(f, "; {more} more lines that cannot be read"),
        }
    }
}
