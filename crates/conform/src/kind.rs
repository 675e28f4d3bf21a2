//! Which operation it is, without its arguments.

use barkeep_model::Op;
use std::fmt;

macro_rules! kinds {
    ($($kind:ident = $name:literal;)+) => {
        /// A kind of operation. The names are those of the recording.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the variants are those of `Op`, which says what they do")]
        pub enum Kind {
            $($kind,)+
        }

        impl Kind {
            /// All of them, in the order of [`Op`].
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Which one an operation is.
            #[must_use]
            pub fn of(op: &Op) -> Self {
                match op {
                    $(Op::$kind { .. } => Self::$kind,)+
                }
            }

            /// Its name in a recording.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    Open = "open";
    Attach = "attach";
    Detach = "detach";
    DupFile = "dup-file";
    SendFile = "send-file";
    ReceiveFile = "receive-file";
    ReopenFile = "reopen-file";
    CloseFile = "close-file";
    ConfigWrite = "config-write";
    ConfigRead = "config-read";
    RegionRead = "region-read";
    RegionWrite = "region-write";
    MapBar = "map-bar";
    UnmapBar = "unmap-bar";
    CpuRead = "cpu-read";
    CpuWrite = "cpu-write";
    Reset = "reset";
    HotReset = "hot-reset";
    LowPowerEntry = "low-power-entry";
    LowPowerExit = "low-power-exit";
    Export = "export";
    ExportProbe = "export-probe";
    ExportSet = "export-set";
    DupBuffer = "dup-buffer";
    SendBuffer = "send-buffer";
    ReceiveBuffer = "receive-buffer";
    ReopenBuffer = "reopen-buffer";
    MapBuffer = "map-buffer";
    BufferSize = "buffer-size";
    CloseBuffer = "close-buffer";
    Map = "map";
    Unmap = "unmap";
    Copy = "copy";
    Dma = "dma";
    Import = "import";
    ImportMap = "import-map";
    ImportUnmap = "import-unmap";
    ImportUse = "import-use";
    ImportPin = "import-pin";
    ImportEnd = "import-end";
    SysfsReset = "sysfs-reset";
    ResetMethods = "reset-methods";
    Remove = "remove";
    Rescan = "rescan";
}

impl Kind {
    /// Whether it is the test importer that is asked.
    #[must_use]
    pub fn is_import(self) -> bool {
        use Kind::*;
        matches!(self, Import | ImportMap | ImportUnmap | ImportUse | ImportPin | ImportEnd)
    }

    /// Of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_written() {
        let op = Op::CpuWrite { map: 1, offset: 4, value: 7 };
        let line = serde_json::to_value(&op).unwrap();
        assert_eq!(line["op"], Kind::of(&op).name());
        // serde lists what it would have taken: neither side knows a name that the other does not.
        let unknown = serde_json::from_str::<Op>(r#"{"op":"?"}"#).unwrap_err().to_string();
        for kind in Kind::ALL {
            assert!(unknown.contains(&format!("`{kind}`")), "{kind}");
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        }
        assert_eq!(
            unknown.matches('`').count(),
            2 * (Kind::ALL.len() + 1) + 2 * usize::from(unknown.contains("line `"))
        );
        assert_eq!(Kind::from_name("?"), None);
    }
}
