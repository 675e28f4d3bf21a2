//! One event in a few words.

use barkeep_check::kernel_lines::{Sign, sign};
use barkeep_journal::{Event, Kind, Phase, Trigger};
use barkeep_report::names::{self, Names};
use barkeep_report::style::Tone;

/// What an event says, in a few words.
pub fn said(event: &Event, names: &Names) -> String {
    of(event, names).1
}

/// What an event says, and what a person should think of it.
pub(crate) fn of(event: &Event, names: &Names) -> (Tone, String) {
    let what = what(event, names);
    let about = about(event, names);
    (tone(event), if about.is_empty() { what } else { format!("{about}  {what}") })
}

/// `nvme BAR 2`, or nothing.
fn about(event: &Event, names: &Names) -> String {
    match event.kind {
        // Their text names what they are about.
        Kind::Action | Kind::Expectation | Kind::KernelLog | Kind::Degraded if event.bar.is_none() => {
            String::new()
        }
        Kind::DmaStart | Kind::Faulted | Kind::Landed | Kind::NotLanded => String::new(),
        _ if event.device.is_none() => String::new(),
        _ => names.bar(event),
    }
}

fn tone(event: &Event) -> Tone {
    let failed = event.result.is_some_and(|result| result != 0);
    match event.kind {
        Kind::Lost | Kind::VcpuInternalError | Kind::DeviceError => Tone::Bad,
        Kind::Expectation | Kind::Action if failed => Tone::Bad,
        Kind::Leftover if event.value.unwrap_or(0) > 0 => Tone::Bad,
        Kind::KernelLog => match sign(&event.text) {
            Some(Sign::Headline(_) | Sign::Trace) => Tone::Bad,
            Some(Sign::Edge) | None => Tone::Quiet,
        },
        Kind::Degraded
        | Kind::VcpuFault
        | Kind::Revoked
        | Kind::NotLanded
        | Kind::Faulted
        | Kind::Request => Tone::Notice,
        Kind::Trigger if barkeep_check::revokes(event.trigger) => Tone::Notice,
        Kind::SlotAdd | Kind::SlotRemove | Kind::P2pMap | Kind::P2pUnmap | Kind::BarExport if failed => {
            Tone::Bad
        }
        Kind::Landed | Kind::Live => Tone::Good,
        _ => Tone::Quiet,
    }
}

fn what(event: &Event, names: &Names) -> String {
    let Event { kind, phase, .. } = *event;
    match kind {
        Kind::RunStart => format!("{} starts", event.text),
        Kind::RunEnd => format!("the run ends with status {}", event.result.unwrap_or(0)),
        Kind::DeviceOpen => format!("opened: {}", event.text),
        Kind::DeviceClose => "device file given up".to_owned(),
        Kind::DmabufClose => format!("dma-buf closed, {}", range(event)),
        Kind::BarExport => step(event, "export as a dma-buf", "exported"),
        Kind::RamMap => step(event, "map RAM", "RAM mapped"),
        Kind::P2pMap => step(event, "map", "mapped"),
        Kind::P2pUnmap => step(event, "unmap", "unmapped"),
        Kind::SlotAdd => step(event, "put slot back", "slot is back"),
        Kind::SlotRemove => step(event, "withdraw slot", "slot withdrawn"),
        Kind::Trigger => trigger(event),
        Kind::FindOut => found(event),
        Kind::Expect => {
            let state = if event.value == Some(1) { "live" } else { "away" };
            format!("{} is over, expected {state}", names::trigger(event.trigger))
        }
        Kind::Outage => {
            let generation = event.value.unwrap_or(0);
            match phase {
                Phase::Begin | Phase::Point => format!("CPU access goes (outage {generation})"),
                Phase::End => format!("CPU access is there (outage {generation} over)"),
            }
        }
        Kind::Administer | Kind::Hold | Kind::Process | Kind::ProcessStep | Kind::Action | Kind::Control => {
            worded(event)
        }
        Kind::Request => "the kernel asks for it back".to_owned(),
        Kind::DeviceError => "the kernel tells of an error".to_owned(),
        Kind::Interrupts => format!("{}: {} vectors", event.text, event.value.unwrap_or(0)),
        Kind::Revoked => format!("seen revoked, by {}{}", event.seen_by, answer(event)),
        Kind::Live => format!("seen live, by {}", event.seen_by),
        Kind::Landed | Kind::NotLanded => landed(event, names),
        Kind::Faulted => {
            let at = event.address.unwrap_or(0);
            format!("DMA of {} faulted at {at:#x}", names.short(event.device))
        }
        Kind::AttachProbe => step(event, "try to attach", "attach"),
        Kind::ImporterStep => importer_step(event),
        Kind::ImporterEvent => format!("the importer: {}{}", event.text, answer(event)),
        Kind::DmaStart => {
            let (size, at) = (event.size.unwrap_or(0), event.address.unwrap_or(0));
            format!("DMA of {} begins: {size:#x} bytes to {at:#x}", names.short(event.device))
        }
        Kind::Answered => format!("{} guest accesses answered all ones", event.value.unwrap_or(0)),
        Kind::VcpuFault => format!("KVM_RUN gave EFAULT, {} in a row", event.value.unwrap_or(1)),
        Kind::VcpuInternalError => {
            format!("KVM_EXIT_INTERNAL_ERROR, {} in a row", event.value.unwrap_or(1))
        }
        Kind::AccessCount => format!("{}: {}", event.text, event.value.unwrap_or(0)),
        Kind::Expectation => {
            let held = if event.result.unwrap_or(0) == 0 { "as expected" } else { "NOT AS EXPECTED" };
            format!("{held}: {}", event.text)
        }
        Kind::Mark => format!("mark {}", event.text),
        Kind::Degraded => format!("degraded: {}{}", event.text, answer(event)),
        Kind::Leftover => format!("left over: {} {}", event.value.unwrap_or(0), event.text),
        Kind::KernelLog => event.text.trim().to_owned(),
        Kind::KernelStep => kernel_step(event),
        Kind::KernelTrace => format!("the kernel is traced: {}", event.text.trim()),
        Kind::Continuation => "the rest of a text".to_owned(),
        Kind::Lost => format!("LOST: {} records: {}", event.value.unwrap_or(1), event.text),
    }
}

/// A step's begin with what it is about, or its end with the answer.
fn step(event: &Event, begins: &str, done: &str) -> String {
    match (event.phase, event.result) {
        (Phase::Begin, _) => format!("{begins}, {}", range(event)),
        (Phase::End | Phase::Point, None | Some(0)) => done.to_owned(),
        (Phase::End | Phase::Point, Some(_)) => format!("{begins}{}", answer(event)),
    }
}

/// What an importing device is told, or what that came to.
fn importer_step(event: &Event) -> String {
    match (event.phase, event.value) {
        (Phase::Begin | Phase::Point, _) => format!("the importer is told: {}", event.text),
        (Phase::End, Some(address)) => format!("the importer's device reaches it at {address:#x}"),
        (Phase::End, None) => format!("the importer is done{}", answer(event)),
    }
}

/// A step whose text says what it is.
fn worded(event: &Event) -> String {
    let of = match event.kind {
        Kind::Hold => "held open by others",
        Kind::Administer => "administrator",
        Kind::Process => "process",
        Kind::Action => "action",
        Kind::Control => "control",
        _ => "",
    };
    let text = event.text.trim();
    let colon = if of.is_empty() || text.is_empty() { "" } else { ": " };
    match event.phase {
        Phase::Begin | Phase::Point => format!("{of}{colon}{text}"),
        Phase::End => format!("{of}{colon}{text} over{}", answer(event)).trim_start().to_owned(),
    }
}

/// A function of the kernel's, entered or left.
fn kernel_step(event: &Event) -> String {
    let text = event.text.trim();
    match event.phase {
        Phase::Begin | Phase::Point => text.to_owned(),
        Phase::End => format!("returns{}", answer(event)),
    }
}

fn trigger(event: &Event) -> String {
    let name = names::trigger(event.trigger);
    match event.phase {
        Phase::Begin | Phase::Point => match (event.address, event.value) {
            (Some(register), Some(value)) => {
                format!("{name} let through: config {register:#x} := {value:#x}")
            }
            _ => format!("{name} let through"),
        },
        Phase::End => format!("{name} done{}", answer(event)),
    }
}

fn found(event: &Event) -> String {
    let value = match (event.phase, event.value) {
        (Phase::Begin, _) => return "find out".to_owned(),
        (_, None) => return format!("found out{}", answer(event)),
        (_, Some(value)) => value,
    };
    let decode = if value & 1 != 0 { "decode on" } else { "decode off" };
    let power = ["D0", "D1", "D2", "D3hot"][(value >> 8 & 3) as usize];
    let low = if value >> 16 & 1 != 0 { ", put into low power" } else { "" };
    format!("found: {decode}, {power}{low}")
}

fn landed(event: &Event, names: &Names) -> String {
    let did = if event.kind == Kind::Landed { "landed" } else { "did not land" };
    let who = if event.text == "dma" { "DMA" } else { "CPU access" };
    let there = event.value.map_or_else(String::new, |value| format!(", {value:#x} is there"));
    format!("{who} {did} at {}+{:#x}{there}", names.bar(event), event.address.unwrap_or(0))
}

fn range(event: &Event) -> String {
    match (event.address, event.size) {
        (Some(at), Some(size)) => format!("{at:#x}+{size:#x}"),
        (Some(at), None) => format!("{at:#x}"),
        (None, _) => String::new(),
    }
}

/// `: ENODEV`, or nothing.
fn answer(event: &Event) -> String {
    match event.result {
        None | Some(0) => String::new(),
        Some(result) => format!(": {}", names::result(result)),
    }
}

/// A trigger as a sentence has it.
pub(crate) fn trigger_name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::None => "something unseen",
        other => names::trigger(other),
    }
}
