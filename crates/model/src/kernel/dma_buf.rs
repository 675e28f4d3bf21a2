//! `drivers/dma-buf/dma-buf.c` and `dma-buf-mapping.c`: importers of the general kind, and how
//! every importer is told.

use super::vfio_pci_dmabuf::{ExportId, Range};
use super::{Apart, Kernel, Task, get, get_mut, put, take};
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
    /// Keeps its mapping for a while, and then unmaps by itself.
    HoldForNow,
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
    /// An IOMMU stands before its device: what the exporter maps becomes one run of I/O addresses.
    pub translated: bool,
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
    /// `dma_buf_pin`.
    pub pinned: bool,
    /// Apart, because a count that goes on for ever makes every state a new one.
    tally: Apart<Tally>,
}

/// What became of an attachment so far. Nothing in the kernel depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often it was told.
    pub notices: u64,
    /// How often it gave a mapping up because of that.
    pub released: u64,
    /// What its last map from inside a notice came to: `None` if there was none.
    pub in_notice: Option<Result<(), Errno>>,
}

impl Attachment {
    /// What became of it so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.0
    }
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
        let attachment = Attachment {
            export: id,
            kind,
            mapped: false,
            last_map: None,
            pinned: false,
            tally: Apart::default(),
        };
        Ok(AttachmentId(put(&mut self.attachments, attachment)))
    }

    /// `dma_buf_map_attachment`: the scatter list.
    ///
    /// # Errors
    /// ENODEV while revoked; EPERM without peer2peer where the attach let it in; EADDRINUSE for several
    /// ranges behind an IOMMU.
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
        if kind.translated && ranges.len() > 1 {
            return self.map_ranges(&ranges, longest);
        }
        Ok(cut(&ranges, longest))
    }

    /// `dma_buf_phys_vec_to_sgt` of several ranges, for which it takes one run of I/O addresses: without
    /// `guest-kernel/patches/0002` each range is linked at its start.
    fn map_ranges(&mut self, ranges: &[Range], longest: u64) -> Result<Vec<Segment>, Errno> {
        if !self.abilities().ranges {
            return Err(self.errno(Rule::RangesCollide, Errno::EADDRINUSE));
        }
        if !self.follows(Rule::RangesJoined) {
            return Ok(cut(ranges, longest));
        }
        let length = ranges.iter().map(|range| range.length).sum();
        Ok(cut(&[Range { length, ..ranges[0] }], longest))
    }

    /// `dma_buf_unmap_attachment`.
    pub fn unmap_attachment(&mut self, id: AttachmentId) {
        if let Some(attachment) = get_mut(&mut self.attachments, id.0) {
            attachment.mapped = false;
        }
    }

    /// `dma_buf_pin`: vfio-pci has none of its own, so it says yes.
    ///
    /// # Errors
    /// EALREADY, or ENOLINK to unpin: of the test importer, which keeps count; EBADF.
    pub fn pin_attachment(&mut self, id: AttachmentId, pinned: bool) -> Result<u64, Errno> {
        let attachment = get_mut(&mut self.attachments, id.0).ok_or(Errno::EBADF)?;
        match (attachment.pinned, pinned) {
            (true, true) => return Err(Errno::EALREADY),
            (false, false) => return Err(Errno::ENOLINK),
            (true, false) | (false, true) => attachment.pinned = pinned,
        }
        Ok(0)
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

    /// `dma_buf_invalidate_mappings`: every importer is told, whichever way the dma-buf moves; `rule` says
    /// which.
    pub(super) fn invalidate_mappings(&mut self, export: ExportId, rule: Rule) {
        self.revoke_pages(export);
        let told: Vec<(AttachmentId, OnInvalidate, bool)> = self
            .attachments
            .iter()
            .enumerate()
            .filter_map(|(at, attachment)| {
                let attachment = attachment.as_ref().filter(|attachment| attachment.export == export)?;
                Some((AttachmentId(at), attachment.kind.invalidate?, attachment.pinned))
            })
            .collect();
        for (id, act, pinned) in told {
            if self.follows(rule) && (!pinned || self.follows(Rule::PinnedIsTold)) {
                self.tell(id, act);
            }
        }
    }

    fn tell(&mut self, id: AttachmentId, act: OnInvalidate) {
        if let Some(attachment) = get_mut(&mut self.attachments, id.0) {
            attachment.tally.0.notices += 1;
        }
        match act {
            OnInvalidate::Unmap => self.let_go(id),
            OnInvalidate::Remap => {
                self.let_go(id);
                let again = self.map_attachment(id).map(|_| ());
                if let Some(attachment) = get_mut(&mut self.attachments, id.0) {
                    attachment.tally.0.in_notice = Some(again);
                }
            }
            OnInvalidate::Hold | OnInvalidate::HoldForNow => {}
        }
    }

    /// Gives a mapping up because of a notice.
    fn let_go(&mut self, id: AttachmentId) {
        if let Some(attachment) = get_mut(&mut self.attachments, id.0) {
            attachment.tally.0.released += u64::from(attachment.mapped);
            attachment.mapped = false;
        }
    }

    /// The wait of a revoke: who holds on for a while only lets go in it.
    pub(super) fn wait_for_importers(&mut self, export: ExportId) {
        let holds = |attachment: &Attachment| attachment.export == export && attachment.mapped;
        let count = self.attachments.len();
        let held: Vec<usize> =
            (0..count).filter(|at| get(&self.attachments, *at).is_some_and(holds)).collect();
        if !held.is_empty() && self.follows(Rule::RevokeWaits) {
            held.into_iter().for_each(|at| self.let_go(AttachmentId(at)));
        }
    }

    /// Whether an importer that is not iommufd is attached.
    pub(super) fn is_imported(&self, export: ExportId) -> bool {
        self.attachments.iter().flatten().any(|attachment| attachment.export == export)
    }

    /// Whether the exporter has to wait for an importer that holds a mapping until somebody else ends it.
    pub(super) fn importers_hold(&self, export: ExportId) -> bool {
        self.plant.0 != Some(Rule::RevokeWaits)
            && self.attachments.iter().flatten().any(|attachment| {
                let for_ever = attachment.kind.invalidate != Some(OnInvalidate::HoldForNow);
                attachment.export == export && attachment.mapped && for_ever
            })
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
