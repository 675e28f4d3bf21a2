//! The `newc` archive format, as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst):
//! written the same every time for the same files, read with nothing believed.

use std::path::{Component, Path};

const MAGIC: &[u8] = b"070701";
const HEADER_SIZE: usize = 110;
const TRAILER: &str = "TRAILER!!!";
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_000;
const SYMLINK: u32 = 0o120_000;
const KIND_MASK: u32 = 0o170_000;

/// An archive being written. No time, owner or inode of the machine it is written on gets in.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    inode: u32,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), inode: 0 }
    }

    /// Bytes `finish` will give after one more file of this name and size.
    pub(crate) fn size_with(&self, name: &str, size: usize) -> usize {
        let entry = |name: &str, size: usize| {
            (HEADER_SIZE + name.len() + 1).next_multiple_of(4) + size.next_multiple_of(4)
        };
        self.bytes.len() + entry(name, size) + entry(TRAILER, 0)
    }

    pub(crate) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[]);
    }

    pub(crate) fn file(&mut self, name: &str, executable: bool, body: &[u8]) {
        self.entry(name, REGULAR | if executable { 0o755 } else { 0o644 }, (0, 0), body);
    }

    pub(crate) fn symlink(&mut self, name: &str, target: &str) {
        self.entry(name, SYMLINK | 0o777, (0, 0), target.as_bytes());
    }

    pub(crate) fn character_device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, CHARACTER | 0o600, (major, minor), &[]);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), body: &[u8]) {
        self.inode += 1;
        let links = if mode & KIND_MASK == DIRECTORY { 2 } else { 1 };
        let size = u32::try_from(body.len()).expect("callers refuse files of 4 GiB and more");
        let name_size = name.len() as u32 + 1;
        self.bytes.extend(MAGIC);
        // Inode, mode, uid, gid, links, mtime, size, device, device it stands for, name, checksum.
        for field in [self.inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0] {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(body);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A regular file of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File<'a> {
    pub(crate) name: &'a str,
    pub(crate) body: &'a [u8],
}

/// Bytes that are no archive, or one with a name that would leave its directory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a newc archive, broken at byte {0}")]
pub(crate) struct Broken(usize);

/// The regular files of an archive; directories are told by the names.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<File<'_>>, Broken> {
    let mut files = Vec::new();
    let mut at = 0;
    loop {
        let entry = entry_at(bytes, at).ok_or(Broken(at))?;
        if entry.name == TRAILER {
            return Ok(files);
        }
        if !stays_below(entry.name) {
            return Err(Broken(at));
        }
        if entry.mode & KIND_MASK == REGULAR {
            files.push(File { name: entry.name, body: entry.body });
        }
        at = entry.end;
    }
}

struct Entry<'a> {
    name: &'a str,
    mode: u32,
    body: &'a [u8],
    end: usize,
}

fn entry_at(bytes: &[u8], at: usize) -> Option<Entry<'_>> {
    let header = bytes.get(at..at.checked_add(HEADER_SIZE)?)?;
    let field = |n: usize| {
        let digits = std::str::from_utf8(&header[6 + n * 8..14 + n * 8]).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let name_at = at + HEADER_SIZE;
    let name_end = name_at.checked_add(field(11)? as usize)?;
    let body_at = name_end.next_multiple_of(4);
    let body_end = body_at.checked_add(field(6)? as usize)?;
    let name = bytes.get(name_at..name_end)?.strip_suffix(&[0])?;
    if !header.starts_with(MAGIC) {
        return None;
    }
    Some(Entry {
        name: std::str::from_utf8(name).ok()?,
        mode: field(1)?,
        body: bytes.get(body_at..body_end)?,
        end: body_end.next_multiple_of(4),
    })
}

fn stays_below(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut writer = Writer::new();
        writer.directory("a");
        writer.file("a/b", true, b"hello");
        writer.character_device("console", 5, 1);
        writer.file("empty", false, b"");
        writer.finish()
    }

    #[test]
    fn reads_back_what_was_written_the_same_every_time() {
        let bytes = sample();
        assert_eq!(bytes, sample());
        let files = read(&bytes).unwrap();
        assert_eq!(files, [File { name: "a/b", body: b"hello" }, File { name: "empty", body: b"" }]);
    }

    #[test]
    fn tells_its_size_beforehand() {
        let mut writer = Writer::new();
        let size = writer.size_with("a/b", 5);
        writer.file("a/b", false, b"hello");
        assert_eq!(writer.finish().len(), size);
    }

    #[test]
    fn no_cut_archive_is_taken_for_a_whole_one() {
        let bytes = sample();
        for length in 0..bytes.len() - 1 {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn names_stay_below_their_directory() {
        for name in ["/etc/passwd", "../x", "a/../../x", ""] {
            let mut writer = Writer::new();
            writer.file(name, false, b"x");
            assert!(read(&writer.finish()).is_err(), "{name}");
        }
    }
}
