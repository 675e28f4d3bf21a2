use crate::story::{EDU, HEADER, NVME, Story, about};
use barkeep_journal::{Actor, Event, Kind, Trigger};
use barkeep_report::{Style, Timeline};

fn shown(story: &Story, style: Style) -> String {
    let mut out = Vec::new();
    let mut timeline = Timeline::new(&mut out, HEADER, style).unwrap();
    story.events.iter().for_each(|event| timeline.event(event).unwrap());
    timeline.finish().unwrap();
    String::from_utf8(out).unwrap()
}

/// The lines behind those of the start.
fn rest(story: &Story) -> String {
    shown(story, Style::Plain).lines().skip(6).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_run_from_its_start() {
    let mut story = Story::new();
    story.flr();
    story.dma(true);
    story.dma(false);
    story.point(Event::new(Kind::RunEnd, Actor::Vmm).result(0));
    let expected = "   time since the start of the run (lab, virtual time)
    0.000 ms  barkeep 0.1.0: main-job starts
    0.001 ms  nvme 0000:00:03.0  opened 1b36:0010
    0.002 ms  edu 0000:00:04.0  opened 1234:11e8
    0.014 ms  nvme 0000:00:03.0  BAR 2 exported, 0x1000 bytes at 0x0
    0.015 ms  nvme 0000:00:03.0  start … CPU and P2P mapped (slots 51.0 us, map 21.0 us)
    0.093 ms  nvme 0000:00:03.0  FLR … CPU and P2P away for 104.099 ms, back (slots 57.0 us, map 32.0 us)
  204.194 ms  DMA landed in nvme BAR 2 at 0x0, 0x5a5a is there
  304.196 ms  DMA by edu faulted at 0xfe000000
  304.197 ms  DMA did not land in nvme BAR 2 at 0x0, 0x1111 is there
  304.198 ms  the run ends with status 0
";
    assert_eq!(shown(&story, Style::Plain), expected);
}

#[test]
fn what_repeats_is_folded_and_counted() {
    let mut story = Story::new();
    for n in 0..200 {
        let action = story.begin(Event::new(Kind::Action, Actor::Scenario).text("decode off nvme"));
        story.flap(n);
        story.end(action, 0);
    }
    story.flr();
    let expected = "    0.094 ms  nvme 0000:00:03.0  decode off … away
    1.149 ms  nvme 0000:00:03.0  decode on … CPU and P2P away for 1.164 ms, back (slots 51.0 us, map 21.0 us)
    1.261 ms  nvme 0000:00:03.0  decode off … away
    2.317 ms  nvme  decode on … CPU+P2P away for 1.166 ms, back (slots 51.0 us, map 21.0 us), 1 answered
              … 198 more like this: nvme 0000:00:03.0  decode off
              … 198 more like this: nvme 0000:00:03.0  decode on, away for 1.364 ms at most
  253.592 ms  nvme 0000:00:03.0  FLR … CPU and P2P away for 104.099 ms, back (slots 57.0 us, map 32.0 us)
";
    assert_eq!(rest(&story), expected);
}

#[test]
fn what_was_away_says_for_how_long_when_it_is_back() {
    let mut story = Story::new();
    story.flap(12);
    let expected = "    0.093 ms  nvme 0000:00:03.0  decode off … away
    1.160 ms  nvme  decode on … CPU+P2P away for 1.177 ms, back (slots 51.0 us, map 21.0 us), 12 answered
";
    assert_eq!(rest(&story), expected);
}

#[test]
fn what_is_wrong_is_said() {
    let mut story = Story::new();
    story.withdraw(Trigger::DeviceReset);
    story.step(about(Kind::Trigger, Trigger::DeviceReset), 10, -11);
    story.find_out(Trigger::DeviceReset, 1);
    story.maps(Trigger::DeviceReset, -19);
    story.slots(Trigger::DeviceReset);
    story.expect(Trigger::DeviceReset, 1);
    story.point(about(Kind::Degraded, Trigger::DeviceReset).text("P2P mapping not restored").result(-19));
    let action = story.begin(Event::new(Kind::Action, Actor::Scenario).text("dma"));
    story.point(Event::new(Kind::Expectation, Actor::Scenario).text("lands: it faulted").result(1));
    story.end(action, 1);
    story.point(Event::new(Kind::Expectation, Actor::Scenario).text("held").result(0));
    story.point(Event::new(Kind::KernelLog, Actor::Kernel).text("vfio-pci 0000:00:03.0: resetting").value(6));
    story.point(Event::new(Kind::KernelLog, Actor::Kernel).text("BUG: \x1b[2Jbad").value(1));
    story.point(Event::new(Kind::VcpuFault, Actor::Vcpu).index(1).value(2));
    story.point(Event::new(Kind::Leftover, Actor::Vmm).text("dma-buf files").value(1));
    story.point(Event::new(Kind::Leftover, Actor::Vmm).text("device files").value(0));
    story.point(Event::new(Kind::Lost, Actor::Lab).value(7).text("no room left in the journal"));
    let expected =
        "    0.093 ms  nvme 0000:00:03.0  device reset gave EAGAIN … P2P NOT BACK (ENODEV) … CPU away for 97 us, back
    0.191 ms  degraded (nvme BAR 2)  P2P mapping not restored: ENODEV
    0.193 ms  NOT MET  lands: it faulted
    0.192 ms  action  dma … NOT MET (2 us)
    0.197 ms  KERNEL  BUG:  [2Jbad
    0.198 ms  vcpu1 vcpu_fault, 2 in a row
    0.199 ms  LEFT OVER  1 dma-buf files
    0.201 ms  LOST  7 records: no room left in the journal
";
    assert_eq!(rest(&story), expected);
}

#[test]
fn what_is_not_over_is_said_at_the_end() {
    let mut story = Story::new();
    story.begin(Event::new(Kind::Action, Actor::Scenario).text("FLR nvme"));
    story.withdraw(Trigger::Flr);
    story.begin(about(Kind::Trigger, Trigger::Flr));
    let expected = "    0.094 ms  nvme 0000:00:03.0  FLR … NOT OVER
    0.093 ms  action  FLR nvme … NOT OVER
";
    assert_eq!(rest(&story), expected);
}

#[test]
fn colours_only_if_asked_and_lines_of_bounded_width() {
    let mut story = Story::new();
    story.point(Event::new(Kind::Degraded, Actor::Vmm).device(EDU).text("é".repeat(500)));
    story.point(Event::new(Kind::DeviceOpen, Actor::Vmm).device(NVME).text("n".repeat(500)));
    let plain = shown(&story, Style::Plain);
    assert!(plain.lines().all(|line| line.chars().count() <= 110 && !line.contains('\x1b')), "{plain}");
    assert!(shown(&story, Style::Ansi).contains("\x1b[33m"));
}
