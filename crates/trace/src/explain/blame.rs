//! Who should bring a way back, and why it is not.

use super::record::{Record, Records, Step};
use super::window::Window;
use crate::sentence::trigger_name;
use barkeep_journal::{Kind, Trigger};
use barkeep_report::names;
use barkeep_timeline::{Outage, Way};

/// The answer.
pub(super) struct Cause {
    /// Who should bring it back.
    pub who: String,
    /// Why it is away still, or what went another way than it had to.
    pub why: Option<String>,
}

/// Looks at what the VMM did since a way was taken, up to its return.
pub(super) fn of(records: &Records, window: &Window, way: Way, outage: &Outage) -> Cause {
    let taken = outage.taken;
    let until = outage.end.map_or(u64::MAX, |end| end.seq);
    let mut since: Vec<_> = records.since(window.device, taken.seq).filter(|r| r.begun <= until).collect();
    if outage.end.is_some() {
        // The last one has brought it back.
        since.pop();
    }
    let closes = |record: &&&Record| matches!(record.trigger, Trigger::Close | Trigger::Remove);
    if outage.end.is_none()
        && let Some(record) = since.iter().find(closes)
    {
        let before = since.iter().take_while(|r| r.begun < record.begun).find_map(|r| wrong(r, window, way));
        return Cause {
            who: format!(
                "nobody can: the device was given up (seq {}), which revokes for good",
                record.begun
            ),
            why: before,
        };
    }
    let why = since.iter().find_map(|record| wrong(record, window, way));
    let asleep = since.iter().rev().find_map(|record| not_decoding(record));
    let who = match (&why, asleep) {
        _ if taken.by_others => format!(
            "the VMM, once it notices: {} was somebody else's, past it, and nothing tells of that but a guest's \
             access or a DMA that faults",
            trigger_name(taken.trigger)
        ),
        (None, Some(found)) => format!(
            "whoever took it away: the registers say {} (seq {}), and while they do a map would be ENODEV; after \
             that the VMM",
            said(found),
            found.begun
        ),
        _ => "the VMM, as soon as what it let through is over and the function decodes".to_owned(),
    };
    Cause { who, why }
}

/// The look at the registers that said: nothing may be mapped.
fn not_decoding(record: &Record) -> Option<&Step> {
    record.found().filter(|found| found.value.is_some_and(|value| !decodes(value)))
}

/// Memory decode on, D0, not put into low power.
fn decodes(value: u64) -> bool {
    value & 1 != 0 && value >> 8 & 3 == 0 && value >> 16 & 1 == 0
}

fn said(found: &Step) -> &'static str {
    let value = found.value.unwrap_or(0);
    match (value >> 16 & 1, value & 1, value >> 8 & 3) {
        (1, ..) => "low power",
        (_, 0, _) => "that memory decode is off",
        (.., 3) => "D3hot",
        _ => "that the function does not decode",
    }
}

/// What the VMM did wrong in an event, as far as it keeps this way away.
fn wrong(record: &Record, window: &Window, way: Way) -> Option<String> {
    let name = trigger_name(record.trigger);
    if record.over.is_none()
        && let Some(step) = record.stuck()
    {
        return Some(format!(
            "{name} is not over: {} began at seq {} and never ended",
            step.kind, step.begun
        ));
    }
    let found = record.found();
    if found.is_none() && record.let_through().is_some() {
        return Some(format!(
            "after {name} the VMM did not ask the registers (no find_out after seq {})",
            record.begun
        ));
    }
    if let (Way::Cpu, Some(found), Some(slot)) =
        (way, found, record.step(Kind::SlotAdd, window.bar, window.address))
        && slot.begun < found.begun
    {
        return Some(format!(
            "after {name} the slot was put back at seq {}, before the registers were asked (seq {})",
            slot.begun, found.begun
        ));
    }
    if let Some(found) = not_decoding(record)
        && record.live != Some(true)
    {
        let slot = record.step(Kind::SlotAdd, window.bar, window.address).filter(|_| way == Way::Cpu);
        let told = |slot: &Step| {
            format!(
                "after {name} the slot was put back at seq {} although the registers say {}",
                slot.begun,
                said(found)
            )
        };
        return slot.map(told);
    }
    let (makes, takes) = match way {
        Way::Cpu => (Kind::SlotAdd, Kind::SlotRemove),
        Way::P2p => (Kind::P2pMap, Kind::P2pUnmap),
    };
    let over = record.over.unwrap_or(record.begun);
    match record.step(makes, window.bar, window.address) {
        Some(step) if step.result != Some(0) => {
            Some(refused(step, record.step(takes, window.bar, window.address), way, name))
        }
        Some(_) => match way {
            Way::Cpu => Some(format!(
                "the slot is back after {name}, and the outage was never ended: vCPUs go on answering all ones"
            )),
            Way::P2p => None,
        },
        None => Some(never_tried(record, found, way, name, over)),
    }
}

fn refused(step: &Step, dropped: Option<&Step>, way: Way, name: &str) -> String {
    let errno = step.result.map_or_else(|| "no answer".to_owned(), names::result);
    let seq = step.begun;
    match (way, errno.as_str(), dropped) {
        (Way::P2p, "EEXIST", None) => format!(
            "after {name} the map at seq {seq} met EEXIST: the dead mapping still holds the IOVA, for the VMM did not \
             unmap it before"
        ),
        (Way::P2p, "EEXIST", Some(unmap)) => format!(
            "after {name} the map at seq {seq} met EEXIST: something still holds the IOVA, though the VMM unmapped at \
             seq {}",
            unmap.begun
        ),
        (Way::P2p, "ENODEV", _) => {
            format!("after {name} the map at seq {seq} met ENODEV: the dma-buf was still revoked")
        }
        (Way::P2p, ..) => format!("after {name} the map at seq {seq} was refused: {errno}"),
        (Way::Cpu, ..) => format!("after {name} the slot could not be set at seq {seq}: {errno}"),
    }
}

fn never_tried(record: &Record, found: Option<&Step>, way: Way, name: &str, over: u64) -> String {
    let what = match way {
        Way::Cpu => "never tried to put the slot back",
        Way::P2p => "never tried to map",
    };
    let believed = match record.live {
        Some(true) => "called it live",
        Some(false) => "called it away",
        None => "said nothing of it",
    };
    let registers = match found {
        Some(found) if found.value.is_some_and(decodes) => {
            format!("the VMM found at seq {} that the function decodes", found.begun)
        }
        Some(found) => format!("the VMM found {} (seq {})", said(found), found.begun),
        None => "the VMM looked at no register".to_owned(),
    };
    format!("after {name} {registers}, {what}, and {believed} (seq {over})")
}
