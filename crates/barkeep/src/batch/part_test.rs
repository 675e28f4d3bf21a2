use super::*;
use barkeep_journal::{Clock, Lane};

const HEADER: Header = Header { lane: Lane::Lab, clock: Clock::Virtual };

/// Events as they come out of a boot: each follows the one before it.
struct Told<'a, 'b> {
    parts: &'b mut Parts<'a>,
    next: u64,
}

impl Told<'_, '_> {
    fn event(&mut self, mut event: Event) {
        event.seq = self.next;
        event.time_ns = 1000 * self.next;
        self.next += 1;
        self.parts.event(&event, HEADER);
    }

    fn mark(&mut self, number: u64, phase: Phase, result: Option<i32>) {
        let text = if phase == Phase::Begin { MARK } else { "" };
        let mut event = Event::new(Kind::Action, Actor::Lab).text(text).value(number);
        (event.phase, event.step, event.result) = (phase, number as u32 + 1, result);
        self.event(event);
    }

    fn run(&mut self, number: u64, status: i32) {
        self.mark(number, Phase::Begin, None);
        self.event(Event::new(Kind::RunStart, Actor::Vmm));
        self.event(Event::new(Kind::RunEnd, Actor::Vmm).result(status));
        self.mark(number, Phase::End, Some(status));
    }
}

fn parted(
    tell: impl FnOnce(&mut Told<'_, '_>),
    cut_off: Option<Ended>,
) -> (Vec<(usize, Done)>, Vec<Finding>, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let folder = |number: usize| dir.path().join(number.to_string());
    let mut parts = Parts::new(&folder);
    let mut boot = Told { parts: &mut parts, next: 0 };
    // PID 1's own step, which is no run's.
    boot.event(Event::new(Kind::Action, Actor::Lab).text("batch"));
    tell(&mut boot);
    let Boot { done, of_boot } = parts.finish(cut_off).unwrap();
    let lines = |(_, done): &(usize, Done)| std::fs::read_to_string(&done.journal).unwrap().lines().count();
    let counts = done.iter().map(lines).collect();
    (done, of_boot, counts)
}

#[test]
fn each_run_has_its_own_journal_and_verdict() {
    let (done, of_boot, lines) = parted(
        |boot| {
            boot.run(4, 0);
            boot.event(Event::new(Kind::KernelLog, Actor::Kernel).text("all is well"));
            boot.run(5, 1);
        },
        None,
    );
    assert!(of_boot.is_empty(), "{of_boot:?}");
    let ends: Vec<_> = done.iter().map(|(number, done)| (*number, done.verdict.exit_code())).collect();
    assert_eq!(ends, [(4, 0), (5, 1)]);
    // A header, and what lies between two runs is the first one's.
    assert_eq!(lines, [6, 5]);
    assert_eq!((done[0].1.events, done[0].1.took_ns), (5, 4000));
}

#[test]
fn a_complaint_between_two_runs_is_the_first_ones() {
    let complaint = || Event::new(Kind::KernelLog, Actor::Kernel).text("BUG: sleeping");
    let (done, of_boot, _) = parted(
        |boot| {
            boot.run(0, 0);
            boot.event(complaint());
            boot.run(1, 0);
        },
        None,
    );
    assert!(of_boot.is_empty(), "{of_boot:?}");
    assert_eq!(done.iter().map(|(_, done)| done.verdict.passed()).collect::<Vec<_>>(), [false, true]);
    let (_, of_boot, _) = parted(
        |boot| {
            boot.event(complaint());
            boot.run(0, 0);
        },
        None,
    );
    assert_eq!(of_boot.len(), 1);
}

#[test]
fn what_ends_a_boot_ends_the_run_it_meets() {
    let begun = |boot: &mut Told<'_, '_>| {
        boot.run(0, 0);
        boot.mark(1, Phase::Begin, None);
        boot.event(Event::new(Kind::RunStart, Actor::Vmm));
    };
    let (done, _, _) = parted(begun, Some(Ended::TimedOut));
    assert_eq!(done.iter().map(|(_, done)| done.verdict.exit_code()).collect::<Vec<_>>(), [0, 124]);
    let (done, _, _) = parted(begun, None);
    assert_eq!(done[1].1.verdict.exit_code(), 125);
    let killed = |boot: &mut Told<'_, '_>| {
        begun(boot);
        boot.mark(1, Phase::End, Some(SIGNALLED + 11));
    };
    let (done, _, _) = parted(killed, None);
    assert_eq!(done[1].1.verdict.ended, Ended::Died { why: "its process was ended by signal 11".into() });
}

#[test]
fn records_lost_inside_a_run_are_found() {
    let (done, _, _) = parted(
        |boot| {
            boot.mark(0, Phase::Begin, None);
            boot.next += 3;
            boot.event(Event::new(Kind::RunStart, Actor::Vmm));
            boot.event(Event::new(Kind::RunEnd, Actor::Vmm).result(0));
            boot.mark(0, Phase::End, Some(0));
        },
        None,
    );
    assert!(done[0].1.verdict.findings[0].what.contains("3 places"), "{:?}", done[0].1.verdict.findings);
}
