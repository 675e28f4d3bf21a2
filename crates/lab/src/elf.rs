//! As much of ELF-64 as two questions need: is this a kernel QEMU can enter directly, and
//! which part of this executable does a loader read?

const HEADER_SIZE: usize = 64;
const SEGMENT_SIZE: usize = 56;
const MACHINE_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
/// `XEN_ELFNOTE_PHYS32_ENTRY`: where a PVH boot enters the kernel.
const PVH_ENTRY: u32 = 18;

/// The program headers of an x86-64 executable.
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
    segments: Vec<Segment>,
}

struct Segment {
    kind: u32,
    offset: u64,
    file_size: u64,
}

impl<'a> Elf<'a> {
    /// `None` where `bytes` do not begin as a little-endian x86-64 ELF-64 file whose program
    /// headers are all there.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(b"\x7fELF\x02\x01") || u16_at(bytes, 18)? != MACHINE_X86_64 {
            return None;
        }
        let table = usize::try_from(u64_at(bytes, 32)?).ok()?;
        let size = usize::from(u16_at(bytes, 54)?);
        let count = usize::from(u16_at(bytes, 56)?);
        if size != SEGMENT_SIZE || table < HEADER_SIZE {
            return None;
        }
        let segments =
            (0..count).map(|n| segment(bytes, table.checked_add(n * size)?)).collect::<Option<_>>()?;
        Some(Self { bytes, segments })
    }

    /// Whether it asks for a dynamic linker.
    pub(crate) fn has_interpreter(&self) -> bool {
        self.segments.iter().any(|s| s.kind == PT_INTERP)
    }

    /// Where the last byte a loader reads ends, in bytes of the file; saturates on nonsense.
    pub(crate) fn loaded_end(&self) -> u64 {
        let loads = self.segments.iter().filter(|s| s.kind == PT_LOAD);
        loads.map(|s| s.offset.saturating_add(s.file_size)).max().unwrap_or(0)
    }

    /// Whether it names a PVH entry point.
    pub(crate) fn has_pvh_entry(&self) -> bool {
        self.segments.iter().filter(|s| s.kind == PT_NOTE).any(|s| self.notes_name_pvh(s))
    }

    fn notes_name_pvh(&self, segment: &Segment) -> bool {
        let start = usize::try_from(segment.offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(segment.file_size).unwrap_or(usize::MAX));
        let mut notes = self.bytes.get(start..end.min(self.bytes.len())).unwrap_or_default();
        while let (Some(name), Some(body), Some(kind)) =
            (u32_at(notes, 0), u32_at(notes, 4), u32_at(notes, 8))
        {
            if kind == PVH_ENTRY && notes.get(12..16) == Some(b"Xen\0") {
                return true;
            }
            let padded = |n: u32| (n as usize).next_multiple_of(4);
            notes = notes.get(12 + padded(name) + padded(body)..).unwrap_or_default();
        }
        false
    }
}

/// `executable` without what only a debugger reads: cut after the last loaded byte, the
/// section table's address and count cleared. Unchanged where nothing is to be had.
pub(crate) fn loadable_part(executable: &[u8]) -> Vec<u8> {
    let mut part = executable.to_vec();
    let Some(end) = Elf::parse(executable).and_then(|elf| usize::try_from(elf.loaded_end()).ok()) else {
        return part;
    };
    if end >= HEADER_SIZE && end < part.len() {
        part.truncate(end);
        part[40..48].fill(0);
        part[60..64].fill(0);
    }
    part
}

fn segment(bytes: &[u8], at: usize) -> Option<Segment> {
    Some(Segment {
        kind: u32_at(bytes, at)?,
        offset: u64_at(bytes, at + 8)?,
        file_size: u64_at(bytes, at + 32)?,
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An executable of one loaded segment of `loaded` bytes and one note, nothing else.
    pub(crate) fn executable(loaded: u64, note: Option<u32>) -> Vec<u8> {
        let mut file = vec![0; HEADER_SIZE];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&MACHINE_X86_64.to_le_bytes());
        file[32..40].copy_from_slice(&(HEADER_SIZE as u64).to_le_bytes());
        file[54..56].copy_from_slice(&(SEGMENT_SIZE as u16).to_le_bytes());
        file[56..58].copy_from_slice(&2u16.to_le_bytes());
        let notes = (HEADER_SIZE + 2 * SEGMENT_SIZE) as u64;
        for (kind, offset, size) in
            [(PT_LOAD, 0, loaded), (PT_NOTE, notes, if note.is_some() { 16 } else { 0 })]
        {
            let at = file.len();
            file.resize(at + SEGMENT_SIZE, 0);
            file[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            file[at + 8..at + 16].copy_from_slice(&u64::to_le_bytes(offset));
            file[at + 32..at + 40].copy_from_slice(&size.to_le_bytes());
        }
        for word in [4, 0, note.unwrap_or(0)] {
            file.extend(word.to_le_bytes());
        }
        file.extend(b"Xen\0");
        file
    }

    #[test]
    fn finds_the_pvh_note() {
        assert!(Elf::parse(&executable(100, Some(PVH_ENTRY))).unwrap().has_pvh_entry());
        assert!(!Elf::parse(&executable(100, Some(3))).unwrap().has_pvh_entry());
        assert!(!Elf::parse(&executable(100, None)).unwrap().has_pvh_entry());
    }

    #[test]
    fn drops_what_no_loader_reads() {
        let mut file = executable(192, None);
        file.resize(192, 0);
        file.extend([0xaa; 1000]);
        file[40..48].copy_from_slice(&500u64.to_le_bytes());
        let part = loadable_part(&file);
        assert_eq!(part.len(), 192);
        assert_eq!(u64_at(&part, 40), Some(0));
        assert_eq!(loadable_part(&part), part);
    }

    #[test]
    fn other_files_are_left_alone() {
        for file in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
            assert!(Elf::parse(file).is_none());
            assert_eq!(loadable_part(file), file);
        }
    }
}
