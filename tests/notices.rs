//! What the kernel tells of a device without being asked: the VMM hears it, and acts on it.

mod common;

use common::bench::Bench;
use common::gate;
use serde_json::json;

/// A VM with two devices; one's BAR is written by a CPU before and reached by the other after.
fn scenario(between: &str) -> String {
    format!(
        r#"
version = 1
name = "notices"
topology = "nvme-edu"
[[action]]
do = "fill"
to = {{ device = "nvme", bar = 2 }}
pattern = 0x11111111
{between}
[[action]]
do = "sleep"
time = "20ms"
[[action]]
do = "verify"
at = {{ device = "nvme", bar = 2 }}
pattern = 0x11111111
[[action]]
do = "dma"
engine = "edu"
to = {{ device = "nvme", bar = 2 }}
expect = "lands"
"#
    )
}

#[test]
fn an_error_interrupt_makes_the_device_suspect() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let signal = "[[action]]\ndo = \"signal-error\"\ndevice = \"nvme\"\n";
    bench.write("own.toml", scenario(signal));
    bench.run_lab(&kernel, &[], &["replay", "own.toml"]).ended(0).verdict("pass");
    let journal = bench.journal();
    let device = journal.all(&json!({"kind": "device_open", "text": "nvme 1b36:0010"}))[0]["device"].clone();
    let mut story = journal.story();
    story.then(json!({"kind": "administer", "phase": "begin", "text": "error interrupt", "device": device}));
    story.then(json!({"kind": "device_error", "device": device, "seen_by": "eventfd"}));
    for kind in ["p2p_unmap", "p2p_map"] {
        story
            .then(json!({"kind": kind, "phase": "end", "device": device, "trigger": "suspect", "result": 0}));
    }
    story.then(json!({"kind": "expect", "device": device, "trigger": "suspect", "value": 1}));
    story.then(json!({"kind": "landed", "text": "dma"}));
    assert_eq!(journal.all(&json!({"kind": "device_error"})).len(), 1);
}

#[test]
fn a_wake_up_ends_low_power_and_both_ways_are_back() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    // Two looks at the registers by the guest: the first wakes the device.
    let sleep = "[[action]]\ndo = \"low-power-entry\"\ndevice = \"nvme\"\nwakes = true\n\
                 [[action]]\ndo = \"sleep\"\ntime = \"1s\"\n\
                 [[action]]\ndo = \"verify\"\nat = { device = \"nvme\", bar = 2 }\npattern = 0\nexpect = \"ones\"\n\
                 [[action]]\ndo = \"decode-on\"\ndevice = \"nvme\"\n";
    bench.write("own.toml", scenario(sleep));
    bench.run_lab(&kernel, &[], &["replay", "own.toml"]).ended(0).verdict("pass");
    let journal = bench.journal();
    let mut story = journal.story();
    story.then(json!({"kind": "trigger", "phase": "end", "trigger": "low_power_entry", "result": 0}));
    // Bit 16: in low power, and not asked.
    story.then(json!({"kind": "find_out", "phase": "end", "value": 0x1_0001}));
    story.then(json!({"kind": "not_landed", "text": "cpu"}));
    story.then(json!({"kind": "trigger", "phase": "end", "trigger": "low_power_exit", "result": 0}));
    story.then(json!({"kind": "p2p_map", "phase": "end", "trigger": "low_power_exit", "result": 0}));
    story.then(json!({"kind": "landed", "text": "cpu"}));
    story.then(json!({"kind": "landed", "text": "dma"}));
}
