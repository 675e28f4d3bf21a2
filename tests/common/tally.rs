//! A journal's numbers, counted again by a reader that knows `docs/interfaces.md` and nothing else.

use super::journal::{Journal, number};
use serde_json::Value;
use std::collections::BTreeMap;

/// What revokes every dma-buf of its device.
const REVOKES: [&str; 9] = [
    "flr",
    "af_flr",
    "decode_off",
    "d3hot",
    "device_reset",
    "hot_reset",
    "low_power_entry",
    "close",
    "remove",
];

/// Times of each sort of outage: by way and who ended it.
pub type Times = BTreeMap<(String, String), Vec<u64>>;

/// How many of each kind, lane of actors aside.
pub fn kinds(journal: &Journal) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for event in &journal.events {
        *kinds.entry(text(event, "kind").to_owned()).or_default() += 1;
    }
    kinds
}

/// Revokes that were begun.
pub fn revokes(journal: &Journal) -> u64 {
    journal.events.iter().filter(|event| is(event, "trigger", "begin") && revoking(event)).count() as u64
}

/// What became of each event the keeper has handled: by trigger and outcome. Only journals in which nothing
/// is refused and nobody acts past the VMM.
pub fn outcomes(journal: &Journal) -> BTreeMap<(String, String), u64> {
    let mut outcomes = BTreeMap::new();
    let mut touched: BTreeMap<String, bool> = BTreeMap::new();
    for event in &journal.events {
        let kind = text(event, "kind");
        if matches!(kind, "slot_remove" | "slot_add" | "p2p_unmap" | "p2p_map") {
            touched.insert(text(event, "device").to_owned(), true);
        }
        if kind == "expect" {
            let (trigger, live) = (text(event, "trigger"), event["value"] == 1);
            let did = touched.remove(text(event, "device")).unwrap_or(false);
            let outcome = match (live, trigger, did) {
                (false, "close" | "remove", _) => "closed",
                (false, ..) => "left away",
                (true, _, true) => "back",
                (true, _, false) => "nothing away",
            };
            *outcomes.entry((trigger.to_owned(), outcome.to_owned())).or_default() += 1;
        }
    }
    outcomes
}

/// Changes between the states of what a device exports, by trigger; from what it believes and no more.
pub fn edges(journal: &Journal) -> BTreeMap<(String, String, String), u64> {
    let mut edges = BTreeMap::new();
    let mut states: BTreeMap<String, &str> = BTreeMap::new();
    for event in &journal.events {
        let Some(device) = event["device"].as_str() else { continue };
        let (kind, trigger) = (text(event, "kind"), text(event, "trigger"));
        let state = states.get(device).copied();
        let goes = matches!((kind, text(event, "phase")), ("outage" | "p2p_unmap", "begin"))
            || is(event, "trigger", "begin") && revoking(event);
        let closes = is(event, "trigger", "end") && matches!(trigger, "close" | "remove");
        let next = match (state, kind) {
            (Some("Live"), _) if goes => "Revoked",
            (None, "expect") if event["value"] == 1 => "Live",
            (Some("Revoked"), "expect") if event["value"] == 1 => "Live",
            (Some("Revoked"), _) if closes => "Closed",
            _ => continue,
        };
        *edges.entry((Value::from(state).to_string(), next.to_owned(), trigger.to_owned())).or_default() += 1;
        states.insert(device.to_owned(), next);
    }
    edges
}

/// An outage under way, of a window.
struct Away {
    since: u64,
    noticed: bool,
    left: bool,
}

/// How long each way was away, each sort in the order of its times. Journals in which nobody acts past the
/// VMM but by a suspicion.
pub fn outages(journal: &Journal) -> Times {
    let mut times = Times::new();
    let mut away: BTreeMap<(&str, String, u64, String), Away> = BTreeMap::new();
    let mut mapped: BTreeMap<(String, u64, String), bool> = BTreeMap::new();
    for event in &journal.events {
        let Some(device) = event["device"].as_str() else { continue };
        let (kind, phase, now) = (text(event, "kind"), text(event, "phase"), number(event, "t_ns"));
        let noticed = text(event, "trigger") == "suspect";
        let window = || (device.to_owned(), number(event, "bar"), text(event, "address").to_owned());
        let here = |way| {
            let (device, bar, address) = window();
            (way, device, bar, address)
        };
        match (kind, phase) {
            ("outage", "begin") => drop(away.insert(here("CPU"), Away { since: now, noticed, left: false })),
            ("outage", "end") => over(&mut times, away.remove(&here("CPU")), "CPU", now),
            ("p2p_map", "end") if event["result"] == 0 => {
                over(&mut times, away.remove(&here("P2P")), "P2P", now);
                mapped.insert(window(), true);
            }
            ("p2p_unmap", "begin") if mapped.get(&window()) == Some(&true) => {
                away.entry(here("P2P")).or_insert(Away { since: now, noticed: false, left: false });
            }
            ("p2p_unmap", "end") => drop(mapped.insert(window(), false)),
            ("trigger", "begin") if revoking(event) => {
                for ((of, bar, address), _) in mapped.iter().filter(|((of, ..), live)| of == device && **live)
                {
                    let key = ("P2P", of.clone(), *bar, address.clone());
                    away.entry(key).or_insert(Away { since: now, noticed: false, left: false });
                }
            }
            ("expect", _) if event["value"] == 0 => {
                let of_it = away.iter_mut().filter(|((_, of, ..), _)| of == device);
                of_it.for_each(|(_, away)| away.left = true);
            }
            _ => {}
        }
    }
    times.values_mut().for_each(|times| times.sort_unstable());
    times
}

fn over(times: &mut Times, away: Option<Away>, way: &str, now: u64) {
    let Some(Away { since, noticed, left }) = away else { return };
    let ended = match (left, noticed) {
        (true, _) => "by whoever began it",
        (false, true) => "once noticed",
        (false, false) => "by the VMM",
    };
    times.entry((way.to_owned(), ended.to_owned())).or_default().push(now - since);
}

/// The shortest of sorted times that so many of a hundred do not exceed.
pub fn percentile(times: &[u64], percent: usize) -> u64 {
    times[(times.len() * percent).div_ceil(100).max(1) - 1]
}

fn revoking(event: &Value) -> bool {
    REVOKES.contains(&text(event, "trigger"))
}

fn is(event: &Value, kind: &str, phase: &str) -> bool {
    event["kind"] == kind && event["phase"] == phase
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}
