//! What a run came to, to be read at its end.

use crate::names;
use crate::style::{Style, Tone, WIDTH, wrap};
use crate::time::{duration, lane_and_clock, moment};
use barkeep_check::{Ended, Invariant, Summary, Tally, Verdict};
use barkeep_journal::Header;
use std::io::{self, Write};
use std::path::Path;

/// Columns of what a line is about.
const LABEL: usize = 16;

/// Writes the verdict: one word, what there was, what was found, where to look.
///
/// # Errors
/// Those of `out`.
pub fn print<W: Write>(
    out: &mut W,
    verdict: &Verdict,
    header: Header,
    journal: Option<&Path>,
    style: Style,
) -> io::Result<()> {
    writeln!(out)?;
    writeln!(out, "{}", headline(verdict, header, style))?;
    for (label, text) in table(&verdict.counts) {
        row(out, label, &text)?;
    }
    findings(out, verdict, header, style)?;
    if let Some(journal) = journal {
        look(out, verdict, journal)?;
    }
    Ok(())
}

fn headline(verdict: &Verdict, header: Header, style: Style) -> String {
    let (word, tone) = if verdict.passed() { ("pass", Tone::Good) } else { ("FAIL", Tone::Bad) };
    let count = verdict.findings.len() as u64 + verdict.counts.unlisted;
    let found = match count {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        _ => format!("{count} findings"),
    };
    let ended = match &verdict.ended {
        Ended::ByItself(0) => String::new(),
        Ended::ByItself(status) => format!(", ended with status {status}"),
        Ended::TimedOut => ", timed out".to_owned(),
        Ended::Died { .. } => ", cut off".to_owned(),
    };
    let status = verdict.exit_code();
    let traced = if verdict.counts.kernel_trace { ", with kernel trace" } else { "" };
    let place = lane_and_clock(header);
    format!("{}  {place}{traced}: {found}{ended} (status {status})", style.paint(tone, word))
}

/// What there was, a line for each. What stands here as "nothing" matters as much: a run that
/// did nothing passes too.
fn table(counts: &Summary) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("events", counts.events.to_string()),
        ("revokes", revokes(counts)),
        ("DMA", dma(counts)),
        ("CPU", cpu(counts)),
        ("outages", outages(counts)),
    ];
    if counts.attach_probes > 0 {
        rows.push(("attaches", format!("{} tried for their errno", counts.attach_probes)));
    }
    if counts.expectations_held > 0 {
        rows.push(("expectations", format!("{} held", counts.expectations_held)));
    }
    rows.push(("left over", tally(&counts.leftovers)));
    if !counts.accesses.is_empty() {
        rows.push(("accesses", tally(&counts.accesses)));
    }
    if !(counts.marks.is_empty() && counts.other_marks.is_empty()) {
        rows.push(("marks", marks(counts)));
    }
    if !counts.degraded.is_empty() {
        rows.push(("degraded", tally(&counts.degraded)));
    }
    if counts.unexplained_revokes > 0 {
        rows.push(("unexplained", format!("{} revokes nothing here caused", counts.unexplained_revokes)));
    }
    if counts.undecided > 0 {
        let what = "observations that may be older than what they would break, not judged";
        rows.push(("undecided", format!("{} {what}", counts.undecided)));
    }
    rows
}

fn revokes(counts: &Summary) -> String {
    let list = |revoking: bool| {
        let of_these = counts.triggers().filter(|(trigger, _)| barkeep_check::revokes(*trigger) == revoking);
        let words: Vec<_> =
            of_these.map(|(trigger, count)| format!("{} {count}", names::trigger(trigger))).collect();
        words.join(", ")
    };
    let mut text = counts.revokes().to_string();
    for (prefix, words) in [("", list(true)), ("; besides ", list(false))] {
        if !words.is_empty() {
            let words = if prefix.is_empty() { format!(" ({words})") } else { words };
            text += &format!("{prefix}{words}");
        }
    }
    text
}

pub(crate) fn dma(counts: &Summary) -> String {
    let Summary { dma_started, dma_landed, dma_not_landed, dma_faulted, dma_in_flight, .. } = counts;
    format!(
        "{dma_started} commanded: {dma_landed} seen to land, {dma_not_landed} not to, {dma_faulted} faults; \
         {dma_in_flight} in flight at a revoke"
    )
}

pub(crate) fn cpu(counts: &Summary) -> String {
    let Summary { cpu_landed, cpu_not_landed, answered, .. } = counts;
    format!("{cpu_landed} seen to land, {cpu_not_landed} not to; {answered} accesses answered in outages")
}

fn outages(counts: &Summary) -> String {
    match counts.longest_outage {
        None => counts.outages.to_string(),
        Some(longest) => format!(
            "{}, the longest {} (BAR {} of {}, to seq {})",
            counts.outages,
            duration(longest.ns),
            longest.bar,
            longest.device,
            longest.seq
        ),
    }
}

/// *Sometimes* marks that were hit, with how often.
pub(crate) fn marks(counts: &Summary) -> String {
    let hit: Vec<_> = counts.marks.iter().map(|(mark, count)| format!("{mark} {count}")).collect();
    let others = counts.other_marks.iter().map(|(text, count)| format!("{text} {count}"));
    let all: Vec<_> = hit.into_iter().chain(others).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

pub(crate) fn tally(tally: &Tally) -> String {
    let mut texts: Vec<_> = tally.iter().map(|(text, count)| format!("{text} ({count})")).collect();
    if tally.others() > 0 {
        texts.push(format!("others ({})", tally.others()));
    }
    if texts.is_empty() { "nothing".to_owned() } else { texts.join("; ") }
}

fn findings<W: Write>(out: &mut W, verdict: &Verdict, header: Header, style: Style) -> io::Result<()> {
    for invariant in Invariant::ALL {
        let of_it: Vec<_> = verdict.findings.iter().filter(|f| f.invariant == invariant).collect();
        if of_it.is_empty() {
            continue;
        }
        let title = format!("{invariant}: {}", invariant.demand());
        writeln!(out, "\n{}", style.paint(Tone::Bad, &title))?;
        for finding in of_it {
            let at = moment(finding.time_ns, 0);
            let place = format!("seq {}, at {} ({})", finding.seq, at.trim(), lane_and_clock(header));
            for line in wrap(&format!("{place}: {}", finding.what), WIDTH - 2) {
                writeln!(out, "  {line}")?;
            }
        }
    }
    if verdict.counts.unlisted > 0 {
        writeln!(out, "\n{} more findings are not listed", verdict.counts.unlisted)?;
    }
    Ok(())
}

fn look<W: Write>(out: &mut W, verdict: &Verdict, journal: &Path) -> io::Result<()> {
    let journal = journal.display();
    writeln!(out, "\njournal: {journal}")?;
    if let Some(first) = verdict.findings.first() {
        writeln!(out, "  look:  grep -n -B20 '\"seq\":{},' {journal}", first.seq)?;
        writeln!(out, "  again: barkeep check {journal}")?;
    }
    Ok(())
}

pub(crate) fn row<W: Write + ?Sized>(out: &mut W, label: &str, text: &str) -> io::Result<()> {
    for (n, line) in wrap(text, WIDTH - LABEL).into_iter().enumerate() {
        // One that is too long keeps its space.
        let label = if n == 0 { format!("{label} ") } else { String::new() };
        writeln!(out, "  {label:<width$}{line}", width = LABEL - 2)?;
    }
    Ok(())
}
