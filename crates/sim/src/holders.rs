//! References to a simulated device file, or to a dma-buf, that keep it open without whoever made them.

use crate::host::{SimHost, errno};
use barkeep_export::{Errno, Held, Holder};
use barkeep_model::kernel::{Call, ExportId, FileId, VmaId};
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
        // A descriptor in a socket or of a child is a reference like any other, and so is KVM's.
        Holder::Duplicate | Holder::Passed | Holder::Kvm | Holder::Inherited => {
            host.lock().kernel.hold_file(file);
            Call::CloseFile { file }
        }
        Holder::Mapping => {
            let bar = bar.ok_or(Errno::INVAL)?;
            let vma = host.call(&Call::MapBar { file, bar, offset: 0, size: PAGE }).map(VmaId::of)?;
            Call::UnmapBar { vma }
        }
        // A file of its own, bound to nothing: nothing of what is specified knows of it.
        Holder::Reopened => return Ok(Box::new(())),
    };
    Ok(Box::new(Reference { host: Arc::clone(host), call }))
}

/// One more reference to a dma-buf.
///
/// # Errors
/// EINVAL for a mapping and for KVM, ENXIO for its path.
pub(crate) fn hold_buffer(host: &Arc<SimHost>, export: ExportId, by: Holder) -> Result<Held, Errno> {
    match by {
        Holder::Duplicate | Holder::Passed | Holder::Inherited => {
            host.lock().kernel.hold_export(export);
            Ok(Box::new(Reference { host: Arc::clone(host), call: Call::CloseBuffer { export } }))
        }
        // Nothing to be held where a kernel allows it: the specified ones do not.
        Holder::Mapping => match host.lock().kernel.mmap_export() {
            Ok(_) => Ok(Box::new(())),
            Err(refused) => Err(errno(refused)),
        },
        Holder::Reopened => Err(errno(host.lock().kernel.reopen_export())),
        Holder::Kvm => Err(Errno::INVAL),
    }
}
