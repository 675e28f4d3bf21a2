//! References to a simulated device file that keep it open without the device that made them.

use crate::host::SimHost;
use barkeep_export::{Errno, Held, Holder};
use barkeep_model::kernel::{Call, FileId, VmaId};
use barkeep_model::op::PAGE;
use std::sync::Arc;

/// What gives a reference up.
struct Reference {
    host: Arc<SimHost>,
    call: Call,
}

impl Drop for Reference {
    fn drop(&mut self) {
        // Neither can fail: what it gives up is there.
        let _ = self.host.call(&self.call);
    }
}

/// One more reference to `file`. `bar` is one that can be mapped.
///
/// # Errors
/// EINVAL without a BAR to map; the errno of `mmap`.
pub(crate) fn hold(host: &Arc<SimHost>, file: FileId, by: Holder, bar: Option<u8>) -> Result<Held, Errno> {
    let call = match by {
        // A descriptor in a socket is a reference like any other, and so is KVM's.
        Holder::Duplicate | Holder::Passed | Holder::Kvm => {
            host.lock().kernel.hold_file(file);
            Call::CloseFile { file }
        }
        Holder::Mapping => {
            let bar = bar.ok_or(Errno::INVAL)?;
            let vma = host.call(&Call::MapBar { file, bar, offset: 0, size: PAGE }).map(VmaId::of)?;
            Call::UnmapBar { vma }
        }
    };
    Ok(Box::new(Reference { host: Arc::clone(host), call }))
}
