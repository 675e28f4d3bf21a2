//! The kernel image, looked at before anything starts.

use crate::elf::{Elf, u16_at, u32_at};
use crate::payload;
use std::fs;
use std::path::{Path, PathBuf};

/// Why a file is no kernel the emulator can start.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// It cannot be read.
    #[error("cannot read the kernel image {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither a bzImage nor an x86-64 ELF file.
    #[error("{0} is not an x86-64 kernel: neither a bzImage nor a vmlinux")]
    NotAKernel(PathBuf),
    /// An x86-64 ELF file without a PVH entry point.
    #[error(
        "{0} is an x86-64 ELF file without a PVH entry point: not a kernel, or one built without CONFIG_PVH"
    )]
    NoPvhEntry(PathBuf),
    /// Shorter than its own header says.
    #[error("{path} is truncated: its header says {expected} bytes, the file has {found}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes there should be at least.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
}

/// What QEMU is given to start.
pub(crate) struct Kernel {
    /// The kernel proper, taken out of a bzImage so that the emulated CPU need not unpack
    /// it; `None`: the file as it is.
    pub(crate) unpacked: Option<Vec<u8>>,
}

/// Looks at a kernel image.
///
/// # Errors
/// It is missing, no kernel, or not all of one.
pub fn check(path: &Path) -> Result<(), KernelError> {
    load(path).map(drop)
}

/// What a kernel image says of itself: release, who built it where, and when (a bzImage's
/// `kernel_version`, Documentation/arch/x86/boot.rst; a vmlinux's banner). `None` where it says nothing, or
/// cannot be read.
pub fn version(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = match bzimage_size(&bytes) {
        Some(_) => bytes.get(usize::from(u16_at(&bytes, 0x20e)?) + 0x200..)?,
        None => {
            const BANNER: &[u8] = b"Linux version ";
            let at = bytes.windows(BANNER.len()).position(|window| window == BANNER)?;
            &bytes[at + BANNER.len()..]
        }
    };
    let text = &text[..text.iter().take(LONGEST_VERSION).position(|byte| matches!(byte, 0 | b'\n'))?];
    Some(String::from_utf8_lossy(text).trim().to_owned()).filter(|text| !text.is_empty())
}

/// Of a kernel's words of itself.
const LONGEST_VERSION: usize = 512;

pub(crate) fn load(path: &Path) -> Result<Kernel, KernelError> {
    let unreadable = |source| KernelError::Unreadable { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(unreadable)?;
    let found = bytes.len() as u64;
    let whole = |expected| match expected {
        expected if expected > found => {
            Err(KernelError::Truncated { path: path.to_owned(), expected, found })
        }
        _ => Ok(()),
    };
    if let Some(expected) = bzimage_size(&bytes) {
        whole(expected)?;
        return Ok(Kernel { unpacked: payload::unpack(&bytes) });
    }
    let elf = Elf::parse(&bytes).ok_or_else(|| KernelError::NotAKernel(path.to_owned()))?;
    whole(elf.loaded_end())?;
    if !elf.has_pvh_entry() {
        return Err(KernelError::NoPvhEntry(path.to_owned()));
    }
    Ok(Kernel { unpacked: None })
}

/// The bytes a bzImage's header says it has (Documentation/arch/x86/boot.rst), `None` for
/// another file.
fn bzimage_size(bytes: &[u8]) -> Option<u64> {
    if u16_at(bytes, 0x1fe)? != 0xaa55 || bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    Some(setup_size(bytes) as u64 + u64::from(u32_at(bytes, 0x1f4)?) * 16)
}

/// Bytes before a bzImage's protected-mode part.
pub(crate) fn setup_size(bytes: &[u8]) -> usize {
    // Zero means four, for the sake of very old boot loaders.
    let sectors = match bytes.get(0x1f1) {
        None | Some(0) => 4,
        Some(&n) => usize::from(n),
    };
    (sectors + 1) * 512
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::elf::tests::executable;

    /// A bzImage of one setup sector around `body`.
    pub(crate) fn bzimage(body: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 2 * 512];
        file[0x1f1] = 1;
        file[0x1f4..0x1f8].copy_from_slice(&(body.len().div_ceil(16) as u32).to_le_bytes());
        file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file.extend(body);
        file.resize(file.len().next_multiple_of(16), 0);
        file
    }

    fn check_bytes(bytes: &[u8]) -> Result<(), KernelError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        check(file.path())
    }

    #[test]
    fn a_whole_bzimage_passes_and_every_shorter_one_is_told() {
        let image = bzimage(&[7; 100]);
        check_bytes(&image).unwrap();
        for cut in [1, 50, 112] {
            let error = check_bytes(&image[..image.len() - cut]).unwrap_err();
            assert!(
                matches!(error, KernelError::Truncated { expected, .. } if expected == image.len() as u64)
            );
        }
    }

    #[test]
    fn a_kernel_says_which_it_is() {
        let version_of = |bytes: &[u8]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), bytes).unwrap();
            version(file.path())
        };
        let mut image = bzimage(&[7; 100]);
        let text = b"7.3.4 (a@b) #1 SMP\0";
        image[0x300..0x300 + text.len()].copy_from_slice(text);
        image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        assert_eq!(version_of(&image).as_deref(), Some("7.3.4 (a@b) #1 SMP"));
        assert_eq!(version_of(b"\x7fELF...Linux version 7.3.4 (c)\n").as_deref(), Some("7.3.4 (c)"));
        assert_eq!(version_of(b"\x7fELF"), None);
    }

    #[test]
    fn a_vmlinux_needs_its_segments_and_a_pvh_entry() {
        check_bytes(&executable(150, Some(18))).unwrap();
        assert!(matches!(check_bytes(&executable(9999, Some(18))), Err(KernelError::Truncated { .. })));
        assert!(matches!(check_bytes(&executable(150, None)), Err(KernelError::NoPvhEntry(_))));
    }

    #[test]
    fn other_files_are_no_kernels() {
        for bytes in [&b""[..], b"\x7fELF", &[0; 4096], b"not a kernel\n"] {
            assert!(matches!(check_bytes(bytes), Err(KernelError::NotAKernel(_))));
        }
        assert!(matches!(check(Path::new("/no/such/kernel")), Err(KernelError::Unreadable { .. })));
        assert!(matches!(check(Path::new("/")), Err(KernelError::Unreadable { .. })));
    }
}
