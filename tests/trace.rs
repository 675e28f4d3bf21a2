//! What `trace` makes of a journal, as lines and as a page, held to the journal by readers of their own.

mod common;

use common::bench::Bench;
use common::gate;
use common::journal::Journal;
use common::traced::{JOURNAL, barkeep, data, holds, main_job, many, opens, page};
use serde_json::{Value, json};
use std::fs;

#[test]
fn the_pages_numbers_are_the_journals() {
    let bench = main_job();
    let (_, data) = page(&bench, JOURNAL);
    holds(&bench.journal(), &data);
    assert_eq!((&data["bins"], &data["put_together"]), (&Value::Null, &Value::Null));
    let bench = many(20);
    let (_, data) = page(&bench, JOURNAL);
    assert_eq!(data["numbers"]["revokes"], 82);
    holds(&bench.journal(), &data);
}

#[test]
fn a_long_run_is_put_together_and_nothing_is_left_out() {
    let bench = many(1200);
    let (path, data) = page(&bench, JOURNAL);
    holds(&bench.journal(), &data);
    let said = data["put_together"].as_str().expect("it says what is put together");
    let bins = |which: &str, column: usize| -> u64 {
        let lanes = data["bins"][which].as_array().unwrap().iter().flat_map(|lane| lane.as_array().unwrap());
        lanes.map(|bin| bin[column].as_u64().unwrap()).sum()
    };
    let outages = data["amount"]["outages"].as_u64().unwrap();
    assert_eq!(bins("ways", 1), outages);
    assert_eq!(bins("parties", 2), data["amount"]["marks"].as_u64().unwrap());
    // Actions are not in the lanes.
    let actions = bench.journal().all(&json!({"kind": "action", "phase": "end"})).len() as u64;
    assert_eq!(bins("parties", 1) + actions, data["amount"]["slices"].as_u64().unwrap());
    assert!(said.contains(&format!("{outages} outages")), "{said}");
    let size = fs::metadata(path).unwrap().len();
    assert!(size < 2_000_000, "{size} bytes");
}

#[test]
#[ignore = "a million events: a minute"]
fn a_page_of_a_million_events_is_small_and_loads() {
    let bench = many(13_000);
    let (path, data) = page(&bench, JOURNAL);
    assert!(data["numbers"]["events"].as_u64().unwrap() >= 1_000_000, "{}", data["numbers"]["events"]);
    holds(&bench.journal(), &data);
    assert!(fs::metadata(&path).unwrap().len() < 2_000_000);
    opens(&bench, &path);
}

#[test]
fn a_browser_shows_the_page_without_an_error_or_a_request() {
    let bench = many(3);
    let (path, data) = page(&bench, JOURNAL);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("default-src 'none'"), "nothing may be asked for");
    let outside = ["<link", "src=", "@import", "url(http", "fetch(", "XMLHttpRequest"];
    assert!(outside.iter().all(|word| !text.contains(word)), "something from outside");
    let Some(dom) = opens(&bench, &path) else { return };
    for outcome in data["numbers"]["outcomes"].as_array().unwrap() {
        let [trigger, what, n] = [0, 1, 2].map(|n| outcome[n].to_string().trim_matches('"').to_owned());
        let cell = format!("data-trigger=\"{trigger}\" data-outcome=\"{what}\" data-count=\"{n}\"");
        assert!(dom.contains(&cell), "not shown: {cell}");
    }
    for series in data["numbers"]["outages"].as_array().unwrap() {
        let cell = format!("data-what=\"p99\" data-ns=\"{}\"", series["p99"]);
        assert!(dom.contains(&cell), "not shown: {cell}");
    }
    for state in ["Live", "Revoked", "Closed"] {
        assert!(dom.contains(&format!("font-weight=\"600\">{state}</text>")), "{state}");
    }
}

#[test]
fn what_a_journal_says_is_text_on_the_page() {
    let bench = main_job();
    let mut journal = bench.journal();
    let nasty = "</script><script>alert(1)</script><!--<b>&\"'\u{2028}";
    journal.events[0]["text"] = nasty.into();
    journal
        .events
        .push(json!({"seq": 9999, "t_ns": 1, "lane": "model", "clock": "virtual", "kind": "degraded",
        "actor": "vmm", "text": nasty}));
    journal.write(&bench.path("nasty.jsonl"));
    let (path, data) = page(&bench, "nasty.jsonl");
    assert_eq!(data["title"], nasty);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("<script").count(), 2, "the data, and the script that draws it");
    barkeep(&bench, &["trace", "nasty.jsonl", "--svg", "nasty.svg"]).ended(0);
    roxmltree::Document::parse(&bench.read("nasty.svg")).unwrap();
    opens(&bench, &path);
}

#[test]
fn around_a_revoke_is_all_of_its_event() {
    let bench = main_job();
    let journal = bench.journal();
    let revokes: Vec<_> = journal.all(&json!({"kind": "trigger", "phase": "begin"}));
    let ran = barkeep(&bench, &["trace", JOURNAL, "--around", "revoke:2", "--context", "3"]);
    let out = &ran.ended(0).stdout;
    assert!(out.contains("[revoke:2]") && out.contains("decode off let through"), "{out}");
    assert_eq!(revokes[1]["trigger"], "decode_off");
    let seqs: Vec<u64> =
        out.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    let device = revokes[1]["device"].clone();
    let at = journal.events.iter().position(|event| event == revokes[1]).unwrap();
    let of_it = |event: &&Value| event["device"] == device && event["kind"] != "action";
    let first =
        journal.events[..at].iter().rev().take_while(|e| e["kind"] == "slot_remove" || e["kind"] == "outage");
    let first = first.last().unwrap()["seq"].as_u64().unwrap();
    let last = journal.events[at..].iter().filter(of_it).find(|e| e["kind"] == "expect").unwrap();
    let last = last["seq"].as_u64().unwrap();
    let all = |from: u64, to: u64| -> Vec<u64> {
        let seqs = journal.events.iter().map(|event| event["seq"].as_u64().unwrap());
        seqs.filter(|seq| (from..=to).contains(seq)).collect()
    };
    let inside: Vec<_> = seqs.iter().copied().filter(|seq| (first..=last).contains(seq)).collect();
    assert_eq!(inside, all(first, last));
    assert_eq!(
        (seqs.iter().filter(|s| **s < first).count(), seqs.iter().filter(|s| **s > last).count()),
        (3, 3)
    );
    // A place and a time, and a part of the run.
    let only = |words: &[&str]| barkeep(&bench, &[&["trace", JOURNAL], words].concat()).stdout;
    let seq = seqs[4].to_string();
    let line = only(&["--around", &format!("seq:{seq}"), "--context", "0"]);
    assert!(line.lines().last().unwrap().trim_start().starts_with(&seq), "{line}");
    let from = only(&["--from", "0.2", "--to", "300ms", "--device", "edu"]);
    assert!(!from.contains("nvme BAR") && from.lines().count() > 5, "{from}");
}

#[test]
fn every_event_has_a_line_of_at_most_a_hundred_columns() {
    let bench = many(5);
    let ran = barkeep(&bench, &["trace", JOURNAL]);
    let lines: Vec<_> = ran.ended(0).stdout.lines().collect();
    let told = lines.iter().filter(|line| line.split_whitespace().next().unwrap().parse::<u64>().is_ok());
    assert_eq!(told.count(), bench.journal().events.len());
    for line in lines {
        assert!(line.chars().count() <= 100 && !line.contains('\x1b'), "{line}");
    }
}

#[test]
fn what_is_not_there_is_told() {
    let bench = main_job();
    for (words, told) in [
        (
            &["trace", JOURNAL, "--around", "revoke:99"][..],
            "there is no revoke:99: the journal has 6 revokes",
        ),
        (&["trace", JOURNAL, "--around", "seq:99999"], "nothing at seq:99999"),
        (&["trace", JOURNAL, "--around", "reset:1"], "`reset:1` is no point of a run"),
        (&["trace", JOURNAL, "--device", "nvm"], "there is no device `nvm` in this journal; it has edu"),
        (&["trace", JOURNAL, "--bar", "6"], "6 is not in 0..=5"),
        (&["trace", "none.jsonl"], "cannot read the journal none.jsonl"),
        (&["explain", JOURNAL, "nvm:2"], "there is no device `nvm`"),
        (&["explain", JOURNAL, "nonsense"], "`nonsense` is neither an IOVA"),
        (&["diff", JOURNAL, "none.jsonl"], "cannot read the journal none.jsonl"),
        (&["trace", JOURNAL, "--svg", "no/where.svg"], "cannot write no/where.svg"),
    ] {
        barkeep(&bench, words).ended(2).tells(&[told]);
    }
}

#[test]
fn a_damaged_journal_is_shown_as_far_as_it_goes() {
    let bench = main_job();
    let whole = bench.read(JOURNAL);
    let lines: Vec<_> = whole.lines().collect();
    let cut = &whole[..whole.len() - 20];
    let mut hole: Vec<_> = lines.clone();
    hole[10] = "{\"seq\":";
    hole[20] = "nonsense";
    let newer = whole.replacen("\"barkeep_journal\":1", "\"barkeep_journal\":2", 1);
    let shown = lines.len() - 1;
    for (name, text, told, events) in [
        ("cut", cut.to_owned(), "the file ends in the middle of this line", shown - 1),
        ("hole", hole.join("\n"), "line 11: not a JSON object; line 21: not a JSON object", shown - 2),
        ("newer", newer, "line 1: a journal of version 2; this Barkeep reads version 1", shown),
        ("empty", String::new(), "line 1: the file is empty", 0),
        ("foreign", "hello\n".to_owned(), "line 1: not a journal", 0),
    ] {
        let file = format!("{name}.jsonl");
        bench.write(&file, text);
        let ran = barkeep(&bench, &["trace", &file]);
        ran.ended(2).tells(&[&format!("cannot read the journal {file}"), told]);
        let told_lines = ran
            .stdout
            .lines()
            .filter(|line| line.split_whitespace().next().is_some_and(|w| w.parse::<u64>().is_ok()));
        assert_eq!(told_lines.count(), events, "{name}:\n{}", ran.stdout);
        barkeep(&bench, &["diff", JOURNAL, &file]).ended(2).tells(&[told]);
        barkeep(&bench, &["explain", &file, "0x4000000000"]).ended(2).tells(&[told]);
        let ran =
            barkeep(&bench, &["trace", &file, "--html", "damaged.html", "--perfetto", "damaged.pftrace"]);
        ran.ended(2).tells(&[told]);
        if events > 0 {
            let data = data(&bench.read("damaged.html"));
            assert!(data["damages"].as_str().unwrap().contains(told), "{}", data["damages"]);
            assert_eq!(data["numbers"]["events"], events);
        }
    }
}

#[test]
fn pages_of_a_real_kernels_runs() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    bench.run_lab(&kernel, &[], &["run"]).ended(0);
    let (path, data) = page(&bench, JOURNAL);
    holds(&bench.journal(), &data);
    opens(&bench, &path);
    let bench = Bench::new();
    bench.run_lab(&kernel, &[], &["storm", "flr", "--seed", "1", "--count", "500"]).ended(0);
    let mut held = 0;
    for episode in fs::read_dir(bench.path("out/episodes")).unwrap() {
        let journal = episode.unwrap().path().join("journal.jsonl");
        if journal.is_file() {
            let (path, data) = page(&bench, journal.to_str().unwrap());
            holds(&Journal::read(&journal), &data);
            opens(&bench, &path);
            held += 1;
        }
    }
    assert!(held > 0, "no journals of episodes");
}
