//! What an episode is about. With every kind equally likely all the time, two operations that
//! bear on each other rarely meet; so most episodes favour a few.

use crate::kind::Kind;
use barkeep_model::Abilities;

/// What an episode is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Everything.
    Mixed,
    /// COMMAND, DEVCTL, AF control, BARs.
    Registers,
    /// D3hot and low power.
    Power,
    /// Every way to reset, and no way left to.
    Resets,
    /// References: dup, send, receive, close in every order.
    Lifetime,
    /// Mappings in spaces.
    Spaces,
    /// What one device's event does to another.
    Siblings,
    /// Devices that go and come back.
    Removal,
    /// The test importer.
    Importers,
    /// dma-bufs as a CPU sees them.
    Buffers,
}

impl Theme {
    /// How often each is taken.
    const WEIGHTS: &[(u32, Self)] = &[
        (4, Self::Mixed),
        (3, Self::Registers),
        (2, Self::Power),
        (3, Self::Resets),
        (3, Self::Lifetime),
        (3, Self::Spaces),
        (3, Self::Siblings),
        (2, Self::Removal),
    ];

    /// The same, of those that this kernel has anything for.
    pub(crate) fn weights(able: Abilities) -> Vec<(u32, Self)> {
        let mut weights = Self::WEIGHTS.to_vec();
        weights.extend(able.importer.then_some((5, Self::Importers)));
        weights.extend(able.mmap.then_some((4, Self::Buffers)));
        weights
    }

    /// How often a kind is taken.
    pub(crate) fn weight(self, kind: Kind) -> u32 {
        const MORE: u32 = 4;
        if self.favours(kind) { MORE * usual(kind) } else { usual(kind) }
    }

    fn favours(self, kind: Kind) -> bool {
        use Kind::*;
        match self {
            Self::Mixed => false,
            Self::Registers => matches!(kind, ConfigWrite | ConfigRead),
            Self::Power => matches!(kind, ConfigWrite | LowPowerEntry | LowPowerExit | Reset),
            Self::Resets => matches!(kind, Reset | HotReset | SysfsReset | ResetMethods),
            Self::Lifetime => matches!(
                kind,
                DupFile
                    | SendFile
                    | ReceiveFile
                    | CloseFile
                    | UnmapBar
                    | Open
                    | DupBuffer
                    | SendBuffer
                    | ReceiveBuffer
                    | CloseBuffer
            ),
            Self::Spaces => matches!(kind, Attach | Detach | Map | Unmap | Copy),
            Self::Siblings => matches!(kind, Open | HotReset | CloseFile),
            Self::Importers => {
                kind.is_import() || matches!(kind, ConfigWrite | Reset | LowPowerEntry | CloseFile)
            }
            Self::Buffers => matches!(kind, MapBuffer | UnmapBar | CpuRead | CpuWrite | LowPowerEntry),
            Self::Removal => matches!(kind, Remove | Rescan | CloseFile | Open | UnmapBar),
        }
    }
}

/// How often a kind is taken where nothing favours it. What changes a mapping, or shows one, is
/// taken most; what only refuses, least.
fn usual(kind: Kind) -> u32 {
    use Kind::*;
    match kind {
        ConfigWrite => 40,
        Map | Dma => 32,
        Export | Unmap => 24,
        Open | Attach | MapBar | CpuRead | CpuWrite => 16,
        Copy | CloseFile | Reset | HotReset | RegionWrite => 12,
        Detach | UnmapBar | CloseBuffer | ConfigRead | RegionRead => 8,
        DupFile | SysfsReset | LowPowerEntry | LowPowerExit => 8,
        // Taken only once something is removed.
        Rescan => 8,
        SendFile | ReceiveFile | DupBuffer | SendBuffer | ReceiveBuffer => 5,
        MapBuffer | Import | ImportMap | ImportUse => 12,
        ImportUnmap | ImportPin | ImportEnd => 4,
        ReopenFile | ReopenBuffer | BufferSize | ExportProbe | ExportSet => 3,
        ResetMethods => 4,
        Remove => 2,
    }
}
