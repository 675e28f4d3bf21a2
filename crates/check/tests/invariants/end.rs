//! I7, expectations, and how a run's end becomes a status.

use crate::story::{Story, breaks, holds, named};
use barkeep_check::Ended;
use barkeep_check::Invariant::{Expectation, I7};
use barkeep_journal::{Actor, Event, Kind, Trigger};

fn vcpu(kind: Kind) -> Event {
    Event::new(kind, Actor::Vcpu).index(1)
}

#[test]
fn a_hang_is_named_by_its_step() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.begin(named(Kind::Trigger, Trigger::Flr));
    let verdict = story.stops(Ended::TimedOut);
    let what: Vec<_> =
        verdict.findings.iter().filter(|f| f.invariant == I7).map(|f| f.what.as_str()).collect();
    let expected = [
        "step 6 (trigger flr, 0000:00:03.0, keeper) began and never ended",
        "the run did not end in its time",
    ];
    assert_eq!(what, expected);
    assert_eq!(verdict.exit_code(), 124);
}

#[test]
fn a_death_is_the_testbeds_unless_something_else_was_wrong() {
    let died = || Ended::Died { why: "QEMU was killed".to_owned() };
    let mut story = Story::new();
    story.begin(named(Kind::Trigger, Trigger::Flr));
    assert_eq!(story.stops(died()).exit_code(), 125);

    let mut story = Story::new();
    let panic = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b";
    story.point(Event::new(Kind::KernelLog, Actor::Lab).text(panic));
    assert_eq!(story.stops(died()).exit_code(), 1);
}

#[test]
fn a_step_left_open_in_a_run_that_ended_is_found() {
    let mut story = Story::bare();
    story.action("hammer");
    breaks(&story.over(), I7, "step 1 (action `hammer`, scenario) began and never ended");
}

#[test]
fn who_interrupts_a_run_cuts_off_its_action_and_nothing_else() {
    let mut story = Story::bare();
    story.action("sleep 20 ms");
    story.point(Event::new(Kind::RunEnd, Actor::Vmm).result(130));
    let verdict = story.stops(Ended::ByItself(130));
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    assert_eq!(verdict.exit_code(), 130);

    let mut story = Story::bare();
    story.begin(named(Kind::Trigger, Trigger::DeviceReset));
    story.point(Event::new(Kind::RunEnd, Actor::Vmm).result(130));
    let verdict = story.stops(Ended::ByItself(130));
    let what = "step 1 (trigger device_reset, 0000:00:03.0, keeper) began and never ended";
    assert!(verdict.findings.iter().any(|f| f.invariant == I7 && f.what == what), "{:?}", verdict.findings);
}

#[test]
fn statuses_of_a_run_that_ended_by_itself() {
    for (status, exit) in [(0, 0), (1, 1), (2, 2), (4, 4), (125, 125)] {
        let mut story = Story::bare();
        story.point(Event::new(Kind::RunEnd, Actor::Vmm).result(status));
        assert_eq!(story.stops(Ended::ByItself(status)).exit_code(), exit);
    }
}

#[test]
fn faults_and_internal_errors_have_bounds() {
    let mut story = Story::bare();
    story.point(vcpu(Kind::VcpuFault).value(3));
    story.point(vcpu(Kind::VcpuInternalError).value(64));
    holds(&story.over());

    let mut story = Story::bare();
    story.point(vcpu(Kind::VcpuFault).value(4));
    breaks(&story.over(), I7, "KVM_RUN of vcpu1 gave EFAULT 4 times in a row");

    let mut story = Story::bare();
    story.point(vcpu(Kind::VcpuInternalError).value(65));
    breaks(&story.over(), I7, "vcpu1 met 65 internal errors of KVM in a row");
}

#[test]
fn a_vcpu_that_ended_is_found() {
    let mut story = Story::bare();
    story.point(vcpu(Kind::Degraded).text("vCPU ended: triple fault"));
    breaks(&story.over(), I7, "vcpu1 ended: triple fault");
}

#[test]
fn expectations_that_are_not_met() {
    let mut story = Story::bare();
    story.point(Event::new(Kind::Expectation, Actor::Scenario).text("dma lands").result(0));
    let action = story.action("dma");
    story.end(action, 0);
    let verdict = story.over();
    holds(&verdict);
    assert_eq!(verdict.counts.expectations_held, 1);

    let mut story = Story::bare();
    let action = story.action("dma");
    story.end(action, 1);
    breaks(&story.over(), Expectation, "the action `dma` was not met");
}

#[test]
fn a_broken_expectation_and_its_action_are_one_finding() {
    let mut story = Story::bare();
    let action = story.action("dma");
    story.point(Event::new(Kind::Expectation, Actor::Scenario).text("lands: it faulted").result(1));
    story.end(action, 1);
    breaks(&story.over(), Expectation, "not met: lands: it faulted");
}

#[test]
fn the_labs_own_actions_end_with_a_status() {
    let mut story = Story::bare();
    let command = Event::new(Kind::Action, Actor::Lab).text("exec true");
    story.step(command, 3);
    story.point(Event::new(Kind::RunEnd, Actor::Lab).result(3));
    let verdict = story.stops(Ended::ByItself(3));
    assert_eq!((verdict.findings.len(), verdict.exit_code()), (0, 3));
}

#[test]
fn a_flood_of_findings_is_counted() {
    let mut story = Story::bare();
    for _ in 0..1000 {
        story.point(Event::new(Kind::Expectation, Actor::Scenario).text("x").result(1));
    }
    let verdict = story.over();
    assert_eq!((verdict.findings.len(), verdict.counts.unlisted), (64, 936));
}

#[test]
fn another_sort_of_finding_does_not_go_under_in_a_flood() {
    let mut story = Story::bare();
    let broken = |text: String| Event::new(Kind::Expectation, Actor::Scenario).text(text).result(1);
    for n in 0..1000 {
        story.point(broken(format!("{n} of 1000")));
    }
    story.point(broken("something else".to_owned()));
    let verdict = story.over();
    assert_eq!((verdict.findings.len(), verdict.counts.unlisted), (65, 936));
    assert_eq!(verdict.findings.last().unwrap().what, "not met: something else");
}
