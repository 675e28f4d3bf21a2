//! I6: reports of the kernel, and what looks like one.

use crate::story::{Story, breaks, holds};
use barkeep_check::Invariant::I6;
use barkeep_journal::{Actor, Event, Kind};

fn story(lines: &[&str]) -> Story {
    let mut story = Story::bare();
    for line in lines {
        story.point(Event::new(Kind::KernelLog, Actor::Kernel).text(*line).value(4));
    }
    story
}

#[test]
fn a_clean_log_is_full_of_resets_and_faults() {
    holds(
        &story(&[
            "vfio-pci 0000:00:03.0: resetting",
            "vfio-pci 0000:00:03.0: reset done",
            "DMAR: DRHD: handling fault status reg 3",
            "DMAR: [DMA Write NO_PASID] Request device [00:04.0] fault addr 0xfe000000 [fault reason 0x06] PTE Read access is not set",
        ])
        .over(),
    );
}

#[test]
fn a_report_is_one_finding() {
    let verdict = story(&[
        "BUG: kernel NULL pointer dereference, address: 0000000000000018",
        "#PF: supervisor read access in kernel mode",
        "Oops: 0000 [#1] SMP NOPTI",
        "CPU: 0 UID: 0 PID: 91 Comm: vcpu0 Not tainted 7.3.4 #1",
        "Call Trace:",
        " <TASK>",
        " vfio_pci_dma_buf_move+0x51/0x110",
        " </TASK>",
        "---[ end trace 0000000000000000 ]---",
    ])
    .over();
    breaks(
        &verdict,
        I6,
        "the kernel reports a NULL pointer dereference: BUG: kernel NULL pointer dereference, address: 0000000000000018",
    );
}

#[test]
fn two_reports_are_two() {
    let one = [
        "------------[ cut here ]------------",
        "refcount_t: underflow; use-after-free.",
        "WARNING: CPU: 0 PID: 91 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
        "Call Trace:",
        " </TASK>",
        "---[ end trace 0000000000000000 ]---",
    ];
    let verdict = story(&[one, one].concat()).over();
    assert_eq!(verdict.findings.len(), 2);
    assert!(
        verdict.findings.iter().all(|f| f.what.starts_with("the kernel reports a reference count error"))
    );
}

#[test]
fn a_trace_without_its_headline_is_one_too() {
    breaks(&story(&["Call Trace:"]).over(), I6, "the kernel reports a call trace: Call Trace:");
}
