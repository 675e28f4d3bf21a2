//! A way to a state, in words a maintainer can read.

use crate::happened::{Happened, What};
use crate::pool::Pool;
use crate::scene::Scene;
use crate::search::go;
use crate::state::State;
use barkeep_export::{Cause, Found, Step};
use barkeep_model::kernel::Section;
use barkeep_model::{Errno, Kernel};

/// Goes the way again, and says what each transition does.
pub(crate) fn words(scene: &Scene, first: &State, path: &[u16]) -> Vec<String> {
    let mut state = first.clone();
    let (mut lines, pool) = (Vec::new(), Pool::default());
    for &transition in path {
        let Some((after, happened)) = go(scene, &pool, &state, transition) else {
            lines.push(format!("(transition {transition} cannot be gone again)"));
            break;
        };
        lines.push(line(state.kernel(), &happened));
        state = after;
    }
    lines
}

fn line(before: &Kernel, happened: &Happened) -> String {
    let Happened { thread, device, action, cause, what, answer, reached: _ } = happened;
    let mut parts = Vec::new();
    if let Some(action) = action {
        parts.push(action.words(*device));
    } else if let Some(Cause { trigger, .. }) = cause {
        parts.push(format!("its turn comes: {}", trigger.name()));
    }
    if let Some(words) = said(before, what) {
        parts.push(words);
    }
    if let Some((step, result)) = answer {
        parts.push(came_to(*step, *result));
    }
    let who = ["vCPU 0", "vCPU 1", "other "][*thread];
    format!("{who} {}  {}", ["A", "B"][*device], parts.join("; "))
}

fn said(before: &Kernel, what: &What) -> Option<String> {
    Some(match what {
        What::Waits => "waits for the event before it".into(),
        What::Slot { window, address, put: true } => format!("slot {window} in at {address:#x}"),
        What::Slot { window, address, put: false } => format!("slot {window} out from {address:#x}"),
        What::Entered(None) => return None,
        What::Entered(Some(Step::LetThrough)) => "the event is let through".into(),
        What::Entered(Some(Step::DropMapping { address, .. })) => format!("IOMMU_IOAS_UNMAP {address:#x}"),
        What::Entered(Some(Step::MakeMapping { address, .. })) => {
            format!("IOMMU_IOAS_MAP_FILE {address:#x}: attached, IOVA taken")
        }
        What::Entered(Some(step)) => format!("{step:?}"),
        What::Section(section) => format!("  kernel: {}", section_words(before, section)),
        What::ReadCommand => "COMMAND is read".into(),
        What::Found(None) => "the registers cannot be read: ENODEV".into(),
        What::Found(Some(Found { decode, power, low_power, addresses })) => {
            let places: Vec<String> =
                addresses.iter().map(|at| at.map_or("no place".into(), |at| format!("{at:#x}"))).collect();
            let decode = if *decode { "on" } else { "off" };
            let asleep = if *low_power { ", in low power" } else { "" };
            format!("found out: decode {decode}, D{power}{asleep}, {}", places.join(", "))
        }
        What::Remembered => "what was written is remembered".into(),
    })
}

fn came_to(step: Step, result: Result<u64, Errno>) -> String {
    let name = match step {
        Step::WithdrawSlot { .. } | Step::PutBackSlot { .. } if result.is_ok() => return "done".into(),
        Step::WithdrawSlot { .. } | Step::PutBackSlot { .. } => "slot",
        Step::LetThrough => "event",
        Step::FindOut => "registers",
        Step::DropMapping { .. } => "UNMAP",
        Step::MakeMapping { .. } => "MAP_FILE",
    };
    match result {
        Ok(_) => format!("{name}: ok"),
        Err(errno) => format!("{name}: {errno}"),
    }
}

fn section_words(before: &Kernel, section: &Section) -> String {
    match section {
        Section::DownWrite(_) => "memory_lock taken".into(),
        Section::UpWrite(_) => "memory_lock released".into(),
        Section::Zap(_) => "mmaps zapped".into(),
        Section::Move { device, revoked, at } => {
            let listed = before.functions()[*device].exports.get(*at);
            match listed.and_then(|id| before.export(*id)).map(|export| export.revoked) {
                None => "no more dma-bufs".into(),
                Some(already) if already == *revoked => format!("dma-buf {at} is so already"),
                Some(_) if *revoked => format!("dma-buf {at} revoked"),
                Some(_) => format!("importers of dma-buf {at} told that it comes back"),
            }
        }
        Section::WaitForImporters(_) => "importers have let go".into(),
        Section::ClearRevoked(_) => "dma-buf live again".into(),
        Section::MoveBackIfEnabled(_) => "asked whether memory is enabled".into(),
        Section::ConfigPiece { piece, .. } => format!("config write {piece}"),
        Section::StoreCommand { .. } => "COMMAND stored".into(),
        Section::SetPowerState { state, .. } => format!("power state D{state} set"),
        Section::TryReset { .. } => "reset begun".into(),
        Section::ResetDone { result: Ok(()), .. } => "reset done".into(),
        Section::ResetDone { result: Err(errno), .. } => format!("reset failed, {errno}"),
        Section::EnterLowPower { .. } => "low power entered".into(),
        Section::LeaveLowPower(_) => "low power left".into(),
        Section::SleepAgain(_) => "access over".into(),
        Section::ListExport(_) => "dma-buf listed".into(),
        Section::ForgetExports(_) => "dma-bufs cut off from the device".into(),
        Section::Disable(_) => "device disabled, file gone".into(),
        Section::TakeMember { member, .. } => format!("hot reset looks at {}", ["A", "B"][*member]),
        Section::ResetBus(_) => "bus reset begun".into(),
        Section::BusResetDone { result: Ok(()), .. } => "bus reset done".into(),
        Section::BusResetDone { result: Err(errno), .. } => format!("bus reset failed, {errno}"),
        Section::GiveBackMembers { .. } => "members of the set given back".into(),
        Section::Release(_) => "dma-buf released".into(),
        Section::Fill(_) => "mapping filled".into(),
        Section::Sleep(_) => "sleeps".into(),
    }
}
