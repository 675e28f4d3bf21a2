//! A second process beside the VMM, in lanes with a kernel: this binary once more, as `barkeep-handover`
//! has it.

use crate::exit::Exit;
use crate::here;
use barkeep_export::{Errno, Imported, SecondProcess, Seconds, WindowId};
use barkeep_handover::process;
use barkeep_handover::second::Second;
use barkeep_journal::DeviceAddress;
use barkeep_vfio::Space;
use std::sync::Arc;

/// Starts second processes, and hands them dma-bufs of this space.
pub struct VfioSeconds(pub Arc<Space>);

impl Seconds for VfioSeconds {
    fn start(
        &self,
        window: WindowId,
        imported: Imported,
        engine: Option<DeviceAddress>,
    ) -> Result<Arc<dyn SecondProcess>, Errno> {
        Ok(Arc::new(Second::start(&self.0.buffer(window)?, imported, engine)?))
    }
}

/// Is such a process, until its VMM has nothing more to say or is gone.
///
/// # Errors
/// It was no VMM that started it.
pub fn serve() -> anyhow::Result<Exit> {
    // Where the journal is in the VMM's memory there is none to be had after its death.
    let journal = here::lab_journal().ok();
    process::serve_second(journal.as_ref())?;
    Ok(Exit::Pass)
}
