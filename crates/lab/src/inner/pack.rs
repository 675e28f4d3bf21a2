//! What the inner command left in `/out`, into the parcel.

use super::lab_event;
use crate::cpio::Writer;
use crate::parcel::{HEADER_SIZE, MAGIC};
use barkeep_journal::Journal;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};

/// Packs `dir` into the window `file` of `size` bytes. What does not fit stays, and an
/// event names it.
pub(super) fn pack(dir: &Path, file: File, size: usize, journal: &Journal) -> io::Result<()> {
    let mut archive = Archive { writer: Writer::new(), room: size.saturating_sub(HEADER_SIZE), journal };
    archive.add_tree(dir, "")?;
    let bytes = archive.writer.finish();
    let region = MmapRegion::<()>::from_file(FileOffset::new(file, 0), size).map_err(io::Error::other)?;
    let window = region.as_volatile_slice();
    let length = (bytes.len() as u64).to_le_bytes();
    // The magic last: a parcel that has it is whole.
    for (at, part) in [(HEADER_SIZE, &bytes[..]), (MAGIC.len(), &length), (0, &MAGIC)] {
        window.write_slice(part, at).map_err(io::Error::other)?;
    }
    Ok(())
}

struct Archive<'a> {
    writer: Writer,
    room: usize,
    journal: &'a Journal,
}

impl Archive<'_> {
    /// In the order of names, so that the parcel is the same every time.
    fn add_tree(&mut self, dir: &Path, prefix: &str) -> io::Result<()> {
        let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.add_tree(&entry.path(), &format!("{name}/"))?;
            } else if kind.is_file() {
                self.add_file(&entry.path(), &name)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let size = path.metadata()?.len();
        // Asked before it is read: it may not fit in memory a second time either.
        if self.writer.size_with(name, usize::try_from(size).unwrap_or(usize::MAX / 2)) > self.room {
            self.journal.emit(lab_event(format!("result file {name} does not fit and is lost")).value(size));
            return Ok(());
        }
        self.writer.file(name, false, &fs::read(path)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::unpack;
    use barkeep_journal::{Clock, Kind, Lane, Reader};

    #[test]
    fn what_fits_comes_out_and_what_does_not_is_named() {
        let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/small"), b"hello").unwrap();
        fs::write(dir.path().join("large"), vec![0; 5000]).unwrap();
        let window = tempfile::tempfile().unwrap();
        window.set_len(4096).unwrap();
        let (journal, file) = Journal::in_memory(16, Lane::Lab, Clock::Virtual).unwrap();
        pack(dir.path(), window.try_clone().unwrap(), 4096, &journal).unwrap();
        assert_eq!(unpack(&window, out.path()).unwrap(), ["sub/small"]);
        let size = file.metadata().unwrap().len() as usize;
        let event = Reader::open(file, size).unwrap().next_event().unwrap();
        assert_eq!((event.kind, event.value), (Kind::Degraded, Some(5000)));
    }
}
