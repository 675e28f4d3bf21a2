//! A kernel's functions, from the vmlinux it was built with.

use crate::elf::{u16_at, u32_at, u64_at};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// `SHT_SYMTAB`; bytes of a section header and of a symbol; `STT_FUNC`.
const SYMTAB: u32 = 2;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
const FUNCTION: u8 = 2;
/// Bytes of a table at the most; a kernel's are some megabytes.
const MOST: u64 = 1 << 28;

/// Functions by their addresses.
pub(crate) struct Symbols {
    /// Where they are from.
    pub path: PathBuf,
    functions: Vec<(u64, String)>,
}

impl Symbols {
    /// Those of the vmlinux that lies beside a kernel image, or is it.
    ///
    /// # Errors
    /// There is none, or it has no symbols.
    pub fn of_kernel(image: &Path) -> io::Result<Self> {
        let beside = image.with_file_name("vmlinux");
        let path = if beside.exists() { beside } else { image.to_owned() };
        let functions = functions(&File::open(&path)?).unwrap_or_default();
        if functions.is_empty() {
            let what =
                format!("{} has no symbols: a debugger needs the vmlinux, beside the image", path.display());
            return Err(io::Error::other(what));
        }
        Ok(Self { path, functions })
    }

    /// Where a function is.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.functions.iter().find(|(_, function)| function == name).map(|(address, _)| *address)
    }

    /// The function an address is in, and how far: `vfio_pci_dma_buf_move+0x0`.
    pub fn name(&self, address: u64) -> Option<String> {
        let at = self.functions.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        let (start, name) = &self.functions[at];
        Some(format!("{name}+{:#x}", address - start))
    }
}

fn functions(file: &File) -> Option<Vec<(u64, String)>> {
    let header = read(file, 0, 64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, count) = (u64_at(&header, 40)?, u64::from(u16_at(&header, 60)?));
    let sections = read(file, table, count * SECTION as u64)?;
    let section = |n: usize| sections.get(n * SECTION..(n + 1) * SECTION);
    let symtab =
        (0..count as usize).filter_map(section).find(|section| u32_at(section, 4) == Some(SYMTAB))?;
    let names = section(u32_at(symtab, 40)? as usize)?;
    let contents = |section: &[u8]| read(file, u64_at(section, 24)?, u64_at(section, 32)?);
    let (symbols, names) = (contents(symtab)?, contents(names)?);
    let mut functions: Vec<(u64, String)> =
        symbols.chunks(SYMBOL).filter_map(|s| function(s, &names)).collect();
    functions.sort();
    Some(functions)
}

fn function(symbol: &[u8], names: &[u8]) -> Option<(u64, String)> {
    if symbol.get(4)? & 0xf != FUNCTION {
        return None;
    }
    let name = names.get(u32_at(symbol, 0)? as usize..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((u64_at(symbol, 8)?, String::from_utf8_lossy(&name[..end]).into_owned()))
}

fn read(file: &File, offset: u64, length: u64) -> Option<Vec<u8>> {
    if length > MOST {
        return None;
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_functions_and_nonsense_has_none() {
        let own = Symbols::of_kernel(Path::new("/proc/self/exe")).unwrap();
        let address =
            own.functions.iter().find(|(_, name)| name.contains("this_program_has_functions")).unwrap().0;
        let name = own.name(address + 1).unwrap();
        assert!(name.contains("this_program_has_functions") && name.ends_with("+0x1"), "{name}");
        assert_eq!(own.address("no such function"), None);
        let none = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(none.path(), b"\x7fELF\x02\x01 and nothing more").unwrap();
        assert!(Symbols::of_kernel(none.path()).is_err());
    }
}
