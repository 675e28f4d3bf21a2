//! The set of things one config write does.

use std::fmt;

/// One thing vfio-pci, or the VMM in its place, does on a config write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// COMMAND was written with memory decode off, whatever it was before. Revokes.
    DecodeOff,
    /// After [`Effect::DecodeOff`] on a virtual function: it has no memory decode bit, so it is
    /// live again at the end of the same write. Mappings iommufd dropped stay dropped, and the
    /// guest, whose COMMAND reads decode off, still expects no answer.
    DecodesAnyway,
    /// COMMAND was written with memory decode on, and it was off. Restores, outside of D3hot.
    DecodeOn,
    /// COMMAND was written with memory decode on, as it was. Leaves mappings alone, but restores
    /// what something else had revoked (low power entry, a COMMAND write that failed).
    DecodeKept,
    /// A function level reset by DEVCTL. Revokes, resets, restores if the function decodes.
    Flr,
    /// A function level reset by the AF capability: as [`Effect::Flr`].
    AfFlr,
    /// PMCSR was written with D0. Restores if memory decode is on.
    D0,
    /// PMCSR was written with D1. Leaves mappings alone; restores like [`Effect::D0`].
    D1,
    /// PMCSR was written with D2: as [`Effect::D1`].
    D2,
    /// PMCSR was written with D3hot. Revokes, and stays so if the function does as it is told.
    D3Hot,
    /// After [`Effect::D0`] out of D3hot, where No_Soft_Reset is clear: the function lost its
    /// state. vfio restores its config space.
    SoftReset,
    /// The register of BAR `index` was written, or its upper half. No BAR, no effect.
    BarWrite {
        /// Index of the BAR; the lower one for a 64-bit BAR.
        index: u8,
    },
    /// The expansion ROM register was written.
    RomWrite,
    /// MSI control was written: MSI may have been enabled or disabled.
    MsiControl,
    /// MSI address or data was written.
    MsiMessage,
    /// MSI mask bits were written.
    MsiMask,
    /// MSI-X control was written: MSI-X may have been enabled, disabled or masked. vfio-pci drops
    /// the write; the VMM acts in its place.
    MsixControl,
}

impl Effect {
    /// The kernel revokes: dma-bufs, iommufd mappings and the BARs' mmaps.
    #[must_use]
    pub fn revokes(self) -> bool {
        matches!(self, Effect::DecodeOff | Effect::Flr | Effect::AfFlr | Effect::D3Hot)
    }

    /// The kernel makes dma-bufs live again if the function decodes memory by then.
    #[must_use]
    pub fn restores(self) -> bool {
        match self {
            Effect::DecodesAnyway | Effect::DecodeOn | Effect::DecodeKept => true,
            Effect::Flr | Effect::AfFlr => true,
            Effect::D0 | Effect::D1 | Effect::D2 => true,
            // The kernel asks here too, but the answer is no unless D3hot was refused.
            Effect::D3Hot | Effect::DecodeOff => false,
            Effect::SoftReset | Effect::BarWrite { .. } | Effect::RomWrite => false,
            Effect::MsiControl | Effect::MsiMessage | Effect::MsiMask => false,
            Effect::MsixControl => false,
        }
    }

    /// The device loses its state.
    #[must_use]
    pub fn resets(self) -> bool {
        matches!(self, Effect::Flr | Effect::AfFlr | Effect::SoftReset)
    }
}

impl fmt::Display for Effect {
    /// The name the journal and the timelines use, e.g. `decode-off`, `bar-write(2)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Effect::DecodeOff => "decode-off",
            Effect::DecodesAnyway => "decodes-anyway",
            Effect::DecodeOn => "decode-on",
            Effect::DecodeKept => "decode-kept",
            Effect::Flr => "flr",
            Effect::AfFlr => "af-flr",
            Effect::D0 => "d0",
            Effect::D1 => "d1",
            Effect::D2 => "d2",
            Effect::D3Hot => "d3hot",
            Effect::SoftReset => "soft-reset",
            Effect::BarWrite { index } => return write!(f, "bar-write({index})"),
            Effect::RomWrite => "rom-write",
            Effect::MsiControl => "msi-control",
            Effect::MsiMessage => "msi-message",
            Effect::MsiMask => "msi-mask",
            Effect::MsixControl => "msix-control",
        };
        f.write_str(name)
    }
}

/// What one config write does: each effect once, in the order the kernel gets to them. Empty for
/// most writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Effects {
    list: Vec<Effect>,
    live: bool,
}

impl Effects {
    pub(super) fn push(&mut self, effect: Effect) {
        if !self.list.contains(&effect) {
            self.list.push(effect);
        }
    }

    pub(super) fn set_live(&mut self, live: bool) {
        self.live = live;
    }

    /// The write does nothing that matters here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many effects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether `effect` is among them.
    #[must_use]
    pub fn contains(&self, effect: Effect) -> bool {
        self.list.contains(&effect)
    }

    /// The effects, in order.
    pub fn iter(&self) -> impl Iterator<Item = Effect> + '_ {
        self.list.iter().copied()
    }

    /// The write revokes: guest slots have to be out before it goes to the kernel, and iommufd
    /// mappings of the function's BARs are dead after it. True also where nothing is left to
    /// revoke.
    #[must_use]
    pub fn revokes(&self) -> bool {
        self.iter().any(Effect::revokes)
    }

    /// The kernel tries to make dma-bufs live on this write, and by the registers the function
    /// decodes memory in the end: it is worth mapping again. A map may still meet ENODEV, and
    /// after [`Effect::D3Hot`], where this is false, the function may have refused and be live.
    /// [`crate::Layout::memory_enabled`] with PMCSR read back tells.
    #[must_use]
    pub fn may_restore(&self) -> bool {
        self.live && self.iter().any(Effect::restores)
    }

    /// The device loses its state. A reset the kernel could not do looks the same from here.
    #[must_use]
    pub fn resets(&self) -> bool {
        self.iter().any(Effect::resets)
    }
}

impl fmt::Display for Effects {
    /// The names, comma-separated; `none` for an empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|effect| effect.to_string()).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}
