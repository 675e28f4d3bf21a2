//! What two journals come to, side by side.

use barkeep_check::Durations;
use barkeep_report::time::rough;
use barkeep_timeline::{EndedBy, Numbers, Outcome, Series, Way};
use std::collections::BTreeSet;

/// Counts that differ, and how many do not.
pub(super) fn outcomes(a: &Numbers, b: &Numbers) -> Vec<String> {
    let mut lines = vec![format!("{:<42} {:>14} {:>14}", "", "A", "B")];
    let row = |name: &str, a: u64, b: u64| {
        let mark = if a == b { "" } else { "   differs" };
        format!("{name:<42} {a:>14} {b:>14}{mark}")
    };
    lines.push(row("events", a.events, b.events));
    lines.push(row("revokes", a.revokes, b.revokes));
    lines.push(row("steps never ended", a.unended, b.unended));
    let keys: BTreeSet<_> = a.outcomes.keys().chain(b.outcomes.keys()).copied().collect();
    for key in keys {
        let count = |numbers: &Numbers| numbers.outcomes.get(&key).copied().unwrap_or(0);
        let (trigger, outcome): (_, Outcome) = key;
        lines.push(row(&format!("{trigger}: {outcome}"), count(a), count(b)));
    }
    lines
}

/// Percentiles of each series, and the share of B's in A's where they are of one clock.
pub(super) fn outages(a: &Numbers, b: &Numbers, comparable: bool) -> Vec<String> {
    let mut lines = vec![format!("{:<42} {:>14} {:>14}", "outages", "A", "B")];
    let none = Durations::default();
    for way in Way::ALL {
        for ended_by in EndedBy::ALL {
            let series = Series { way: *way, ended_by: *ended_by };
            let of = |numbers: &'_ Numbers| numbers.outages.get(&series).cloned().unwrap_or_default();
            let (a, b) = (of(a), of(b));
            if a == none && b == none {
                continue;
            }
            let name = format!("{way}, {ended_by}");
            lines.push(format!("{:<42} {:>14} {:>14}", format!("{name}: number"), a.count(), b.count()));
            let times = [
                ("p50", a.percentile(50), b.percentile(50)),
                ("p99", a.percentile(99), b.percentile(99)),
                ("longest", a.max(), b.max()),
            ];
            lines.extend(times.map(|(what, a, b)| times_row(&format!("{name}: {what}"), a, b, comparable)));
        }
    }
    if lines.len() == 1 {
        lines.push("none came to an end, in either".to_owned());
    }
    lines
}

fn times_row(name: &str, a: Option<u64>, b: Option<u64>, comparable: bool) -> String {
    let told = |ns: Option<u64>| ns.map_or_else(|| "–".to_owned(), rough);
    let share = match (a, b) {
        (Some(a), Some(b)) if comparable && a != b && a > 0 => {
            format!("   {:+.1} %", (b as f64 / a as f64 - 1.0) * 100.0)
        }
        _ => String::new(),
    };
    format!("{name:<42} {:>14} {:>14}{share}", told(a), told(b))
}
