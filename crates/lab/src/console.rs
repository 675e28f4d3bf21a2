//! The last words on the serial console, for runs that end without any other.

use std::fs;
use std::path::Path;

/// Lines that are kept: an oops with its registers and call trace has about sixty.
const KEPT: usize = 80;

/// The last lines, without the escape sequences and carriage returns of a terminal.
pub(crate) fn last_lines(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(printable).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(KEPT)..].to_vec()
}

fn printable(line: &str) -> String {
    let line: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    line.trim_end().to_owned()
}

/// Nanoseconds and text of a line that begins with the kernel's `[   12.345678] `.
pub(crate) fn stamped(line: &str) -> Option<(u64, &str)> {
    let (stamp, text) = line.strip_prefix('[')?.split_once("] ")?;
    let (seconds, micros) = stamp.trim().split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let micros = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)? + micros.parse::<u64>().ok()?;
    Some((micros.checked_mul(1000)?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_the_kernels() {
        assert_eq!(stamped("[    1.173919] panic"), Some((1_173_919_000, "panic")));
        for line in ["panic", "[1] panic", "[    1.17] panic", "[x.173919] panic"] {
            assert_eq!(stamped(line), None);
        }
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a\r\n\u{1b}\n".to_owned() + &"b\n".repeat(KEPT)).unwrap();
        assert_eq!(last_lines(file.path()), vec!["b"; KEPT]);
        assert!(last_lines(Path::new("/no/such/file")).is_empty());
    }
}
