//! A disk whose content is known wherever one looks: whoever reads it can tell whether it is right.

use std::io::{self, Write};

/// The 8 bytes at `offset`, a multiple of 8, little-endian: all different, so that what comes from another
/// place is seen to.
#[must_use]
pub fn word(offset: u64) -> u64 {
    // The output function of SplitMix64: one-to-one.
    let mixed = (offset ^ offset >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Writes the first `size` bytes, a multiple of 8.
///
/// # Errors
/// Those of writing.
pub(crate) fn write(to: impl Write, size: u64) -> io::Result<()> {
    let mut to = io::BufWriter::new(to);
    for offset in (0..size).step_by(size_of::<u64>()) {
        to.write_all(&word(offset).to_le_bytes())?;
    }
    to.flush()
}

/// Where `bytes`, of what was read at `offset`, are first not what they ought to be: bytes from the disk's start.
#[must_use]
pub fn first_wrong(offset: u64, bytes: &[u8]) -> Option<u64> {
    let mut words = (offset..).step_by(size_of::<u64>()).zip(bytes.chunks_exact(size_of::<u64>()));
    words.find_map(|(at, read)| (read != word(at).to_le_bytes()).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_right_where_it_belongs_and_nowhere_else() {
        let mut disk = Vec::new();
        write(&mut disk, 4096).unwrap();
        assert_eq!(disk.len(), 4096);
        assert_eq!(first_wrong(0, &disk), None);
        assert_eq!(first_wrong(512, &disk[512..]), None);
        assert_eq!(first_wrong(0, &disk[512..]), Some(0));
        assert_eq!(first_wrong(512, &[0; 512]), Some(512));
        disk[1000] ^= 1;
        assert_eq!(first_wrong(0, &disk), Some(1000));
    }
}
