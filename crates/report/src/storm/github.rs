//! What GitHub Actions shows: annotations on the run, and the summary of a step.

use super::cases::{Result, groups};
use super::{Judgement, table};
use std::io::{self, Write};

/// Annotations of one sort that GitHub shows for a step.
const SHOWN: usize = 10;

/// Writes workflow commands, to standard output: an error for each case that failed, a warning for
/// what is known, ten of either at the most.
///
/// # Errors
/// Those of `out`.
pub fn annotations(out: &mut dyn Write, judged: &Judgement<'_>) -> io::Result<()> {
    let header = &judged.storm.header;
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for group in groups(judged) {
        for case in group.cases {
            let title = format!("storm {} ({}): {}", header.scenario, header.lane, case.name);
            match case.result {
                Result::Passed => {}
                Result::Known(why) => warnings.push((title, format!("known: {why}"))),
                Result::Skipped(why) => warnings.push((title, format!("skipped: {why}"))),
                Result::Failed { message, details, .. } => {
                    errors.push((title, [vec![message], details].concat().join("\n")));
                }
            }
        }
    }
    for (command, all) in [("error", errors), ("warning", warnings)] {
        for (title, message) in all.into_iter().take(SHOWN) {
            writeln!(out, "::{command} title={}::{}", property(&title), data(&message))?;
        }
    }
    Ok(())
}

/// Writes a table in Markdown, to be appended to the file `$GITHUB_STEP_SUMMARY` names.
///
/// # Errors
/// Those of `out`.
pub fn summary(out: &mut dyn Write, judged: &Judgement<'_>) -> io::Result<()> {
    writeln!(out, "### {}\n\n| | |\n|---|---|", cell(&table::headline(judged)))?;
    let about = table::about(&judged.storm.header);
    for (label, text) in about.into_iter().chain(table::rows(judged)) {
        writeln!(out, "| {} | {} |", cell(&label), cell(&text))?;
    }
    for (episode, status) in judged.failed().take(SHOWN) {
        writeln!(
            out,
            "\n**seed {}** (status {status}): {}\n",
            episode.seed,
            cell(&judged.sentence(episode))
        )?;
        writeln!(out, "```text")?;
        for line in judged.details(episode) {
            writeln!(out, "{}", line.replace("```", "'''"))?;
        }
        writeln!(out, "```")?;
    }
    writeln!(out)
}

/// The escapes of a command's message (actions/toolkit, `escapeData`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Those of a property, which ends at a colon or comma.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A text that stays in its cell and is no markup.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '<' | '>' | '*' | '_' | '`' | '#' | '[' | ']' | '\\' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
