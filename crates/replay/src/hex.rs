//! Bytes, to be read.

/// Bytes of a line.
const LINE: usize = 16;

/// Lines of bytes with their offsets. A line that is the same as the one before is left out, and `*` says so.
pub(crate) fn dump(offset: u64, bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut before: Option<&[u8]> = None;
    let mut left_out = false;
    let count = bytes.len().div_ceil(LINE);
    for (n, chunk) in bytes.chunks(LINE).enumerate() {
        if before == Some(chunk) && n + 1 < count {
            if !left_out {
                lines.push("*".to_owned());
            }
            left_out = true;
            continue;
        }
        left_out = false;
        before = Some(chunk);
        let words: Vec<String> = chunk.chunks(4).map(word).collect();
        lines.push(format!("{:#010x}  {}", offset + (n * LINE) as u64, words.join(" ")));
    }
    lines
}

/// Up to four bytes in the order in which they lie there.
fn word(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_left_out_but_for_the_last_line() {
        let mut bytes = vec![0; 64];
        bytes[0] = 0x11;
        assert_eq!(
            dump(0x1000, &bytes),
            [
                "0x00001000  11000000 00000000 00000000 00000000",
                "0x00001010  00000000 00000000 00000000 00000000",
                "*",
                "0x00001030  00000000 00000000 00000000 00000000",
            ]
        );
        assert_eq!(dump(0, &[0xab, 0xcd]), ["0x00000000  abcd"]);
        assert!(dump(0, &[]).is_empty());
    }
}
