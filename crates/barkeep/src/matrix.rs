//! `barkeep matrix`: every trigger on every machine.

mod cells;
mod emulated;
mod simulated;

use crate::cli::{LaneName, MatrixOptions};
use crate::exit::{Exit, UsageExt, wrong};
use barkeep_matrix::table::{Form, LEGEND, Outcome, Table};
use barkeep_matrix::{Cell, Column, Trigger, semantics};
use cells::Errand;

/// Carries all cells out that were asked for, and prints the table.
///
/// # Errors
/// What was typed is wrong, results cannot be written, or the testbed failed.
pub fn matrix(options: &MatrixOptions) -> anyhow::Result<Exit> {
    if options.list {
        print!("triggers\n\n{}\nmachines\n\n{}\n", semantics::list(), machines());
        return Ok(Exit::Pass);
    }
    let columns = columns(options)?;
    let triggers = if options.triggers.is_empty() { Trigger::ALL.to_vec() } else { options.triggers.clone() };
    let errands: Vec<Errand<'_>> = columns
        .iter()
        .map(|column| Errand::new(column, &triggers, options))
        .collect::<anyhow::Result<_>>()?;
    let done = cells::carry_out(&errands, options)?;
    let mut table = Table::new(&columns);
    for (row, trigger) in triggers.iter().enumerate() {
        table.row(*trigger, done.iter().map(|column| column[row].clone()).collect());
    }
    let form = if options.markdown { Form::Markdown } else { Form::Plain };
    print!("{}\n{LEGEND}\n", table.print(form));
    let failed = tell_failures(&errands, &done, options);
    Ok(if failed { Exit::Broken } else { Exit::Pass })
}

fn machines() -> String {
    Column::names().collect::<Vec<_>>().join(", ")
}

fn columns(options: &MatrixOptions) -> anyhow::Result<Vec<Column>> {
    let named: Vec<&str> = match options.topologies.as_slice() {
        [] => Column::names().collect(),
        asked => asked.iter().map(String::as_str).collect(),
    };
    let lane = match options.lane {
        None => None,
        Some(LaneName::Lab) => Some("lab"),
        Some(LaneName::Model) => Some("model"),
        Some(LaneName::Kvm | LaneName::Host) => {
            return Err(wrong(Exit::Usage, "a matrix has lanes lab and model"));
        }
    };
    let mut columns = Vec::new();
    for name in named {
        let what = || format!("no machine `{name}`; there are {}, or a topology's file", machines());
        let column = Column::named(name).usage(what())?;
        if lane.is_none_or(|lane| lane == column.lane()) {
            columns.push(column);
        }
    }
    if columns.is_empty() {
        return Err(wrong(Exit::Usage, "nothing to do: no machine is of that lane"));
    }
    Ok(columns)
}

/// Says what is wrong with each cell that failed, and how to do it alone.
fn tell_failures(errands: &[Errand<'_>], done: &[Vec<Outcome>], options: &MatrixOptions) -> bool {
    let mut failed = false;
    for (errand, outcomes) in errands.iter().zip(done) {
        for (cell, outcome) in errand.cells.iter().zip(outcomes) {
            if let (Outcome::Failed(why), Cell::Run(_)) = (outcome, &cell.cell) {
                failed = true;
                println!("\nFAIL {} on {}: {why}", cell.trigger, errand.column.name);
                println!("  {}", cells::alone(errand.column, cell, options));
            }
        }
    }
    failed
}
