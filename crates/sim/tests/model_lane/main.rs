//! The shipped scenarios, without a kernel, a CPU or a clock of the machine's.

mod lane;

use barkeep_export::{Errno, Importer, WindowId};
use barkeep_journal::{Actor, Event, Kind, Phase, Trigger};
use barkeep_scenario::{HAMMER, MAIN_JOB, UNSEEN};
use barkeep_sim::guest::Slots;
use lane::{Bench, Ran};
use std::sync::Arc;

fn run(scenario: &str, seed: u64) -> Ran {
    Bench::new(scenario, seed).run()
}

#[test]
fn the_main_job_passes() {
    let ran = run(MAIN_JOB, 1);
    ran.passes();
    assert!(ran.count(Kind::Outage) > 10 && ran.count(Kind::Faulted) >= 4, "{}", ran.lines().join("\n"));
}

#[test]
fn revokes_nobody_announced_are_met_by_a_cpu_and_suspected() {
    let ran = run(UNSEEN, 1);
    ran.passes();
    let met = ran.events.iter().find(|event| event.kind == Kind::VcpuFault).expect("a CPU met one");
    assert_eq!((met.actor, met.value), (Actor::Vcpu, Some(1)));
}

/// Two CPUs at one BAR while a third resets it and flaps its decode.
const SMALL_HAMMER: &str = r#"
version = 1
name = "small-hammer"
[guest]
vcpus = 3
[[action]]
do = "hammer"
at = { device = "nvme", bar = 2 }
vcpu = 1
[[action]]
do = "hammer"
at = { device = "nvme", bar = 2, offset = 0x1000 }
vcpu = 2
[[action]]
do = "repeat"
times = 5
[[action.action]]
do = "decode-off"
device = "nvme"
[[action.action]]
do = "sleep"
time = "100us"
[[action.action]]
do = "decode-on"
device = "nvme"
[[action.action]]
do = "sleep"
time = "50us"
[[action]]
do = "attach"
to = { device = "nvme", bar = 2 }
after = "20ms"
background = true
expect = "ENODEV"
[[action]]
do = "flr"
device = "nvme"
[[action]]
do = "hammer-stop"
answered = 100
"#;

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another_interleaving() {
    let [first, again, other] = [1, 1, 2].map(|seed| run(SMALL_HAMMER, seed));
    for ran in [&first, &again, &other] {
        ran.passes();
    }
    assert!(first.lines() == again.lines(), "two runs of one seed differ");
    assert!(first.lines() != other.lines(), "the seed changes nothing");
}

#[test]
fn every_answer_is_right_in_many_interleavings() {
    for seed in 0..40 {
        let ran = run(SMALL_HAMMER, seed);
        ran.passes();
        assert_eq!(ran.count(Kind::VcpuFault), 0, "seed {seed}: slots are withdrawn before every revoke");
    }
}

/// The attach in the background happens in the middle of the reset, not before or after it.
#[test]
fn what_is_planned_happens_while_another_waits() {
    let ran = run(SMALL_HAMMER, 3);
    let probe = ran.events.iter().find(|event| event.kind == Kind::AttachProbe).expect("it was tried");
    let flr = |event: &&Event| event.kind == Kind::Trigger && event.trigger == Trigger::Flr;
    let [begin, end] = ran.events.iter().filter(flr).map(|event| event.time_ns).collect::<Vec<_>>()[..]
    else {
        panic!("one FLR has a begin and an end");
    };
    assert!(begin + 20_000_000 <= probe.time_ns && probe.time_ns < end, "{begin} {} {end}", probe.time_ns);
    assert!(end - begin >= 100_000_000, "an FLR takes 100 ms");
}

/// Slots that say they are gone and are not.
struct Staying(Arc<Slots>);

impl Importer for Staying {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        self.0.map(window, address)
    }

    fn unmap(&self, _: WindowId, _: u64) -> Result<u64, Errno> {
        Ok(0)
    }
}

#[test]
fn slots_that_stay_are_found_out() {
    let mut bench = Bench::new(SMALL_HAMMER, 1);
    bench.spoil = |slots| Arc::new(Staying(slots));
    let ran = bench.run();
    assert!(ran.count(Kind::VcpuFault) > 0, "a CPU meets revoked pages behind a slot");
}

#[test]
fn hammering_as_long_as_in_the_lab_passes() {
    run(HAMMER, 7).passes();
}

/// In Linux a fault on a page of the BAR waits for the memory lock, which a reset holds.
#[test]
fn a_reset_nobody_announced_holds_the_cpus_up_and_they_go_on() {
    let scenario = SMALL_HAMMER.split("[[action]]\ndo = \"repeat\"").next().unwrap().to_owned()
        + r#"
[[action]]
do = "sleep"
time = "50us"
[[action]]
do = "unseen"
device = "nvme"
what = "device-reset"
[[action]]
do = "suspect"
device = "nvme"
[[action]]
do = "sleep"
time = "50us"
[[action]]
do = "hammer-stop"
"#;
    for seed in 0..10 {
        let ran = run(&scenario, seed);
        ran.passes();
        assert_eq!(ran.count(Kind::VcpuFault), 0, "seed {seed}");
        let reset = |event: &&Event| event.kind == Kind::Trigger && event.actor == Actor::Observer;
        let times: Vec<_> = ran.events.iter().filter(reset).map(|event| event.time_ns).collect();
        assert!(times[1] - times[0] >= 100_000_000, "{times:?}");
        let outages = |event: &&Event| event.kind == Kind::Outage && event.phase == Phase::Begin;
        let during = |event: &&Event| (times[0]..=times[1]).contains(&event.time_ns);
        assert_eq!(ran.events.iter().filter(outages).filter(during).count(), 0, "seed {seed}");
    }
}
