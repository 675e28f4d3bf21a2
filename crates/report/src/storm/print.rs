//! A storm for people: its first lines, its last table, its failures.

use super::{Header, Judgement, Outcome, Storm, table};
use crate::style::{Style, Tone, WIDTH, wrap};
use crate::verdict::row;
use std::io::{self, Write};

/// Failed episodes that are told.
const TOLD: usize = 10;

/// What is to be done, by what, and every option: before anything is done.
///
/// # Errors
/// Those of `out`.
pub fn begin(out: &mut dyn Write, header: &Header) -> io::Result<()> {
    writeln!(out, "storm {}", header.scenario)?;
    table::about(header).into_iter().try_for_each(|(label, text)| row(out, &label, &text))
}

/// What became of it: the table and, where there are any, the failures. All of it is the same each
/// time; the wall clock is [`wall_clock`]'s.
///
/// # Errors
/// Those of `out`.
pub fn end(out: &mut dyn Write, judged: &Judgement<'_>, style: Style) -> io::Result<()> {
    let tone = match judged.exit_code() {
        0 => Tone::Good,
        4 => Tone::Notice,
        _ => Tone::Bad,
    };
    writeln!(out, "\n{}", style.paint(tone, &table::headline(judged)))?;
    table::rows(judged).into_iter().try_for_each(|(label, text)| row(out, &label, &text))?;
    known(out, judged)?;
    failures(out, judged, style)
}

/// What it took on the wall, and how many resets a second that is; of shards, together. Differs each
/// time, so it belongs where nothing is compared.
pub fn wall_clock(storm: &Storm) -> Option<String> {
    let seconds = storm.wall_clock_ns? as f64 / 1e9;
    let pace = storm.resets() as f64 / seconds.max(1e-9);
    Some(format!("wall clock: {seconds:.3} s, {pace:.1} resets a second"))
}

fn known(out: &mut dyn Write, judged: &Judgement<'_>) -> io::Result<()> {
    for (entry, known) in judged.known.findings.iter().enumerate() {
        let episodes = judged.known_episodes(entry);
        if episodes > 0 {
            let episodes = table::counted(episodes as u64, "episode");
            let text = format!("{} in {episodes}: {}", known.invariant, known.finding);
            row(out, "known", &format!("{text}; {}", known.reason))?;
        }
    }
    Ok(())
}

fn failures(out: &mut dyn Write, judged: &Judgement<'_>, style: Style) -> io::Result<()> {
    for (episode, status) in judged.failed().take(TOLD) {
        let title = format!("seed {}, status {status}", episode.seed);
        writeln!(out, "\n{}", style.paint(Tone::Bad, &title))?;
        for line in wrap(&judged.sentence(episode), WIDTH - 2) {
            writeln!(out, "  {line}")?;
        }
        for line in judged.details(episode) {
            // As it is: a path or a command that is cut cannot be used.
            writeln!(out, "  {}", line.replace(char::is_control, " "))?;
        }
    }
    let failed = judged.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count();
    if failed > TOLD {
        writeln!(out, "\n{} more episodes failed", failed - TOLD)?;
    }
    Ok(())
}
