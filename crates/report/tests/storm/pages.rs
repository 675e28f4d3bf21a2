//! What a person reads, word by word; and GitHub.

use crate::example::{NO_P2P, finding, green, header, known, quiet, red, storm};
use barkeep_report::Style;
use barkeep_report::storm::{Known, Shard, Storm, github, print};

fn told(storm: &Storm, known: &Known) -> String {
    let mut out = Vec::new();
    print::end(&mut out, &storm.judge(known), Style::Plain).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_first_lines() {
    let mut out = Vec::new();
    print::begin(&mut out, &header()).unwrap();
    let expected = "\
storm flr
  about         FLR under peers' DMA
  seed          1
  count         3 resets
  commit        51ffa7c (barkeep 0.1.0)
  kernel        7.3.4
  lane          lab, virtual time
  pauses        0us..300us, one in 4
  resets of an episode 1
  must happen   dma-in-flight, cpu-met-outage
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_pass() {
    let expected = "
pass  storm flr (lab, virtual time): 3 episodes, 3 resets (status 0)
  seeds         1 to 3, 3 of them
  resets        3 planned, 7 revokes (lab, virtual time)
  revokes       FLR 2, decode off 2, close 3
  besides       decode on 2
  DMA           3 commanded: 1 seen to land, 0 not to, 2 faults; 2 in flight at a revoke
  CPU           0 seen to land, 0 not to; 6 accesses answered in outages
  P2P outages   2 ended by the VMM: p50 104.037 ms, p99 104.037 ms, longest 104.037 ms; 2 by whoever began
                them: p50 1.105 ms, p99 1.105 ms, longest 1.105 ms (lab, virtual time)
  CPU outages   2 ended by the VMM: p50 104.098 ms, p99 104.098 ms, longest 104.098 ms; 2 by whoever began
                them: p50 1.167 ms, p99 1.167 ms, longest 1.167 ms (lab, virtual time)
  marks         dma-in-flight 2, flr-under-dma 2, cpu-met-outage 2
  left over     nothing
  interleavings 2 distinct of 3 episodes
  time          315 ms (lab, virtual time), 153 events
";
    assert_eq!(told(&green(), &Known::default()), expected);
}

#[test]
fn a_failure() {
    let text = told(&red(), &Known::default());
    let (_, failure) = text.split_once("\n\n").unwrap();
    let expected = "\
seed 2, status 1
  I3 is broken (what was revoked comes back, or its failure is loud): peer-to-peer DMA to BAR 2 of
  0000:00:03.0 at 0xfe000000 is not back after flr although the function decodes (seq 25)
  the events that show it:
    seq 7 at 5 ms: vcpu0 trigger FLR, nvme begins
  shrunk from 120 actions to 3
  again: barkeep replay out/storm/2/repro.toml --lane lab
  repro: out/storm/2/repro.toml
  journal: out/storm/2/journal.jsonl
  all: out/storm/2
";
    assert_eq!(failure, expected);
}

#[test]
fn what_never_happened_and_what_is_gone() {
    let text = told(&storm(&[quiet()]), &known("no such thing"));
    for line in [
        "\nFAIL  storm flr (lab, virtual time): 1 episode, 1 reset (status 1)\n",
        "\n  NEVER         cpu-met-outage: it never happened that a CPU access was answered all ones inside an outage\n",
        "\n  GONE          known finding I3: no such thing no longer occurs\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let mut part = storm(&[quiet()]);
    part.header.shards = vec![Shard { number: 1, of: 3 }, Shard { number: 2, of: 3 }];
    let text = told(&part, &Known::default());
    assert!(text.contains("\n  MISSING       no record of shard 3/3\n"), "{text}");
}

#[test]
fn the_wall_clock_is_told_apart() {
    let mut storm = green();
    assert_eq!(print::wall_clock(&storm), None);
    storm.wall_clock_ns = Some(1_500_000_000);
    assert_eq!(print::wall_clock(&storm).unwrap(), "wall clock: 1.500 s, 2.0 resets a second");
    assert_eq!(told(&storm, &Known::default()), told(&green(), &Known::default()));
}

#[test]
fn annotations_are_escaped_and_of_a_bounded_number() {
    let mut storm = red();
    storm.header.scenario = "a,b:c".to_owned();
    storm.episodes[1].artefacts = None;
    storm.episodes[1].findings = vec![finding("100%\nsure")];
    let mut out = Vec::new();
    github::annotations(&mut out, &storm.judge(&Known::default())).unwrap();
    let expected = "::error title=storm a%2Cb%3Ac (lab)%3A seed 2::I3 is broken (what was revoked comes back, or its \
                    failure is loud): 100%25%0Asure (seq 7)\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);

    let mut out = Vec::new();
    github::annotations(&mut out, &red().judge(&known(NO_P2P))).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("::warning title=storm flr (lab)%3A seed 2::known: a bug of 7.3, reported\n"),
        "{text}"
    );

    let mut storm = red();
    storm.episodes =
        (1..=40).map(|seed| barkeep_report::storm::Episode { seed, ..storm.episodes[1].clone() }).collect();
    let mut out = Vec::new();
    github::annotations(&mut out, &storm.judge(&Known::default())).unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 10);
}

#[test]
fn the_summary_of_a_step_is_a_table() {
    let mut storm = red();
    storm.header.about = "a | b <script>".to_owned();
    let mut out = Vec::new();
    github::summary(&mut out, &storm.judge(&Known::default())).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with(
            "### FAIL  storm flr (lab, virtual time): 3 episodes, 3 resets, 1 failed (status 1)\n"
        )
    );
    assert!(text.contains("| about | a \\| b \\<script\\> |\n"), "{text}");
    assert!(text.contains("\n**seed 2** (status 1): I3 is broken"), "{text}");
}
