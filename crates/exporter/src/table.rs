//! All rows, carried out one after the other and printed as they end.

use crate::row::{Row, Seen};
use crate::rows;
use crate::stage::Stage;
use std::io::{self, Write};

/// Rows to carry out.
pub struct Table(Vec<Row>);

/// What they came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// As expected.
    pub passed: usize,
    /// Not.
    pub failed: usize,
    /// This kernel or machine has no way to.
    pub unable: usize,
}

/// No row has these words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no row is about `{0}`")]
pub struct NoRow(String);

impl Table {
    /// All rows, or those with `only` in what they are about or in what is done.
    ///
    /// # Errors
    /// That leaves none.
    pub fn new(only: Option<&str>) -> Result<Self, NoRow> {
        let words = only.unwrap_or_default();
        let fits = |row: &Row| row.about.contains(words) || row.what.contains(words);
        let rows: Vec<Row> = rows::all().into_iter().filter(fits).collect();
        if rows.is_empty() { Err(NoRow(words.to_owned())) } else { Ok(Self(rows)) }
    }

    /// Carries them out. Four lines for each row: its result and what is done, what was expected, what was
    /// seen, and for one that cannot be done why.
    ///
    /// # Errors
    /// Those of writing.
    pub fn carry_out(&self, stage: &Stage, out: &mut dyn Write) -> io::Result<Sum> {
        let mut sum = Sum::default();
        let mut about = "";
        for row in &self.0 {
            if row.about != about {
                about = row.about;
                writeln!(out, "\n{about}")?;
            }
            let (word, key, seen) = match row.carry_out(stage) {
                Seen::Expected(seen) => (tell(&mut sum.passed, "passed"), "observed", seen),
                Seen::Other(seen) => (tell(&mut sum.failed, "FAILED"), "observed", seen),
                Seen::Unable(why) => (tell(&mut sum.unable, "cannot"), "because", why),
            };
            writeln!(out, "  {word}  {}", row.what)?;
            writeln!(out, "          expected  {}", row.expected)?;
            writeln!(out, "          {key:<8}  {seen}")?;
            // Whoever reads it while it runs sees which row hangs.
            out.flush()?;
        }
        let Sum { passed, failed, unable } = sum;
        writeln!(
            out,
            "\n{} rows: {passed} passed, {failed} failed, {unable} cannot be done on this kernel or machine",
            self.0.len()
        )?;
        Ok(sum)
    }
}

fn tell(count: &mut usize, word: &'static str) -> &'static str {
    *count += 1;
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_told_apart() {
        let rows = rows::all();
        let mut names: Vec<_> = rows.iter().map(|row| (row.about, row.what.as_str())).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
    }

    #[test]
    fn words_that_no_row_has_are_told() {
        assert_eq!(Table::new(Some("no such thing")).err(), Some(NoRow("no such thing".to_owned())));
        assert!(Table::new(Some("mmap")).is_ok_and(|table| table.0.len() > 2));
    }
}
