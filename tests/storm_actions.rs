//! What a scenario can have done at the same time, and how it is disturbed: each in the lanes that can be
//! had.

mod common;

use common::bench::{Bench, Ran};
use common::journal::Journal;
use common::{gate, scenario};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// Where a scenario is carried out.
#[derive(Clone, Debug, PartialEq)]
enum Lane {
    Model,
    Kvm,
    Lab(PathBuf),
}

impl Lane {
    /// Whether what happens next there is never a scheduler's choice.
    fn is_exact(&self) -> bool {
        match self {
            Self::Model | Self::Lab(_) => true,
            Self::Kvm => false,
        }
    }

    /// Whether what goes on beside has a thread of its own.
    fn has_threads(&self) -> bool {
        *self != Self::Model
    }
}

fn lanes() -> Vec<Lane> {
    let kvm = gate::kvm().map(|()| Lane::Kvm);
    let lab = gate::kernel(gate::PLAIN).map(Lane::Lab);
    [Some(Lane::Model), kvm, lab].into_iter().flatten().collect()
}

/// A scenario in a guest of three vCPUs, on the machine that has both devices everywhere.
fn text(perturb: &str, actions: &[&str]) -> String {
    let text = scenario::of("own", actions);
    let head = format!("topology = \"nvme-edu\"\n[guest]\nvcpus = 3\n{perturb}\n[[action]]");
    text.replacen("[[action]]", &head, 1)
}

fn carried_out(bench: &Bench, lane: &Lane, text: &str, words: &[&str]) -> Ran {
    bench.write("own.toml", text);
    match lane {
        Lane::Lab(kernel) => {
            let inner: Vec<&str> = ["replay", "own.toml"].iter().chain(words).copied().collect();
            bench.run_lab(kernel, &[], &inner)
        }
        Lane::Model | Lane::Kvm => {
            let name = if *lane == Lane::Model { "model" } else { "kvm" };
            let mut command = bench.barkeep(["replay", "own.toml", "--lane", name]);
            command.args(["--device", "nvme=sim:memory,registers=on", "--device", "edu=sim:dma"]);
            command.arg("--out").arg(bench.out()).args(words);
            bench.run(command)
        }
    }
}

/// Of a scenario that passes there.
#[track_caller]
fn passes(lane: &Lane, actions: &[&str]) -> Journal {
    let bench = Bench::new();
    carried_out(&bench, lane, &text("", actions), &[]).ended(0).verdict("pass");
    bench.journal()
}

const FILL: &str = "do = \"fill\"; to = { device = \"nvme\", bar = 2 }; pattern = 0x11111111";

fn verify(expect: &str) -> String {
    format!(
        "do = \"verify\"; at = {{ device = \"nvme\", bar = 2 }}; pattern = 0x11111111; expect = \"{expect}\""
    )
}

fn lands() -> String {
    "do = \"dma\"; engine = \"edu\"; to = { device = \"nvme\", bar = 2 }; expect = \"lands\"".to_owned()
}

fn trigger(name: &str, phase: &str) -> Value {
    json!({"kind": "trigger", "trigger": name, "phase": phase})
}

#[test]
fn the_scenario_goes_on_while_another_vcpu_writes_and_joins_it() {
    let flr = "do = \"flr\"; device = \"nvme\"; vcpu = 1; background = true";
    let sleep = "do = \"sleep\"; time = \"20ms\"; vcpu = 2";
    for lane in lanes() {
        // One thread does what comes of a wait in the middle of it before it goes on.
        let wait = if lane.has_threads() { sleep } else { "do = \"join\"" };
        let looks = [FILL, flr, wait, &verify("any"), "do = \"join\"", &verify("holds")];
        let journal = passes(&lane, &looks);
        let behind = json!({"kind": "action", "text": "FLR nvme in the background", "phase": "begin"});
        let told = journal.position(0, &behind);
        let begun = journal.position(told, &trigger("flr", "begin"));
        let over = journal.position(begun, &trigger("flr", "end"));
        assert_eq!(journal.events[begun]["actor"], "vcpu1");
        assert!(over < journal.position(over, &json!({"kind": "run_end"})));
        if let Lane::Lab(_) = lane {
            let ones = json!({"kind": "not_landed", "text": "cpu", "seen_by": "guest_read"});
            let seen = journal.position(begun, &ones);
            assert!(seen < over, "20 ms into a reset of 100 ms a read is answered all ones");
        }
    }
}

/// Whatever a vCPU is at: a write is waited for, hammering and watching are ended.
#[test]
fn a_vcpu_that_is_needed_is_had() {
    let own = |vcpu: u32| format!("{FILL}; vcpu = {vcpu}");
    let hammer =
        "do = \"hammer\"; at = { device = \"nvme\", bar = 2, offset = 8192 }; vcpu = 1; pause = \"1ms\"";
    let watch = "do = \"watch\"; at = { device = \"nvme\", bar = 2 }; vcpu = 2";
    let flr = "do = \"flr\"; device = \"nvme\"; vcpu = 1; background = true";
    let watched = "do = \"watched\"; vcpu = 2; expect = \"any\"";
    let stop = "do = \"hammer-stop\"";
    let all =
        [flr, &own(1), &verify("holds"), hammer, watch, &own(1), &own(2), watched, stop, &verify("holds")];
    for lane in lanes() {
        let journal = passes(&lane, &all);
        let counted = journal.all(&json!({"kind": "access_count", "text": "accesses"}));
        assert_eq!(counted.len(), 1, "hammering that was ended was judged: {lane:?}");
    }
}

#[test]
fn a_close_races_an_flr_from_another_thread() {
    let close = "do = \"meanwhile\"; after = \"40ms\"; action = { do = \"close\", device = \"nvme\" }";
    let flr = "do = \"flr\"; device = \"nvme\"";
    for lane in lanes() {
        let journal = passes(&lane, &[FILL, close, flr, "do = \"join\"", &verify("ones")]);
        let began = journal.position(0, &trigger("flr", "begin"));
        let ended = journal.position(began, &trigger("flr", "end"));
        let own = json!({"kind": "action", "actor": "observer", "text": "close nvme", "phase": "begin"});
        let raced = journal.position(0, &own);
        match lane {
            Lane::Lab(_) | Lane::Model => assert!((began..ended).contains(&raced), "40 ms into it"),
            Lane::Kvm => {}
        }
        let closed = journal.position(0, &trigger("close", "begin"));
        assert!(closed > raced);
        if lane.is_exact() {
            // The first event is brought to its end before the next one of the same device begins.
            assert!(journal.position(ended, &json!({"kind": "expect", "trigger": "flr"})) < closed);
        }
        // Closed twice is closed once.
        let device = journal.events[closed]["device"].clone();
        assert_eq!(journal.all(&json!({"kind": "device_close", "device": device})).len(), 1);
    }
}

/// Everything that can be done meanwhile, in the middle of a reset and after it.
#[test]
fn whatever_others_do_meanwhile_ends_well() {
    let meanwhile = |after: &str, action: &str| {
        format!("do = \"meanwhile\"; after = \"{after}\"; action = {{ {action} }}")
    };
    let of = |what: &str| format!("do = \"{what}\", device = \"nvme\"");
    let any = |what: &str| format!("{}, expect = \"any\"", of(what));
    let at = |times: [&str; 2], action: String| times.map(|time| meanwhile(time, &action));
    let flr = "do = \"flr\"; device = \"nvme\"".to_owned();
    let mut all = vec![FILL.to_owned()];
    all.extend(at(["5ms", "120ms"], any("device-reset")));
    all.extend(at(["10ms", "130ms"], any("hot-reset")));
    all.extend(at(["15ms", "140ms"], any("sysfs-reset")));
    all.extend(at(["20ms", "300ms"], of("suspect")));
    all.extend(at(["25ms", "310ms"], any("signal-error")));
    all.extend(at(["30ms", "320ms"], format!("{}, what = \"flr\"", any("unseen"))));
    all.push(meanwhile("35ms", &format!("{}, what = \"duplicate\"", of("hold"))));
    all.push(meanwhile("900ms", &of("let-go")));
    let attach = "do = \"attach\", to = { device = \"nvme\", bar = 2 }, expect = \"any\"";
    all.extend(at(["40ms", "330ms"], attach.to_owned()));
    all.extend([flr.clone(), flr, "do = \"join\"".to_owned()]);
    // What nobody was told of shows only now.
    all.push("do = \"suspect\"; device = \"nvme\"".to_owned());
    all.push(lands());
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for lane in lanes() {
        let journal = passes(&lane, &all);
        let beside = json!({"kind": "action", "actor": "observer", "phase": "end"});
        assert_eq!(journal.all(&beside).len(), 16, "{lane:?}");
    }
}

/// The guest reboots with a DMA under way, vCPUs hammering and watching, and again out of D3hot.
#[test]
fn a_reboot_brings_everything_back() {
    let start = "do = \"dma-start\"; engine = \"edu\"; to = { device = \"nvme\", bar = 2 }";
    let hammer = "do = \"hammer\"; at = { device = \"nvme\", bar = 2, offset = 8192 }; vcpu = 1";
    let watch = "do = \"watch\"; at = { device = \"nvme\", bar = 2 }; vcpu = 2";
    let kept = "do = \"fill\"; to = { device = \"nvme\", bar = 2, offset = 4096 }; pattern = 0x22222222";
    let still =
        "do = \"verify\"; at = { device = \"nvme\", bar = 2, offset = 4096 }; pattern = 0x22222222; vcpu = 2";
    let actions = [
        kept,
        hammer,
        watch,
        start,
        "do = \"reboot\"",
        "do = \"dma-finish\"; engine = \"edu\"; expect = \"either\"",
        "do = \"hammer-stop\"",
        still,
        &lands(),
        "do = \"flr\"; device = \"nvme\"; vcpu = 1",
        "do = \"d3hot\"; device = \"nvme\"",
        "do = \"reboot\"",
        &lands(),
        "do = \"close\"; device = \"nvme\"",
        "do = \"reboot\"",
        &verify("ones"),
    ];
    for lane in lanes() {
        let journal = passes(&lane, &actions);
        let nvme = journal.events[journal.position(0, &json!({"kind": "device_open"}))]["device"].clone();
        let mut story = journal.story();
        story.then(json!({"kind": "dma_start"}));
        story.then(json!({"kind": "action", "text": "reboot", "phase": "begin"}));
        let of = |name: &str| json!({"kind": "trigger", "phase": "end", "trigger": name, "actor": "vmm", "device": nvme, "result": 0});
        for name in ["decode_off", "device_reset", "decode_on"] {
            story.then(of(name));
        }
        for kind in ["p2p_map", "slot_add"] {
            let back =
                json!({"kind": kind, "phase": "end", "device": nvme, "trigger": "decode_on", "result": 0});
            story.then(back);
        }
        let landed = json!({"kind": "landed", "text": "dma", "device": nvme});
        assert_eq!(journal.all(&landed).len(), 2, "{lane:?}");
        let resets = journal.all(&of("device_reset")).len();
        assert_eq!(resets, 2, "a device that is closed is not reset: {lane:?}");
    }
}

#[test]
fn what_cannot_be_known_is_only_looked_at() {
    let off = "do = \"decode-off\"; device = \"nvme\"";
    let other = "do = \"fill\"; to = { device = \"nvme\", bar = 2 }; size = 4; pattern = 0x33333333";
    let again = "do = \"decode-on\"; device = \"nvme\"";
    let attach = "do = \"attach\"; to = { device = \"nvme\", bar = 2 }; expect = \"any\"";
    let any = verify("any");
    for lane in lanes() {
        let journal = passes(&lane, &[FILL, &any, off, &any, attach, again, other, &any, attach]);
        let looked = |kind: &str| journal.all(&json!({"kind": kind, "text": "cpu"})).len();
        assert_eq!((looked("landed"), looked("not_landed")), (1, 1), "{lane:?}");
        let seen: Vec<&str> = ["live", "revoked"]
            .into_iter()
            .filter(|kind| !journal.all(&json!({"kind": kind, "seen_by": "errno"})).is_empty())
            .collect();
        assert_eq!(seen, ["live", "revoked"]);
    }
}

/// An engine that somebody has taken away is told of, and is no reason to end.
#[test]
fn an_engine_that_does_not_answer_has_no_dma() {
    let off = "do = \"decode-off\"; device = \"edu\"";
    let on = "do = \"decode-on\"; device = \"edu\"";
    let dma = |expect: &str| lands().replace("lands", expect);
    for lane in lanes() {
        let journal = passes(&lane, &[off, &dma("either"), on, &dma("lands")]);
        assert_eq!(journal.all(&json!({"kind": "dma_start"})).len(), 1, "{lane:?}");
        let bench = Bench::new();
        carried_out(&bench, &lane, &text("", &[off, &dma("lands")]), &[]).ended(1);
    }
}

/// Two vCPUs and a thread act on two devices at once, and a third vCPU looks: who comes first is left to
/// when each of them loses the CPU.
const DISTURBED: [&str; 8] = [
    "do = \"decode-off\"; device = \"edu\"; vcpu = 1; background = true",
    "do = \"meanwhile\"; after = \"0ms..2ms\"; action = { do = \"suspect\", device = \"edu\" }",
    "do = \"decode-off\"; device = \"nvme\"; vcpu = 2; background = true",
    "do = \"verify\"; at = { device = \"nvme\", bar = 2 }; pattern = 0; expect = \"any\"",
    "do = \"decode-on\"; device = \"edu\"; vcpu = 1; background = true",
    "do = \"attach\"; to = { device = \"nvme\", bar = 2 }; expect = \"any\"",
    "do = \"decode-on\"; device = \"nvme\"; vcpu = 2; background = true",
    "do = \"verify\"; at = { device = \"nvme\", bar = 2 }; pattern = 0; expect = \"any\"",
];
/// How often.
const TIMES: usize = 5;

/// All of its bytes, and its events in their order with nothing of time in them.
fn disturbed(lane: &Lane, perturb: &str, seed: &str) -> (Vec<u8>, Vec<String>) {
    let bench = Bench::new();
    let actions = DISTURBED.repeat(TIMES);
    carried_out(&bench, lane, &text(perturb, &actions), &["--seed", seed]).ended(0);
    let order = bench.journal().events.iter().filter_map(bare).collect();
    (fs::read(bench.out().join("journal.jsonl")).unwrap(), order)
}

fn bare(event: &Value) -> Option<String> {
    let fields = ["kind", "phase", "actor", "device", "bar", "trigger"].map(|field| event[field].to_string());
    (event["kind"] != "kernel_log").then(|| fields.join(" "))
}

#[test]
fn pauses_and_noise_are_another_run_for_each_seed_and_the_same_for_the_same() {
    let perturb = "[perturb]\npauses = \"0us..300us\"\none-in = 2\nnoise = \"50us..2ms\"";
    for lane in lanes().into_iter().filter(Lane::is_exact) {
        let (bytes, order) = disturbed(&lane, perturb, "1");
        assert!(bytes == disturbed(&lane, perturb, "1").0, "two runs of one seed differ: {lane:?}");
        let others = ["2", "3"].map(|seed| disturbed(&lane, perturb, seed).1);
        assert!(others.iter().any(|other| *other != order), "seeds differ in nothing but times: {lane:?}");
    }
}

/// Noise alone moves what the kernel does, too: nothing of the VMM's own is drawn.
#[test]
fn noise_alone_is_another_order() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let lab = Lane::Lab(kernel);
    let quiet = disturbed(&lab, "", "1");
    let [one, other] = ["50us..2ms", "20us..300us"]
        .map(|noise| disturbed(&lab, &format!("[perturb]\nnoise = \"{noise}\""), "1"));
    assert!(quiet.0 != one.0 && one.0 != other.0);
    assert!(quiet.1 != one.1 || quiet.1 != other.1, "noise moves no event past another");
}

#[test]
fn elsewhere_noise_is_said_not_to_be_there() {
    let bench = Bench::new();
    let text = text("[perturb]\nnoise = \"50us..2ms\"", &[FILL, &verify("holds")]);
    carried_out(&bench, &Lane::Model, &text, &[]).ended(0).tells(&["noise is for lane lab"]);
}

#[test]
fn what_cannot_be_done_meanwhile_is_refused() {
    let bench = Bench::new();
    let own = "do = \"meanwhile\"; action = { do = \"flr\", device = \"nvme\" }";
    let ran = carried_out(&bench, &Lane::Model, &text("", &[own]), &[]);
    ran.ended(2).tells(&["FLR nvme", "cannot be done meanwhile"]);
}
