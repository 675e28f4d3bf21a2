//! The files that come out: in shared memory, a magic, a length, and an archive of so many
//! bytes.

use crate::cpio;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// First eight bytes of a parcel, written last.
pub(crate) const MAGIC: [u8; 8] = *b"BARKEEPP";
/// Bytes before the archive: the magic and the archive's length.
pub(crate) const HEADER_SIZE: usize = 16;

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("the parcel was never packed")]
    Unpacked,
    #[error(transparent)]
    Broken(#[from] cpio::Broken),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a parcel's files below `out` and gives their names.
pub(crate) fn unpack(mut parcel: &fs::File, out: &Path) -> Result<Vec<String>, UnpackError> {
    let mut header = [0; HEADER_SIZE];
    parcel.read_exact(&mut header)?;
    let length = u64::from_le_bytes(header[8..].try_into().expect("eight bytes"));
    if header[..8] != MAGIC {
        return Err(UnpackError::Unpacked);
    }
    let mut archive = Vec::new();
    parcel.take(length).read_to_end(&mut archive)?;
    let files = cpio::read(&archive)?;
    for file in &files {
        let path = out.join(file.name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, file.body)?;
    }
    Ok(files.iter().map(|file| file.name.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    fn parcel(archive: &[u8], length: u64) -> fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&MAGIC).unwrap();
        file.write_all(&length.to_le_bytes()).unwrap();
        file.write_all(archive).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn files_come_out_in_their_directories() {
        let mut writer = cpio::Writer::new();
        writer.file("a/b.txt", false, b"hello");
        let archive = writer.finish();
        let out = tempfile::tempdir().unwrap();
        let names = unpack(&parcel(&archive, archive.len() as u64), out.path()).unwrap();
        assert_eq!(names, ["a/b.txt"]);
        assert_eq!(fs::read(out.path().join("a/b.txt")).unwrap(), b"hello");
    }

    #[test]
    fn a_parcel_never_packed_or_cut_is_told() {
        let out = tempfile::tempdir().unwrap();
        let empty = tempfile::tempfile().unwrap();
        empty.set_len(4096).unwrap();
        assert!(matches!(unpack(&empty, out.path()), Err(UnpackError::Unpacked)));
        let archive = cpio::Writer::new().finish();
        assert!(matches!(unpack(&parcel(&archive, 50), out.path()), Err(UnpackError::Broken(_))));
        assert!(matches!(unpack(&parcel(&archive, u64::MAX), out.path()), Ok(names) if names.is_empty()));
    }
}
