//! Others beside the VMM: a second process that imports a window and has an engine of its own, and whoever
//! holds a device file or a dma-buf open. What the kernel answers them, every lane answers.

mod common;

use common::bench::{Bench, Ran};
use common::gate;
use common::journal::Journal;
use common::scenario;
use serde_json::json;

const WINDOW: &str = "of = { device = \"nvme\", bar = 2, offset = 4096 }";
/// Fault records are few in lane lab: one that is looked for has to have room.
const REST: &str = "do = \"sleep\"; time = \"5100ms\"; for = \"fault-log\"";
const CLOSE: &str = "do = \"close\"; device = \"nvme\"";

fn second(what: &str, expect: &str) -> String {
    format!("do = \"second\"; what = \"{what}\"; expect = \"{expect}\"")
}

fn start() -> String {
    format!("do = \"second\"; what = \"start\"; {WINDOW}; engine = \"spare\"")
}

fn hold(what: &str, bar: &str, expect: &str) -> String {
    format!("do = \"hold\"; device = \"nvme\"; what = \"{what}\"{bar}; expect = \"{expect}\"")
}

fn attach(expect: &str) -> String {
    format!("do = \"attach\"; to = {{ device = \"nvme\", bar = 2 }}; expect = \"{expect}\"")
}

/// Plays it in every lane that is here, each of which must pass, and shows each journal.
fn in_every_lane(name: &str, actions: &[&str], told: impl Fn(&Journal)) {
    let bench = Bench::new();
    let text = scenario::of(name, actions);
    bench.write("own.toml", text.replacen("[[action]]", "topology = \"two-engines\"\n[[action]]", 1));
    let play = |lane: &str, words: &[&str]| -> Ran {
        let mut command = bench.barkeep(["replay", "own.toml", "--lane", lane]);
        bench.run({
            command.arg("--out").arg(bench.out()).args(words);
            command
        })
    };
    play("model", &[]).ended(0).verdict("pass");
    told(&bench.journal());
    if gate::kvm().is_some() {
        play("kvm", &[]).ended(0).verdict("pass");
        told(&bench.journal());
    }
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let _alone = gate::emulator();
    play("lab", &["--kernel", &kernel.to_string_lossy()]).ended(0).verdict("pass");
    told(&bench.journal());
}

#[test]
fn an_importer_keeps_nothing_that_was_revoked() {
    let actions = [
        &start(),
        &second("import", "ok"),
        &second("import", "EEXIST"),
        &second("dma", "lands"),
        &second("dma-start", "ok"),
        "do = \"flr\"; device = \"nvme\"",
        &second("dma-finish", "faults"),
        REST,
        // The VM's own mapping is back, and this one is dead until it is made anew.
        &scenario::dma(0x5a5a_0001, "lands"),
        &second("dma", "faults"),
        &second("import", "EEXIST"),
        &second("unmap", "ok"),
        &second("import", "ok"),
        &second("dma", "lands"),
        "do = \"decode-off\"; device = \"nvme\"",
        &second("import", "ENODEV"),
        "do = \"decode-on\"; device = \"nvme\"",
        &second("end", "ok"),
    ];
    in_every_lane("importer", &actions, |journal| {
        let mut story = journal.story();
        story.then(json!({"kind": "process", "phase": "begin", "actor": "importer"}));
        story.then(json!({"kind": "attach_probe", "phase": "end", "actor": "importer", "result": 0}));
        story.then(json!({"kind": "landed", "text": "second"}));
        story.then(json!({"kind": "trigger", "phase": "end", "trigger": "flr"}));
        story.then(json!({"kind": "not_landed", "text": "second"}));
        story.then(json!({"kind": "landed", "text": "dma"}));
        story.then(json!({"kind": "not_landed", "text": "second"}));
        story.then(json!({"kind": "landed", "text": "second"}));
        story.then(json!({"kind": "attach_probe", "phase": "end", "actor": "importer", "errno": "ENODEV"}));
        story.then(json!({"kind": "process", "phase": "end", "actor": "importer", "text": "exit"}));
    });
}

#[test]
fn an_importer_that_outlives_the_exporter_has_nothing_of_it() {
    let actions = [
        &start(),
        &second("import", "ok"),
        REST,
        CLOSE,
        &second("dma", "faults"),
        &second("import", "ENODEV"),
        &second("unmap", "ok"),
        &second("unmap", "ENOENT"),
        &second("drop", "ok"),
        &second("import", "EBADF"),
        &second("kill", "ok"),
        &second("import", "ESRCH"),
    ];
    in_every_lane("outlives", &actions, |journal| {
        let mut story = journal.story();
        story.then(json!({"kind": "device_close"}));
        story.then(json!({"kind": "faulted", "seen_by": "iommu_fault"}));
        story.then(json!({"kind": "process", "phase": "end", "actor": "importer", "text": "SIGKILL"}));
    });
}

#[test]
fn whoever_holds_the_file_keeps_access_and_no_other() {
    let bar = "; bar = 2";
    let let_go =
        |what: &str, bar: &str| format!("do = \"let-go\"; device = \"nvme\"; what = \"{what}\"{bar}");
    let actions = [
        &hold("inherited", "", "ok"),
        &hold("reopened", "", "ok"),
        &hold("mapping", "", "ok"),
        &hold("mapping", bar, "EINVAL"),
        &hold("reopened", bar, "ENXIO"),
        &hold("inherited", bar, "ok"),
        &hold("duplicate", bar, "ok"),
        &hold("passed", bar, "ok"),
        CLOSE,
        &attach("ok"),
        // A dma-buf outlives nothing by itself.
        &let_go("duplicate", bar),
        &let_go("inherited", bar),
        &attach("ok"),
        &let_go("mapping", ""),
        &attach("ok"),
        &let_go("inherited", ""),
        &attach("ENODEV"),
        &hold("duplicate", "", "ENODEV"),
        "do = \"let-go\"; device = \"nvme\"",
    ];
    in_every_lane("holds", &actions, |journal| {
        let ends = journal.all(&json!({"kind": "hold", "phase": "end"}));
        let refused: Vec<_> = ends.iter().filter_map(|event| event["errno"].as_str()).collect();
        assert_eq!(refused, ["EINVAL", "ENXIO", "ENODEV"]);
        assert_eq!(ends.len(), journal.all(&json!({"kind": "hold", "phase": "begin"})).len());
    });
}
