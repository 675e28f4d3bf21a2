//! The running kernel: its release and its options.

use crate::roots::{self, Roots};
use crate::row::Row;
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::Read;

/// The first release with `vfio_pci_dmabuf.c`.
const FIRST: (u32, u32) = (6, 19);
const WHAT: &str = "dma-buf export";

/// How the running kernel has an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// `y` or `m`.
    In,
    /// Neither.
    Out,
    /// Its configuration cannot be read.
    Secret,
}

/// How the running kernel has an option: by `/proc/config.gz`, or else `/boot/config-RELEASE`.
#[must_use]
pub fn option(roots: &Roots, name: &str) -> Built {
    let Some(config) = config(roots) else { return Built::Secret };
    let on = |line: &str| {
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
        value.is_some_and(|value| matches!(value, "y" | "m"))
    };
    if config.lines().any(on) { Built::In } else { Built::Out }
}

fn config(roots: &Roots) -> Option<String> {
    let mut config = String::new();
    if let Ok(file) = File::open(roots.proc.join("config.gz")) {
        GzDecoder::new(file).read_to_string(&mut config).ok()?;
        return Some(config);
    }
    fs::read_to_string(roots.boot.join(format!("config-{}", release(roots)?))).ok()
}

fn release(roots: &Roots) -> Option<String> {
    roots::text(&roots.proc.join("sys/kernel/osrelease"))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether BARs are exported, as far as can be told without an open device.
pub(super) fn dma_buf(roots: &Roots) -> Row {
    let release = release(roots).unwrap_or_default();
    let (major, minor) = FIRST;
    // A distribution may have brought it to an older kernel: only the option decides.
    match option(roots, "CONFIG_VFIO_PCI_DMABUF") {
        Built::Out => Row::fail(
            WHAT,
            format!("Linux {release} was built without CONFIG_VFIO_PCI_DMABUF"),
            format!(
                "Linux {major}.{minor} or newer with VFIO_PCI, PCI_P2PDMA and DMA_SHARED_BUFFER, which turn it on"
            ),
        ),
        Built::In => Row::unknown(
            WHAT,
            format!("Linux {release} was built with it; not proved until a device is bound and opened"),
            "barkeep bind BDF, then barkeep doctor BDF",
        ),
        Built::Secret if version(&release).is_some_and(|version| version < FIRST) => Row::unknown(
            WHAT,
            format!(
                "Linux {release} is older than {major}.{minor}, the first with it; not known until a device is bound"
            ),
            "barkeep bind BDF, then barkeep doctor BDF",
        ),
        Built::Secret => Row::unknown(
            WHAT,
            "not known until a device is bound, and the kernel's configuration cannot be read",
            "barkeep bind BDF, then barkeep doctor BDF",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::State;
    use crate::tree::Tree;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn with(config: Option<&str>, release: &str) -> Row {
        let tree = Tree::new();
        tree.write("proc/sys/kernel/osrelease", format!("{release}\n"));
        if let Some(config) = config {
            tree.write(&format!("boot/config-{release}"), config);
        }
        dma_buf(&tree.roots())
    }

    #[test]
    fn the_option_decides_and_the_release_only_without_it() {
        let on = "CONFIG_PCI=y\nCONFIG_VFIO_PCI_DMABUF=y\n";
        assert_eq!(with(Some(on), "7.3.4").state, State::Unknown);
        assert!(with(Some(on), "6.12.1").found.contains("built with it"));
        let off = with(Some("# CONFIG_VFIO_PCI_DMABUF is not set\nCONFIG_VFIO_PCI_DMABUFFY=y\n"), "7.3.4");
        assert_eq!(off.state, State::Fail);
        assert!(off.found.contains("7.3.4") && off.cure.unwrap().contains("6.19"));
        assert!(with(None, "6.12.1-amd64").found.contains("older than 6.19"));
        assert!(with(None, "6.19.0").found.contains("not known until a device is bound"));
    }

    #[test]
    fn the_kernels_own_copy_comes_first() {
        let tree = Tree::new();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"CONFIG_IOMMUFD=m\n").unwrap();
        tree.write("proc/config.gz", packed.finish().unwrap());
        tree.write("proc/sys/kernel/osrelease", "7.3.4\n");
        tree.write("boot/config-7.3.4", "CONFIG_OTHER=y\n");
        assert_eq!(option(&tree.roots(), "CONFIG_IOMMUFD"), Built::In);
        assert_eq!(option(&tree.roots(), "CONFIG_OTHER"), Built::Out);
    }
}
