//! The kernel's own side of the main job's revokes, recorded in the lab: held to what the VMM journaled of the same
//! calls, by a reader that knows `docs/interfaces.md` and nothing else.

mod common;

use common::bench::Bench;
use common::main_job::Cast;
use common::{EDU, NVME, gate, inner};
use serde_json::{Value, json};

const FLR_NS: u64 = 100_000_000;

fn time(event: &Value) -> u64 {
    event["t_ns"].as_u64().unwrap()
}

/// A function of the kernel's: its name with its argument, when it was entered and left, and both its events.
struct Ran<'a> {
    text: &'a str,
    span: (u64, u64),
    begin: &'a Value,
    end: &'a Value,
}

fn inside(span: (u64, u64), of: (u64, u64)) -> bool {
    of.0 <= span.0 && span.1 <= of.1
}

#[test]
fn the_kernels_steps_lie_inside_of_the_calls_that_caused_them() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let mut command = bench.barkeep(["lab", "--kernel-trace", "--kernel"]);
    command.arg(kernel).arg("--out").arg(bench.out());
    let ran = {
        let _alone = gate::emulator();
        bench.run(command)
    };
    ran.ended(0);
    assert!(ran.stdout.contains("lab, virtual time, with kernel trace:"), "{}", ran.stdout);
    let journal = bench.journal();
    let steps = |wanted: Value| {
        let begins = journal.all(&wanted).into_iter().filter(|event| event["phase"] == "begin");
        let both = begins.map(|begin| {
            let end = journal.all(&json!({"step": begin["step"], "phase": "end", "kind": begin["kind"]}));
            assert_eq!(end.len(), 1, "{begin}");
            let span = (time(begin), time(end[0]));
            Ran { text: begin["text"].as_str().unwrap_or(""), span, begin, end: end[0] }
        });
        both.collect::<Vec<_>>()
    };
    let kernel = steps(json!({"kind": "kernel_step"}));
    let traced = journal.all(&json!({"kind": "kernel_trace"}));
    let names: Vec<&str> = traced[0]["text"].as_str().unwrap().split(' ').collect();
    assert_eq!(traced[0]["value"], names.len());
    for step in &kernel {
        let name = step.text.split(' ').next().unwrap();
        assert!(names.contains(&name), "{} is not among what is traced", step.begin);
        assert_eq!((&step.begin["actor"], &step.begin["seen_by"]), (&json!("kernel"), &json!("kprobe")));
    }

    // One FLR: in the order of the kernel's sources, one inside of the other.
    let flr = &steps(json!({"kind": "trigger", "trigger": "flr"}))[0];
    let of_flr: Vec<&Ran> = kernel
        .iter()
        .filter(|step| inside(step.span, flr.span) && step.begin["trigger"] == "flr")
        .filter(|step| step.begin["device"] == flr.begin["device"])
        .collect();
    let first = |text: &str| {
        let found = of_flr.iter().find(|step| step.text == text);
        found.unwrap_or_else(|| panic!("no {text} in the FLR")).span
    };
    let lock = first("vfio_pci_zap_and_down_write_memory_lock");
    let revoke = first("vfio_pci_dma_buf_move revoked=1");
    let reset = first("pci_try_reset_function");
    let back = first("vfio_pci_dma_buf_move revoked=0");
    assert!(lock.1 <= revoke.0 && revoke.1 <= reset.0 && reset.1 <= back.0);
    assert!(inside(first("dma_buf_invalidate_mappings"), revoke));
    assert!(inside(first("iopt_revoke_notify"), first("dma_buf_invalidate_mappings")));
    assert!(inside(first("dma_resv_wait_timeout"), revoke));
    let waits = first("pcie_flr");
    assert!(inside(waits, reset) && waits.1 - waits.0 >= FLR_NS, "{waits:?}");

    // Every call's errno is the one the VMM, or who looked, had of it.
    let mut compared = 0;
    for (call, function) in [
        ("p2p_map", "iommufd_ioas_map_file"),
        ("p2p_unmap", "iommufd_ioas_unmap"),
        ("attach_probe", "iommufd_ioas_map_file"),
        ("slot_add", "kvm_set_memory_region"),
    ] {
        for call in steps(json!({"kind": call})).iter().filter(|call| call.begin["text"] != "trapped") {
            let within: Vec<_> = kernel
                .iter()
                .filter(|step| step.text == function && inside(step.span, call.span))
                .filter(|step| step.begin["bar"] == call.begin["bar"])
                .collect();
            // An unmap of what is not mapped asks for it twice.
            let last = within.last().unwrap_or_else(|| panic!("no {function} in {}", call.begin));
            assert_eq!(last.end["result"], call.end["result"], "{}", call.begin);
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
    assert!(kernel.iter().any(|step| step.end["result"] == -19), "an attach was refused with ENODEV");
    assert!(kernel.iter().any(|step| step.text == "dmar_fault" && step.begin.get("value").is_none()));

    // In the order of time, but for what the kernel's log has stamped itself.
    let stamped = |event: &&Value| event["kind"] != "kernel_log" && event["kind"] != "faulted";
    let times: Vec<u64> = journal.events.iter().filter(stamped).map(time).collect();
    let back = times.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(back * 50 < times.len(), "{back} of {} go back in time", times.len());

    // What is drawn has them, and says that it was traced.
    let page = bench.path("page.html");
    let mut command = bench.barkeep(["trace", "out/journal.jsonl", "--html"]);
    command.arg(&page);
    bench.run(command).ended(0);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains("with kernel trace") && page.contains("mark revoked: vfio_pci_dma_buf_move revoked=1")
    );
}

/// The emulated machine as any host: nothing says that it is a lab.
#[test]
fn a_host_does_the_main_job_and_is_traced() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let Some(share) = inner::share(&bench) else { return };
    let (nvme, edu) = (format!("nvme={NVME}"), format!("edu={EDU}"));
    let words =
        ["exec", "inner", "host", "/tmp/out/journal.jsonl", "run", "--lane", "host", "--kernel-trace"];
    let words = [&words[..], &["--device", &nvme, "--device", &edu, "--out", "/tmp/out"]].concat();
    bench.run_lab(&kernel, &["--share", &share], &words).ended(0);
    let told = bench.read("out/stdout.txt");
    assert!(told.contains("\npass  host, hardware time, with kernel trace: nothing found"), "{told}");
    let begin = told.find("{\"barkeep_journal\"").expect("the journal");
    let (journal, left) = told[begin..].split_once("still traced:\n").expect("what is left");
    assert_eq!(left.trim(), "", "probes are left");
    bench.write("out/journal.jsonl", journal);
    let journal = bench.journal();
    assert_eq!((&journal.header["lane"], &journal.header["clock"]), (&json!("host"), &json!("hardware")));
    let mut without = bench.journal();
    without.events.retain(|event| event["kind"] != "kernel_step");
    Cast { nvme: NVME, edu: EDU }.told(&without);
    let mut story = journal.story();
    story.then(json!({"kind": "trigger", "phase": "begin", "trigger": "flr"}));
    for function in
        ["vfio_pci_dma_buf_move revoked=1", "pci_try_reset_function", "vfio_pci_dma_buf_move revoked=0"]
    {
        story.then(json!({"kind": "kernel_step", "phase": "begin", "text": function, "trigger": "flr"}));
    }
    story.then(json!({"kind": "trigger", "phase": "end", "trigger": "flr"}));
}

#[test]
fn a_specification_cannot_be_traced() {
    let bench = Bench::new();
    let ran = bench.run(bench.barkeep(["run", "--lane", "model", "--kernel-trace"]));
    assert!(ran.ended(2).stderr.contains("in lane model the kernel is a specification"), "{}", ran.stderr);
}
