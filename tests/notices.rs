//! What the kernel tells of a device without being asked: the VMM hears it, and acts on it.

mod common;

use common::bench::Bench;
use common::gate;
use common::journal::number;
use serde_json::json;

/// A topology, and where in the BAR of which device CPUs and peers find what they wrote.
struct Machine {
    topology: &'static str,
    place: &'static str,
    size: u32,
}

const NVME: Machine = Machine { topology: "nvme-edu", place: r#"device = "nvme", bar = 2"#, size: 4096 };
/// A network card that reports errors, below a port.
const NIC: Machine =
    Machine { topology: "e1000e-port", place: r#"device = "nic", bar = 0, offset = 0x5200"#, size: 512 };

/// A VM with two devices; one's BAR is written by a CPU before and reached by the other after.
fn scenario(Machine { topology, place, size }: &Machine, between: &str) -> String {
    format!(
        r#"
version = 1
name = "notices"
topology = "{topology}"
[[action]]
do = "fill"
to = {{ {place} }}
size = {size}
pattern = 0x11111111
{between}
[[action]]
do = "sleep"
time = "20ms"
[[action]]
do = "verify"
at = {{ {place} }}
size = {size}
pattern = 0x11111111
[[action]]
do = "dma"
engine = "edu"
to = {{ {place} }}
size = {size}
expect = "lands"
"#
    )
}

#[test]
fn an_error_interrupt_makes_the_device_suspect() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let signal = "[[action]]\ndo = \"signal-error\"\ndevice = \"nvme\"\n";
    bench.write("own.toml", scenario(&NVME, signal));
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
    bench.write("own.toml", scenario(&NVME, sleep));
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

/// The kernel is told of an error that was none, and does what it does about errors: it asks vfio-pci.
#[test]
fn an_error_that_is_not_fatal_leaves_everything_as_it_was() {
    let Some(kernel) = gate::kernel(gate::AER_INJECT) else { return };
    let bench = Bench::new();
    let between = "[[action]]\ndo = \"inject-error\"\ndevice = \"nic\"\nseverity = \"nonfatal\"\n\
                   [[action]]\ndo = \"sleep\"\ntime = \"2s\"\n";
    bench.write("own.toml", scenario(&NIC, between));
    bench.run_lab(&kernel, &[], &["replay", "own.toml"]).ended(0).verdict("pass");
    let journal = bench.journal();
    let device = journal.all(&json!({"kind": "device_error"}))[0]["device"].clone();
    let mut story = journal.story();
    story.then(json!({"kind": "administer", "phase": "begin", "text": "non-fatal error", "device": device}));
    let error = story.then(json!({"kind": "device_error", "device": device, "seen_by": "eventfd"}));
    // At once, and a second later, when a reset that follows the signal would be over.
    for later in [0, 1_000_000_000] {
        let found = story.then(json!({"kind": "find_out", "phase": "end", "trigger": "suspect", "value": 1}));
        assert!(number(found, "t_ns") >= number(error, "t_ns") + later);
        story.then(json!({"kind": "expect", "device": device, "trigger": "suspect", "value": 1}));
    }
    story.then(json!({"kind": "landed", "text": "dma"}));
}
