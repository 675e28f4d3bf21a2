//! The kernel proper inside a bzImage, unpacked here: the emulated CPU takes seconds for
//! what takes this one milliseconds. A kernel packed in a way not known here is started as
//! it is.

use crate::elf::{Elf, u32_at};
use crate::kernel::setup_size;
use std::io::Read;

const LZ4_LEGACY_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// Every block of the legacy format unpacks to this many bytes, the last to fewer.
const LZ4_LEGACY_BLOCK: usize = 8 << 20;

/// The vmlinux inside `image`, `None` where it is packed otherwise or has no entry point
/// that does without the unpacking code.
pub(crate) fn unpack(image: &[u8]) -> Option<Vec<u8>> {
    let start = setup_size(image).checked_add(u32_at(image, 0x248)? as usize)?;
    let packed = image.get(start..start.checked_add(u32_at(image, 0x24c)? as usize)?)?;
    let kernel = match packed {
        [0x1f, 0x8b, ..] => gunzip(packed)?,
        _ if packed.starts_with(&LZ4_LEGACY_MAGIC) => unlz4(&packed[4..])?,
        _ => return None,
    };
    let elf = Elf::parse(&kernel)?;
    (elf.has_pvh_entry() && elf.loaded_end() <= kernel.len() as u64).then_some(kernel)
}

fn gunzip(packed: &[u8]) -> Option<Vec<u8>> {
    let mut kernel = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut kernel).ok()?;
    Some(kernel)
}

/// Blocks, each behind its packed length; the kernel's build appends the unpacked length.
fn unlz4(mut packed: &[u8]) -> Option<Vec<u8>> {
    let mut kernel = Vec::new();
    while packed.len() > 4 {
        let length = u32_at(packed, 0)? as usize;
        let block = packed.get(4..length.checked_add(4)?)?;
        kernel.extend(lz4_flex::block::decompress(block, LZ4_LEGACY_BLOCK).ok()?);
        packed = &packed[4 + length..];
    }
    (kernel.len() == u32_at(packed, 0)? as usize).then_some(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::executable;
    use crate::kernel::tests::bzimage;
    use std::io::Write;

    fn image_around(packed: &[u8]) -> Vec<u8> {
        let mut image = bzimage(packed);
        image[0x24c..0x250].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        image
    }

    fn lz4(kernel: &[u8]) -> Vec<u8> {
        let block = lz4_flex::block::compress(kernel);
        let mut packed = LZ4_LEGACY_MAGIC.to_vec();
        packed.extend((block.len() as u32).to_le_bytes());
        packed.extend(block);
        packed.extend((kernel.len() as u32).to_le_bytes());
        packed
    }

    #[test]
    fn unpacks_gzip_and_lz4() {
        let kernel = executable(150, Some(18));
        assert_eq!(unpack(&image_around(&lz4(&kernel))), Some(kernel.clone()));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&kernel).unwrap();
        assert_eq!(unpack(&image_around(&gzip.finish().unwrap())), Some(kernel));
    }

    #[test]
    fn leaves_everything_else_packed() {
        let mut broken = lz4(&executable(150, Some(18)));
        broken[9] ^= 0xff;
        for packed in [&b"\xfd7zXZ\0"[..], b"", &lz4(&executable(150, None)), &broken, &LZ4_LEGACY_MAGIC] {
            assert_eq!(unpack(&image_around(packed)), None);
        }
    }
}
