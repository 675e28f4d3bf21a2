use crate::story::{HEADER, Story, about};
use barkeep_check::{Checker, Ended};
use barkeep_journal::{Actor, Event, Kind, Trigger};
use barkeep_report::{Style, verdict};
use std::path::Path;

fn shown(story: &Story, ended: Ended, journal: Option<&Path>) -> String {
    let mut checker = Checker::new();
    story.events.iter().for_each(|event| checker.event(event));
    let mut out = Vec::new();
    verdict::print(&mut out, &checker.finish(ended), HEADER, journal, Style::Plain).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_run_that_passed() {
    let mut story = Story::new();
    story.flap(12);
    story.dma(true);
    story.withdraw(Trigger::Close);
    story.step(about(Kind::Trigger, Trigger::Close), 10, 0);
    story.step(about(Kind::P2pUnmap, Trigger::Close), 10, 0);
    story.expect(Trigger::Close, 0);
    story.point(about(Kind::DeviceClose, Trigger::Close));
    story.point(about(Kind::DeviceClose, Trigger::Close).device(crate::story::EDU));
    story.point(about(Kind::DmabufClose, Trigger::None).range(0, 0x1000));
    story.point(Event::new(Kind::Mark, Actor::Scenario).text("both were live at once"));
    story.point(Event::new(Kind::Degraded, Actor::Vmm).text("MSI is not delivered yet"));
    story.point(Event::new(Kind::RunEnd, Actor::Vmm).result(0));
    let expected = "
pass  lab, virtual time: nothing found (status 0)
  events        50
  revokes       2 (decode off 1, close 1); besides decode on 1
  DMA           1 commanded: 1 seen to land, 0 not to, 0 faults; 0 in flight at a revoke
  CPU           0 seen to land, 0 not to; 12 accesses answered in outages
  outages       1, the longest 1.176 ms (BAR 2 of 0000:00:03.0, to seq 32)
  left over     nothing
  marks         cpu-met-outage 1, both were live at once 1
  degraded      MSI is not delivered yet (1)

journal: out/lab/journal.jsonl
";
    assert_eq!(shown(&story, Ended::ByItself(0), Some(Path::new("out/lab/journal.jsonl"))), expected);
}

#[test]
fn a_run_that_hangs() {
    let mut story = Story::new();
    story.withdraw(Trigger::Flr);
    story.begin(about(Kind::Trigger, Trigger::Flr));
    story.point(Event::new(Kind::Leftover, Actor::Vmm).text("dma-buf files").value(1));
    let expected = "
FAIL  lab, virtual time: 4 findings, timed out (status 124)
  events        18
  revokes       1 (FLR 1)
  DMA           0 commanded: 0 seen to land, 0 not to, 0 faults; 0 in flight at a revoke
  CPU           0 seen to land, 0 not to; 0 accesses answered in outages
  outages       0
  left over     dma-buf files (1)

I4: nothing leaks
  seq 17, at 5.103 ms (lab, virtual time): 1 left of dma-buf files

I5: nothing is lost silently
  seq 17, at 5.103 ms (lab, virtual time): the journal ends without the end of the run

I7: the guest cannot kill, stall or confuse the VMM
  seq 16, at 5.102 ms (lab, virtual time): step 6 (trigger flr, BAR 2 of 0000:00:03.0, keeper) began and never
  ended
  seq 17, at 5.103 ms (lab, virtual time): the run did not end in its time

journal: j
  look:  grep -n -B20 '\"seq\":16,' j
  again: barkeep check j
";
    assert_eq!(shown(&story, Ended::TimedOut, Some(Path::new("j"))), expected);
}

#[test]
fn a_flood_of_findings_says_how_many_are_not_listed() {
    let mut story = Story::new();
    for _ in 0..100 {
        story.point(Event::new(Kind::Expectation, Actor::Scenario).text("x".repeat(300)).result(1));
    }
    let text = shown(&story, Ended::Died { why: "QEMU was killed".to_owned() }, None);
    assert!(text.ends_with("\n36 more findings are not listed\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
}
