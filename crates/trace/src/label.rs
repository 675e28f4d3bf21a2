//! What stands on a slice.

use barkeep_journal::Kind;
use barkeep_report::names;
use barkeep_report::style::fit;
use barkeep_timeline::{Party, Slice, What};

/// Characters of it.
const ROOM: usize = 60;

/// A slice's label: what is the same of all of its sort, but for what only a text can say.
pub(crate) fn of(slice: &Slice) -> String {
    let text = slice.text.trim();
    let label = match slice.what {
        What::Handling if slice.party == Party::Guest => {
            format!("vCPU exit: {}", names::trigger(slice.trigger))
        }
        What::Handling => format!("handling {}", names::trigger(slice.trigger)),
        What::Dma if text.is_empty() => "DMA".to_owned(),
        What::Dma => format!("DMA {text}"),
        What::Step(Kind::Trigger) => names::trigger(slice.trigger).to_owned(),
        What::Step(Kind::KernelStep) => kernel_step(text),
        What::Step(_) if slice.party == Party::Kernel && !text.is_empty() => text.to_owned(),
        What::Step(Kind::Action) => text.to_owned(),
        What::Step(
            kind @ (Kind::Administer | Kind::Hold | Kind::Process | Kind::ProcessStep | Kind::ImporterStep),
        ) => {
            format!("{}: {text}", What::Step(kind).name())
        }
        what @ What::Step(_) => what.name().to_owned(),
    };
    fit(&label, ROOM)
}

/// A function of the kernel's, and before it what it is there for, where that is a part of a revoke.
fn kernel_step(text: &str) -> String {
    let part = match text {
        "vfio_pci_zap_and_down_write_memory_lock" => "lock",
        "vfio_pci_dma_buf_move revoked=1" => "mark revoked",
        "vfio_pci_dma_buf_move revoked=0" => "un-revoke",
        "dma_buf_invalidate_mappings" => "invalidate",
        "dma_resv_wait_timeout" => "wait",
        "pci_try_reset_function" | "pci_reset_bus" => "reset",
        _ => return text.to_owned(),
    };
    format!("{part}: {text}")
}
