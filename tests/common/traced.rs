//! Journals of lane model, and what `barkeep trace` makes of them, held to a second counting.

use super::bench::{Bench, Ran};
use super::journal::Journal;
use super::{gate, tally};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Decode, FLR, DMA in flight and landed, D3hot, as often as is said.
const MANY: &str = include_str!("../../scripts/bench-page.toml");

pub const JOURNAL: &str = "out/journal.jsonl";

/// A bench with the journal of a run in lane model.
pub fn main_job() -> Bench {
    let bench = Bench::new();
    let mut command = bench.barkeep(["run", "--lane", "model", "--out"]);
    command.arg(bench.out());
    bench.run(command).ended(0);
    bench
}

pub fn many(times: u32) -> Bench {
    let bench = Bench::new();
    bench.write("many.toml", MANY.replace("TIMES", &times.to_string()));
    let mut command = bench.barkeep(["replay", "many.toml", "--lane", "model", "--out"]);
    command.arg(bench.out());
    bench.run(command).ended(0);
    bench
}

pub fn barkeep(bench: &Bench, words: &[&str]) -> Ran {
    bench.run(bench.barkeep(words))
}

/// The page of a journal, and what stands in it as JSON.
pub fn page(bench: &Bench, journal: &str) -> (PathBuf, Value) {
    barkeep(bench, &["trace", journal, "--html", "page.html"]).ended(0);
    let path = bench.path("page.html");
    let text = fs::read_to_string(&path).unwrap();
    (path, data(&text))
}

pub fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").expect("the data");
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// Every number of a page is the journal's.
#[track_caller]
pub fn holds(journal: &Journal, data: &Value) {
    let numbers = &data["numbers"];
    assert_eq!(data["lane"], journal.header["lane"]);
    assert_eq!(numbers["events"], journal.events.len());
    assert_eq!(numbers["revokes"], tally::revokes(journal));
    let kinds: BTreeMap<String, u64> = serde_json::from_value(numbers["kinds"].clone()).unwrap();
    assert_eq!(kinds, tally::kinds(journal));
    let lanes: BTreeMap<String, u64> = serde_json::from_value(numbers["parties"].clone()).unwrap();
    assert_eq!(lanes.values().sum::<u64>(), journal.events.len() as u64);

    let outcomes: Vec<(String, String, u64)> = serde_json::from_value(numbers["outcomes"].clone()).unwrap();
    let outcomes: BTreeMap<_, _> =
        outcomes.into_iter().map(|(trigger, what, n)| ((trigger, what), n)).collect();
    assert_eq!(outcomes, tally::outcomes(journal));

    let edges: Vec<(Value, String, String, u64)> = serde_json::from_value(numbers["edges"].clone()).unwrap();
    let edges: Vec<_> =
        edges.into_iter().map(|(from, to, trigger, n)| ((from.to_string(), to, trigger), n)).collect();
    let again: BTreeMap<_, _> = tally::edges(journal)
        .into_iter()
        .map(|((from, to, trigger), n)| ((from.to_string(), to, trigger), n))
        .collect();
    assert_eq!(edges.into_iter().collect::<BTreeMap<_, _>>(), again);

    times(journal, numbers["outages"].as_array().unwrap());
}

fn times(journal: &Journal, series: &[Value]) {
    let again = tally::outages(journal);
    let names = |series: &Value| {
        (series["way"].as_str().unwrap().to_owned(), series["ended"].as_str().unwrap().to_owned())
    };
    assert_eq!(series.iter().map(names).collect::<Vec<_>>(), again.keys().cloned().collect::<Vec<_>>());
    for (one, (name, times)) in series.iter().zip(&again) {
        assert_eq!(one["count"], times.len(), "{name:?}");
        let kept: Vec<(u64, usize)> = serde_json::from_value(one["ns"].clone()).unwrap();
        let exact = kept.iter().flat_map(|(ns, n)| std::iter::repeat_n(*ns, *n)).eq(times.iter().copied());
        for (percent, field) in [(50, "p50"), (90, "p90"), (99, "p99"), (100, "max")] {
            let (told, counted) = (one[field].as_u64().unwrap(), tally::percentile(times, percent));
            // Beyond 256 different times three digits are kept.
            let off = told.abs_diff(counted);
            assert!(
                off == 0 || !exact && off <= counted / 500,
                "{name:?} {field}: {told}, counted {counted}"
            );
        }
    }
}

/// A page as a browser has it once its script has run; no error and nothing refused on the way.
pub fn opens(bench: &Bench, page: &Path) -> Option<String> {
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(gate::find);
    let Some(browser) = browser else {
        gate::say("skipped: no browser to open the page with; Debian's is in the package chromium");
        return None;
    };
    let mut command = Command::new(browser);
    command.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--dump-dom",
    ]);
    command.args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=10000", "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", bench.path("browser").display()));
    command.arg(format!("file://{}", page.display())).stdin(std::process::Stdio::null());
    let ran = command.output().unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
    let said: Vec<_> = errors.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(said.is_empty(), "the browser's console: {said:?}");
    let dom = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(dom.contains("data-ready=\""), "the page's script has not come to its end: {errors}");
    Some(dom)
}
