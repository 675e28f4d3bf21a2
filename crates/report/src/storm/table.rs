//! The rows of a storm's first lines and of its last table, as label and text.

use super::{Header, Judgement};
use crate::names;
use crate::time::{duration, lane_and_clock};
use crate::verdict;
use barkeep_check::{Durations, Outages, revokes};
use std::fmt::Write;

pub(crate) type Row = (String, String);

/// What the storm is, before anything is done.
pub(crate) fn about(header: &Header) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |label: &str, text: String| {
        if !text.is_empty() {
            rows.push((label.to_owned(), text));
        }
    };
    row("about", header.about.clone());
    row("seed", header.seed.to_string());
    row("count", header.count.map_or_else(String::new, |count| format!("{count} resets")));
    let shards: Vec<_> = header.shards.iter().map(ToString::to_string).collect();
    row("shard", shards.join(", "));
    row("commit", format!("{} (barkeep {})", header.commit, header.version));
    row("kernel", header.kernel.clone());
    row("lane", lane_and_clock(header.journal()));
    for choice in &header.options {
        row(&choice.name, choice.value.clone());
    }
    let marks: Vec<_> = header.require.iter().map(|mark| mark.name()).collect();
    row("must happen", marks.join(", "));
    rows
}

/// What became of it, in one line.
pub(crate) fn headline(judged: &Judgement<'_>) -> String {
    let header = &judged.storm.header;
    let word = match judged.exit_code() {
        0 => "pass",
        4 => "skip",
        _ => "FAIL",
    };
    let (_, known, failed) = judged.parted();
    let episodes = counted(judged.storm.episodes.len() as u64, "episode");
    let mut what = format!("{episodes}, {}", counted(judged.storm.resets(), "reset"));
    if let Some(why) = &judged.storm.skipped {
        what = why.clone();
    }
    for (count, of) in [(failed, "failed"), (known, "with known findings only")] {
        if count > 0 {
            let _ = write!(what, ", {count} {of}");
        }
    }
    let place = lane_and_clock(header.journal());
    format!("{word}  storm {} ({place}): {what} (status {})", header.scenario, judged.exit_code())
}

/// What there was, in numbers.
pub(crate) fn rows(judged: &Judgement<'_>) -> Vec<Row> {
    let storm = judged.storm;
    if storm.episodes.is_empty() {
        return Vec::new();
    }
    let counts = &storm.totals;
    let place = lane_and_clock(storm.header.journal());
    let (distinct, of) = storm.interleavings();
    let mut rows: Vec<(&str, String)> = vec![
        ("seeds", seeds(judged)),
        ("resets", format!("{} planned, {} ({place})", storm.resets(), counted(counts.revokes(), "revoke"))),
        ("revokes", by_trigger(judged, true)),
        ("besides", by_trigger(judged, false)),
        ("DMA", verdict::dma(counts)),
        ("CPU", verdict::cpu(counts)),
        ("P2P outages", outages(&counts.away.p2p, &place)),
        ("CPU outages", outages(&counts.away.cpu, &place)),
        ("marks", verdict::marks(counts)),
        ("left over", verdict::tally(&counts.leftovers)),
    ];
    if !counts.degraded.is_empty() {
        rows.push(("degraded", verdict::tally(&counts.degraded)));
    }
    if counts.undecided > 0 {
        rows.push(("undecided", format!("{} observations, not judged", counts.undecided)));
    }
    if of > 0 {
        rows.push(("interleavings", format!("{distinct} distinct of {}", counted(of as u64, "episode"))));
    }
    rows.push((
        "time",
        format!("{} ({place}), {}", duration(storm.took_ns()), counted(counts.events, "event")),
    ));
    rows.extend(absent(judged));
    let told = rows.into_iter().filter(|(_, text)| !text.is_empty());
    told.map(|(label, text)| (label.to_owned(), text)).collect()
}

/// What did not happen and should have.
fn absent<'a>(judged: &Judgement<'_>) -> Vec<(&'a str, String)> {
    let not_judged = if judged.judges_absence() { "" } else { "; the merge of all shards judges it" };
    let of_marks = judged
        .missing
        .iter()
        .map(|mark| ("NEVER", format!("{mark}: it never happened that {}{not_judged}", mark.sentence())));
    let of_known = judged.gone.iter().map(|known| {
        ("GONE", format!("known finding {}: {} no longer occurs{not_judged}", known.invariant, known.finding))
    });
    let mut rows: Vec<_> = of_marks.chain(of_known).collect();
    if judged.lacks_shards() {
        let missing: Vec<_> = judged.storm.header.missing_shards().iter().map(ToString::to_string).collect();
        rows.push(("MISSING", format!("no record of shard {}", missing.join(", "))));
    }
    rows
}

/// `1 reset`, `2 resets`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn seeds(judged: &Judgement<'_>) -> String {
    let episodes = &judged.storm.episodes;
    match (episodes.first(), episodes.last()) {
        (Some(first), Some(last)) if first.seed != last.seed => {
            format!("{} to {}, {} of them", first.seed, last.seed, episodes.len())
        }
        (Some(only), _) => only.seed.to_string(),
        (None, _) => String::new(),
    }
}

fn by_trigger(judged: &Judgement<'_>, revoking: bool) -> String {
    let these = judged.storm.totals.triggers().filter(|(trigger, _)| revokes(*trigger) == revoking);
    let words: Vec<_> =
        these.map(|(trigger, count)| format!("{} {count}", names::trigger(trigger))).collect();
    words.join(", ")
}

fn outages(way: &Outages, place: &str) -> String {
    let Outages { by_vmm, by_guest, by_notice } = way;
    let sorts =
        [("ended by the VMM", by_vmm), ("by whoever began them", by_guest), ("once noticed", by_notice)];
    let told: Vec<_> = sorts
        .into_iter()
        .filter(|(_, durations)| !durations.is_empty())
        .map(|(by, durations)| spread(by, durations))
        .collect();
    if told.is_empty() { "none".to_owned() } else { format!("{} ({place})", told.join("; ")) }
}

fn spread(by: &str, durations: &Durations) -> String {
    let time = |ns: Option<u64>| ns.map_or_else(String::new, duration);
    let [p50, p99] = [50, 99].map(|percent| time(durations.percentile(percent)));
    format!("{} {by}: p50 {p50}, p99 {p99}, longest {}", durations.count(), time(durations.max()))
}
