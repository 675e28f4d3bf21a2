//! What came of all cells, as a table.

use crate::column::Column;
use crate::measure::Away;
use crate::trigger::Trigger;
use crate::wanted::End;
use std::fmt::Write;

/// What came of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All seen, nothing found.
    Passed {
        /// What became of the ways to the BAR.
        end: End,
        /// For how long they were away.
        away: Away,
    },
    /// Something found, or not seen.
    Failed(String),
    /// The pair cannot exist.
    Never(String),
    /// Not asked for.
    Left,
}

/// A table: rows are triggers, columns machines.
#[derive(Default)]
pub struct Table {
    columns: Vec<(String, &'static str)>,
    rows: Vec<(Trigger, Vec<Outcome>)>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For a terminal of 120 columns.
    Plain,
    /// For documents.
    Markdown,
}

/// Widths of the first column and of the others: nine of them fit.
const FIRST: usize = 17;
const OTHER: usize = 11;

impl Table {
    /// One of these columns.
    pub fn new<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Self {
        let columns = columns.into_iter().map(|column| (column.name.clone(), column.lane())).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, one outcome for each column.
    pub fn row(&mut self, trigger: Trigger, outcomes: Vec<Outcome>) {
        debug_assert_eq!(outcomes.len(), self.columns.len());
        self.rows.push((trigger, outcomes));
    }

    /// The table and its footnotes.
    pub fn print(&self, form: Form) -> String {
        let mut notes: Vec<&str> = Vec::new();
        let mut text = String::new();
        for lane in ["lab", "model"] {
            let of_lane: Vec<usize> =
                (0..self.columns.len()).filter(|n| self.columns[*n].1 == lane).collect();
            if !of_lane.is_empty() {
                let _ = writeln!(text, "lane {lane}, virtual time\n");
                self.part(&of_lane, form, &mut notes, &mut text);
                text.push('\n');
            }
        }
        for (n, note) in notes.iter().enumerate() {
            let _ = match form {
                Form::Plain => writeln!(text, "[{}] {note}", n + 1),
                Form::Markdown => writeln!(text, "{}. {note}", n + 1),
            };
        }
        text
    }

    fn part<'a>(&'a self, columns: &[usize], form: Form, notes: &mut Vec<&'a str>, text: &mut String) {
        let names = columns.iter().map(|n| self.columns[*n].0.clone()).collect();
        line("trigger", names, form, text);
        if form == Form::Markdown {
            let _ = writeln!(text, "|{}", "---|".repeat(columns.len() + 1));
        }
        for (trigger, outcomes) in &self.rows {
            let cells = columns.iter().map(|n| cell(&outcomes[*n], notes)).collect();
            line(trigger.name(), cells, form, text);
        }
    }
}

fn line(first: &str, cells: Vec<String>, form: Form, text: &mut String) {
    match form {
        Form::Plain => {
            let mut line = format!("{first:<FIRST$}");
            for cell in cells {
                let _ = write!(line, " {cell:<width$}", width = OTHER - 1);
            }
            text.push_str(line.trim_end());
        }
        Form::Markdown => {
            let _ = write!(text, "| {first} | {} |", cells.join(" | "));
        }
    }
    text.push('\n');
}

fn cell<'a>(outcome: &'a Outcome, notes: &mut Vec<&'a str>) -> String {
    let mut note = |why: &'a str| {
        let n = notes.iter().position(|known| *known == why).unwrap_or_else(|| {
            notes.push(why);
            notes.len() - 1
        });
        format!("[{}]", n + 1)
    };
    match outcome {
        Outcome::Passed { end: End::Back | End::DmaBack, away } => away.both_ns.map_or("back".into(), time),
        Outcome::Passed { end: End::Gone, .. } => "gone".into(),
        Outcome::Passed { end: End::Kept, .. } => "kept".into(),
        Outcome::Passed { end: End::Refused(how), .. } => (*how).into(),
        Outcome::Failed(why) => format!("FAIL {}", note(why)),
        Outcome::Never(why) => note(why),
        Outcome::Left => "-".into(),
    }
}

/// Three figures: `57.1 us`, `104 ms`, `1.05 s`.
fn time(ns: u64) -> String {
    if ns == 0 {
        return "0 us".into();
    }
    let (mut value, mut unit) = (ns as f64 / 1e3, "us");
    for larger in ["ms", "s"] {
        if value >= 999.5 {
            (value, unit) = (value / 1e3, larger);
        }
    }
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// What the words in a table mean.
pub const LEGEND: &str = "\
A time: both ways to the BAR came back; how long they were away, from the first away to the last back.
In lane model only devices, CPUs and the kernel's waiting take time: 0 us is an outage all the same.
gone: for ever.  kept: nothing was taken away.  an errno, or `ignored`: refused, both ways stayed.
[n]: this pair cannot exist, or what is wrong.";

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
