//! I7: the guest cannot kill, stall or confuse the VMM.
//!
//! A step that began and never ended is a hang or a death, and names itself.

use crate::findings::Findings;
use crate::verdict::{Ended, Invariant::I7};
use crate::words::step;
use crate::world::World;
use barkeep_journal::{Event, Kind};

/// EFAULTs in a row of one vCPU that events under way explain.
const FAULTS_BORNE: u64 = 3;
/// Instructions in a row that KVM cannot emulate; the VMM gives a guest up beyond that.
const INTERNAL_ERRORS_BORNE: u64 = 64;
/// How a vCPU's end that nobody asked for is told.
const ENDED: &str = "vCPU ended:";
/// The status of a run that a signal, or a word on its control socket, has ended.
const INTERRUPTED: i32 = 130;

/// `KVM_RUN` gave EFAULT.
pub(crate) fn vcpu_fault(event: &Event, out: &mut Findings) {
    if let Some(count) = event.value.filter(|count| *count > FAULTS_BORNE) {
        out.add(I7, event, format!("KVM_RUN of vcpu{} gave EFAULT {count} times in a row", event.index));
    }
}

/// KVM could not emulate an instruction.
pub(crate) fn vcpu_internal_error(event: &Event, out: &mut Findings) {
    if let Some(count) = event.value.filter(|count| *count > INTERNAL_ERRORS_BORNE) {
        out.add(I7, event, format!("vcpu{} met {count} internal errors of KVM in a row", event.index));
    }
}

/// Something is off; a vCPU that ended is meant here.
pub(crate) fn degraded(event: &Event, out: &mut Findings) {
    if let Some(why) = event.text.strip_prefix(ENDED) {
        out.add(I7, event, format!("vcpu{} ended:{why}", event.index));
    }
}

/// The run is over.
pub(crate) fn end(world: &World, ended: &Ended, out: &mut Findings) {
    for begin in world.steps.open() {
        // Who interrupts a run cuts off what its scenario is at; whatever the VMM is at ends all the same.
        if *ended == Ended::ByItself(INTERRUPTED) && begin.kind == Kind::Action {
            continue;
        }
        let what = format!("step {} ({}) began and never ended", begin.step, step(begin));
        out.add_unfinished(I7, (begin.seq, begin.time_ns), what);
    }
    let what = match ended {
        Ended::ByItself(_) => return,
        Ended::TimedOut => "the run did not end in its time".to_owned(),
        Ended::Died { why } => format!("the run was cut off: {why}"),
    };
    out.add_unfinished(I7, world.last, what);
}
