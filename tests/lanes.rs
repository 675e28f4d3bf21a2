//! Lanes without a kernel under test: simulated devices, under real vCPUs (`kvm`) and simulated
//! ones (`model`).

mod common;

use common::bench::{Bench, Ran};
use common::journal::{Journal, number};
use common::main_job::Cast;
use common::{gate, scenario};
use serde_json::{Value, json};
use std::fs;

/// Where simulated devices are, in the order they are asked for.
const SIMULATED: Cast = Cast { nvme: "ffff:00:01.0", edu: "ffff:00:02.0" };

/// `barkeep` with these words, its results in the bench's folder.
fn barkeep(bench: &Bench, words: &[&str]) -> Ran {
    let mut command = bench.barkeep(words);
    command.arg("--out").arg(bench.out());
    bench.run(command)
}

/// The same, which passes; gives its journal.
#[track_caller]
fn passes(words: &[&str]) -> Journal {
    let bench = Bench::new();
    barkeep(&bench, words).ended(0).verdict("pass");
    bench.journal()
}

/// A scenario of one's own, which passes in both lanes that can be had.
#[track_caller]
fn both_pass(device: &str, actions: &[&str]) {
    let text = scenario::of("own", actions);
    for lane in lanes() {
        let bench = Bench::new();
        bench.write("own.toml", &text);
        let device = format!("nvme={device}");
        let ran = barkeep(
            &bench,
            &["replay", "own.toml", "--lane", lane, "--device", &device, "--device", "sim:dma"],
        );
        ran.ended(0).verdict("pass");
    }
}

fn lanes() -> Vec<&'static str> {
    let kvm = gate::kvm().map(|()| "kvm");
    kvm.into_iter().chain(["model"]).collect()
}

/// Real vCPUs and simulated ones tell the same story.
#[test]
fn the_main_job_in_lane_kvm() {
    let Some(()) = gate::kvm() else { return };
    let journal = passes(&["run", "--device", "sim:memory", "--device", "sim:dma"]);
    assert_eq!(journal.header, json!({"barkeep_journal": 1, "lane": "kvm", "clock": "hardware"}));
    SIMULATED.told(&journal);
    same_story(&journal, &passes(&["run", "--lane", "model"]));
}

/// With stand-ins for what the scenario names.
#[test]
fn the_main_job_in_lane_model() {
    let journal = passes(&["run", "--lane", "model"]);
    assert_eq!(journal.header, json!({"barkeep_journal": 1, "lane": "model", "clock": "virtual"}));
    SIMULATED.told(&journal);
}

/// The specification and a real kernel, a simulated device and an emulated one: the same events, one
/// by one. What the testbed and the kernel add of their own is left out, and what is counted as left
/// over is each lane's.
#[test]
fn the_main_job_in_the_lab_tells_what_lane_model_tells() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    bench.run_lab(&kernel, &[], &["run"]).ended(0);
    let lab = bench.journal();
    let model = passes(&[
        "run",
        "--lane",
        "model",
        "--device",
        "nvme=sim:memory,registers=on",
        "--device",
        "edu=sim:dma",
    ]);
    let (lab, model) = (bare(&lab), bare(&model));
    let differ = lab.iter().zip(&model).find(|(lab, model)| lab != model);
    assert!(differ.is_none(), "{differ:?}");
    assert_eq!(lab.len(), model.len());
}

/// Each event without times, addresses, and by what it was seen.
fn bare(journal: &Journal) -> Vec<Value> {
    const FIELDS: [&str; 8] = ["kind", "phase", "actor", "trigger", "bar", "size", "errno", "result"];
    let own = |event: &&Value| {
        event["actor"] != "lab" && event["kind"] != "kernel_log" && event["kind"] != "leftover"
    };
    let strip = |event: &Value| FIELDS.iter().map(|field| event[field].clone()).collect::<Value>();
    journal.events.iter().filter(own).map(strip).collect()
}

#[test]
fn lane_model_is_the_same_byte_for_byte() {
    for words in [&["run", "--lane", "model"][..], &["replay", "hammer", "--lane", "model"]] {
        let bytes = || {
            let bench = Bench::new();
            barkeep(&bench, words).ended(0);
            fs::read(bench.out().join("journal.jsonl")).unwrap()
        };
        assert!(bytes() == bytes(), "two runs of {words:?} differ");
    }
}

/// The same but for when it was, and how much CPU time an idle VMM used.
#[track_caller]
fn same_story(one: &Journal, other: &Journal) {
    let told = |journal: &Journal| -> Vec<Value> {
        let strip = |event: &Value| {
            let mut event = event.clone();
            for field in ["t_ns", "lane", "clock"] {
                event.as_object_mut().unwrap().remove(field);
            }
            if event["text"].as_str().is_some_and(|text| text.starts_with("idle for")) {
                event["text"] = "idle".into();
            }
            event
        };
        journal.events.iter().map(strip).collect()
    };
    let (one, other) = (told(one), told(other));
    let differ = one.iter().zip(&other).find(|(one, other)| one != other);
    assert!(differ.is_none(), "{differ:?}");
    assert_eq!(one.len(), other.len());
}

/// The register BAR is exported and mapped as in every lane, and no memory slot stands behind it.
#[test]
fn a_register_bar_is_trapped_and_says_so() {
    let journal = passes(&["run", "--lane", "model"]);
    let slots = |device: &str| {
        journal.all(&json!({"kind": "slot_add", "phase": "begin", "device": device, "trigger": "start"}))
    };
    assert_eq!(slots(SIMULATED.edu)[0]["text"], "trapped");
    assert_eq!(slots(SIMULATED.nvme)[0]["text"], Value::Null);
    let mapped = json!({"kind": "p2p_map", "phase": "end", "device": SIMULATED.edu, "bar": 0, "result": 0});
    assert_eq!(journal.all(&mapped).len(), 1);
}

#[test]
fn every_answer_is_right_through_250_revokes() {
    for lane in lanes() {
        let journal = passes(&["replay", "hammer", "--lane", lane]);
        let sum = |sort| {
            let counts = journal.all(&json!({"kind": "access_count", "text": sort}));
            counts.iter().map(|count| number(count, "value")).sum::<u64>()
        };
        assert!(sum("out, all ones came back") >= 1000 && sum("live, value came back") > 0, "{lane}");
        assert_eq!(sum("wrong"), 0, "{lane}");
    }
}

/// A vCPU runs into pages that are not there: EFAULT or, where KVM has no hardware paging, an
/// MMIO exit. Either makes the VMM suspect.
#[test]
fn revokes_nobody_announced_are_met_and_settled() {
    for lane in lanes() {
        let journal = passes(&["replay", "unseen", "--lane", lane]);
        let mut story = journal.story();
        story.then(json!({"kind": "trigger", "phase": "end", "actor": "observer", "trigger": "decode_off"}));
        let verify = story.then(json!({"kind": "action", "phase": "begin"}));
        let met = json!({"kind": "slot_remove", "phase": "begin", "trigger": "suspect"});
        story.without(json!({"kind": "action", "phase": "end", "step": verify["step"]}), met);
    }
}

#[test]
fn the_main_job_on_all_sorts_of_devices() {
    for options in [
        "size=4K",
        "size=64G",
        "msix=on,size=16K",
        "msix=on,size=64G",
        "pm=soft-reset",
        "af=on",
        "bar=2,reset-time=2s",
    ] {
        let device = format!("sim:memory,{options}");
        passes(&["run", "--lane", "model", "--device", &device, "--device", "sim:dma"]);
    }
}

#[test]
fn sixty_four_gib_start_under_real_vcpus() {
    let Some(()) = gate::kvm() else { return };
    let journal = passes(&["run", "--device", "sim:memory,size=64G,msix=on", "--device", "sim:dma"]);
    let slots = json!({"kind": "slot_add", "phase": "end", "device": SIMULATED.nvme, "trigger": "start"});
    let sizes: Vec<&str> = journal.all(&slots).iter().filter_map(|slot| slot["size"].as_str()).collect();
    // The MSI-X table's page parts it in two, as far up as a table can be.
    assert_eq!(sizes, ["0x80000000", "0xf7ffff000"]);
}

/// A BAR of less than a page cannot be given away: it is reached by exits only.
#[test]
fn a_bar_smaller_than_a_page_is_never_exported() {
    let at = "{ device = \"nvme\", bar = 2 }";
    let fill = format!("do = \"fill\"; to = {at}; size = 512; pattern = 7");
    let verify = format!("do = \"verify\"; at = {at}; size = 512; pattern = 7");
    both_pass("sim:memory,size=512", &[&fill, "do = \"flr\"; device = \"nvme\"", &verify]);
    let bench = Bench::new();
    let attach = format!("do = \"attach\"; to = {at}; expect = \"ok\"");
    bench.write("own.toml", scenario::of("own", &[&attach]));
    let ran = barkeep(&bench, &["replay", "own.toml", "--lane", "model", "--device", "sim:memory,size=512"]);
    ran.ended(2).tells(&["no exported window"]);
}

/// A reset inside a config write that fails: the write succeeds, mappings are dead all the same,
/// and live again afterwards, since the function decodes. `VFIO_DEVICE_RESET` is refused from the
/// start, because none worked at open, and revokes nothing.
#[test]
fn resets_that_fail() {
    let at = "{ device = \"nvme\", bar = 2 }";
    let attach = |after: &str, expect: &str| {
        format!("do = \"attach\"; to = {at}; expect = \"{expect}\"; background = true; after = \"{after}\"")
    };
    both_pass(
        "sim:memory,reset=fails",
        &[
            &format!("do = \"fill\"; to = {at}; pattern = 7"),
            &attach("20ms", "ENODEV"),
            "do = \"flr\"; device = \"nvme\"",
            &format!("do = \"verify\"; at = {at}; pattern = 7"),
            &scenario::dma(0x5a5a_0001, "lands"),
            "do = \"d3hot\"; device = \"nvme\"",
            &scenario::dma(0x5a5a_0002, "faults"),
            // It wakes up for the reset, and stays awake.
            "do = \"flr\"; device = \"nvme\"",
            &scenario::dma(0x5a5a_0003, "lands"),
            "do = \"device-reset\"; device = \"nvme\"; expect = \"EINVAL\"",
            &scenario::dma(0x5a5a_0004, "lands"),
        ],
    );
}

/// Without FLR in DEVCAP the bit does nothing; AF's takes its place.
#[test]
fn resets_of_other_kinds() {
    let at = "{ device = \"nvme\", bar = 2 }";
    both_pass(
        "sim:memory,flr=off,af=on",
        &[
            "do = \"flr\"; device = \"nvme\"",
            &scenario::dma(0x5a5a_0001, "lands"),
            &format!("do = \"attach\"; to = {at}; expect = \"ENODEV\"; background = true; after = \"20ms\""),
            "do = \"af-flr\"; device = \"nvme\"",
            &scenario::dma(0x5a5a_0002, "lands"),
            "do = \"device-reset\"; device = \"nvme\"",
        ],
    );
}

/// A virtual function decodes whatever COMMAND says: decode off revokes, and the mapping made
/// anew is live at once.
#[test]
fn a_virtual_function_decodes_without_its_bit() {
    both_pass(
        "sim:memory,vf=on",
        &[
            "do = \"decode-off\"; device = \"nvme\"",
            &scenario::dma(0x5a5a_0001, "lands"),
            "do = \"d3hot\"; device = \"nvme\"",
            &scenario::dma(0x5a5a_0002, "faults"),
            "do = \"d0\"; device = \"nvme\"",
            &scenario::dma(0x5a5a_0003, "lands"),
        ],
    );
}

/// In virtual time a time is no measurement.
#[test]
fn a_reset_takes_what_was_asked_for_and_the_kernels_own_wait() {
    let journal =
        passes(&["run", "--lane", "model", "--device", "sim:memory,reset-time=1s", "--device", "sim:dma"]);
    let flr = |phase| json!({"kind": "trigger", "phase": phase, "trigger": "flr"});
    let [begin, end] = ["begin", "end"].map(|phase| number(journal.all(&flr(phase))[0], "t_ns"));
    assert_eq!(end - begin, 1_100_000_000);
}

#[test]
fn a_dma_in_flight_meets_the_revoke_however_long_it_takes() {
    let lands = scenario::dma(0x5a5a_0001, "lands");
    let start = lands.replace("\"dma\"", "\"dma-start\"").replace("; expect = \"lands\"", "");
    let actions = [
        &start,
        "do = \"flr\"; device = \"nvme\"",
        "do = \"dma-finish\"; engine = \"edu\"; expect = \"faults\"",
    ];
    for delay in ["1us", "100ms", "900ms"] {
        let bench = Bench::new();
        bench.write("own.toml", scenario::of("own", &actions));
        let engine = format!("sim:dma,delay={delay}");
        let words = ["replay", "own.toml", "--lane", "model", "--device", "sim:memory", "--device", &engine];
        let ran = barkeep(&bench, &words);
        // One that is over before the write is none in flight.
        ran.ended(if delay == "1us" { 1 } else { 0 });
    }
}
