//! A handful of events that show a finding.

use crate::example::failed;
use barkeep_report::storm::witness;

#[test]
fn what_revoked_what_was_found_and_believed_and_what_was_missing() {
    let (verdict, events) = failed();
    let lines = witness::lines(events, &verdict.findings[0]);
    let expected = [
        "seq 12 at 5.093 ms: keeper expect start, nvme BAR 2 at 0xfe000000: live",
        "seq 16 at 5.102 ms: keeper trigger FLR, nvme BAR 2 at 0xfe000000 begins",
        "seq 17 at 109.103 ms: keeper trigger FLR, nvme BAR 2 at 0xfe000000 ends: success",
        "seq 19 at 109.105 ms: keeper find out FLR, nvme BAR 2 at 0xfe000000 ends: decode 1, D0: success",
        "seq 21 at 109.117 ms: keeper p2p unmap FLR, nvme BAR 2 at 0xfe000000 ends: success",
        "seq 23 at 109.169 ms: keeper slot add FLR, nvme BAR 2 at 0xfe000000 ends: success",
        "seq 25 at 109.171 ms: keeper expect FLR, nvme BAR 2 at 0xfe000000: live",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_finding_whose_event_is_not_there_has_none() {
    let (verdict, _) = failed();
    assert!(witness::lines(Vec::new(), &verdict.findings[0]).is_empty());
}
