//! `drivers/dma-buf/dma-buf.c` and `dma-buf-mapping.c`: importers of the general kind, and how
//! every importer is told.

use super::vfio_pci_dmabuf::{ExportId, Range};
use super::{Kernel, Task, get, get_mut, put, take};
use crate::errno::Errno;
use crate::profile::{NotPeer2peer, NotRevocable};
use crate::rule::Rule;

/// An attachment of an importer that is not iommufd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttachmentId(pub(crate) usize);

/// What an importer does when it is told to invalidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnInvalidate {
    /// Unmaps, as it must within bounded time.
    Unmap,
    /// Unmaps and maps again at once, from the notice itself.
    Remap,
    /// Keeps its mapping: the exporter waits for ever.
    Hold,
}

/// What an importer is like (`struct dma_buf_attach_ops`, its device's DMA parameters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImporterKind {
    /// `allow_peer2peer`.
    pub peer2peer: bool,
    /// `invalidate_mappings`, and what it does; `None` for an importer without.
    pub invalidate: Option<OnInvalidate>,
    /// The longest segment its device takes, bytes.
    pub longest_segment: u64,
}

/// `struct dma_buf_attachment`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// What is imported.
    pub export: ExportId,
    /// What the importer is like.
    pub kind: ImporterKind,
    /// It holds a scatter list.
    pub mapped: bool,
    /// What its last map, also one from a notice, came to.
    pub last_map: Option<Result<(), Errno>>,
}

/// An entry of a scatter list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// BAR index.
    pub bar: u8,
    /// Bytes from the start of the BAR.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl Kernel {
    /// `dma_buf_dynamic_attach` and `vfio_pci_dma_buf_attach`: peer2peer, revoked, revocable, in
    /// this order.
    ///
    /// # Errors
    /// EOPNOTSUPP, ENODEV, EOPNOTSUPP; EBADF without such a dma-buf.
    pub fn attach_importer(&mut self, id: ExportId, kind: ImporterKind) -> Result<AttachmentId, Errno> {
        let revoked = self.export(id).ok_or(Errno::EBADF)?.revoked;
        let profile = self.profile();
        if kind.invalidate.is_none()
            && let NotRevocable::AtCore(errno) = profile.not_revocable()
        {
            return Err(errno);
        }
        if !kind.peer2peer
            && let NotPeer2peer::AtAttach(errno) = profile.not_peer2peer()
            && self.follows(Rule::NotPeer2peer)
        {
            return Err(errno);
        }
        if revoked && profile.attach_refused_while_revoked() && self.follows(Rule::AttachWhileRevoked) {
            return Err(Errno::ENODEV);
        }
        if kind.invalidate.is_none()
            && let NotRevocable::AtExporter(errno) = profile.not_revocable()
            && self.follows(Rule::NotRevocable)
        {
            return Err(errno);
        }
        self.hold_export(id);
        let attachment = Attachment { export: id, kind, mapped: false, last_map: None };
        Ok(AttachmentId(put(&mut self.attachments, attachment)))
    }

    /// `dma_buf_map_attachment`: the scatter list.
    ///
    /// # Errors
    /// ENODEV while revoked; EPERM without peer2peer where the attach let it in.
    pub fn map_attachment(&mut self, id: AttachmentId) -> Result<Vec<Segment>, Errno> {
        let result = self.try_map(id);
        if let Some(attachment) = get_mut(&mut self.attachments, id.0) {
            attachment.mapped |= result.is_ok();
            attachment.last_map = Some(result.as_ref().map(|_| ()).map_err(|errno| *errno));
        }
        result
    }

    fn try_map(&mut self, id: AttachmentId) -> Result<Vec<Segment>, Errno> {
        let (kind, export) = match get(&self.attachments, id.0) {
            Some(attachment) => (attachment.kind, attachment.export),
            None => return Err(Errno::EBADF),
        };
        if !kind.peer2peer
            && let NotPeer2peer::AtMap(errno) = self.profile().not_peer2peer()
        {
            return Err(errno);
        }
        let (revoked, ranges) = match self.export(export) {
            Some(export) => (export.revoked, export.ranges.clone()),
            None => return Err(Errno::EBADF),
        };
        if revoked && self.follows(Rule::MapWhileRevoked) {
            return Err(Errno::ENODEV);
        }
        let longest = self.profile().longest_segment(kind.longest_segment);
        let longest = if self.follows(Rule::SegmentsNearFourGib) { longest } else { kind.longest_segment };
        Ok(cut(&ranges, longest))
    }

    /// `dma_buf_unmap_attachment`.
    pub fn unmap_attachment(&mut self, id: AttachmentId) {
        if let Some(attachment) = get_mut(&mut self.attachments, id.0) {
            attachment.mapped = false;
        }
    }

    /// `dma_buf_detach`, and the importer's reference is given up.
    pub fn detach_importer(&mut self, id: AttachmentId) -> Task {
        let mut task = Task::done(Ok(0));
        if let Some(attachment) = take(&mut self.attachments, id.0) {
            self.drop_export(attachment.export, &mut task);
        }
        task
    }

    /// An attachment.
    #[must_use]
    pub fn attachment(&self, id: AttachmentId) -> Option<&Attachment> {
        get(&self.attachments, id.0)
    }

    /// `dma_buf_invalidate_mappings`: every importer is told, whichever way the dma-buf moves.
    pub(super) fn invalidate_mappings(&mut self, export: ExportId) {
        self.revoke_pages(export);
        let told: Vec<(AttachmentId, OnInvalidate)> = self
            .attachments
            .iter()
            .enumerate()
            .filter_map(|(at, attachment)| {
                let attachment = attachment.as_ref().filter(|attachment| attachment.export == export)?;
                Some((AttachmentId(at), attachment.kind.invalidate?))
            })
            .collect();
        for (id, act) in told {
            match act {
                OnInvalidate::Unmap => self.unmap_attachment(id),
                OnInvalidate::Remap => {
                    self.unmap_attachment(id);
                    // What it came to is kept in the attachment.
                    let _ = self.map_attachment(id);
                }
                OnInvalidate::Hold => {}
            }
        }
    }

    /// Whether an importer that is not iommufd is attached.
    pub(super) fn is_imported(&self, export: ExportId) -> bool {
        self.attachments.iter().flatten().any(|attachment| attachment.export == export)
    }

    /// Whether the exporter has to wait for an importer that holds a mapping.
    pub(super) fn importers_hold(&self, export: ExportId) -> bool {
        self.plant.0 != Some(Rule::RevokeWaits)
            && self
                .attachments
                .iter()
                .flatten()
                .any(|attachment| attachment.export == export && attachment.mapped)
    }
}

/// `fill_sg_entry` for ranges that are mapped one by one.
fn cut(ranges: &[Range], longest: u64) -> Vec<Segment> {
    let mut segments = Vec::new();
    for &Range { bar, offset, length } in ranges {
        let mut done = 0;
        while done < length {
            let piece = (length - done).min(longest.max(1));
            segments.push(Segment { bar, offset: offset + done, length: piece });
            done += piece;
        }
    }
    segments
}
