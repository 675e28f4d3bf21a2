//! Bytes as they arrive, and the lines in them.

use crate::LINE_LIMIT;
use crate::refusal::Refusal;

/// What has arrived and has not been taken. As long as whoever receives stops once there is a line, it never
/// holds more than one line and one receipt.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// No newline stands before here.
    searched: usize,
}

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the next line, or that it is too long, can be told already.
    pub fn is_ready(&mut self) -> bool {
        self.end().is_some() || self.bytes.len() > LINE_LIMIT
    }

    /// The next line without its newline, if all of it is there.
    pub fn take(&mut self) -> Option<Result<Vec<u8>, Refusal>> {
        let end = self.end();
        if end.unwrap_or(self.bytes.len()) > LINE_LIMIT {
            *self = Self::default();
            return Some(Err(Refusal::line_too_long()));
        }
        let mut line: Vec<u8> = self.bytes.drain(..=end?).collect();
        line.pop();
        self.searched = 0;
        Some(Ok(line))
    }

    /// Whether a line has begun.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where the first newline is; looks at no byte twice.
    fn end(&mut self) -> Option<usize> {
        let found = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        match found {
            Some(found) => Some(self.searched + found),
            None => {
                self.searched = self.bytes.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefusalKind;

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        for (length, whole) in [(0, true), (LINE_LIMIT, true), (LINE_LIMIT + 1, false)] {
            let mut lines = Lines::default();
            lines.push(&vec![b'x'; length]);
            assert_eq!(lines.is_ready(), !whole);
            lines.push(b"\n");
            assert!(lines.is_ready());
            match lines.take().unwrap() {
                Ok(line) => assert!(whole && line.len() == length),
                Err(refusal) => assert!(!whole && refusal.kind == RefusalKind::LineTooLong),
            }
            assert!(lines.take().is_none() && lines.is_empty());
        }
    }

    #[test]
    fn lines_come_in_their_order_however_they_arrive() {
        let mut lines = Lines::default();
        for byte in b"a\n\nbc\nd" {
            lines.push(&[*byte]);
        }
        let taken: Vec<_> = std::iter::from_fn(|| lines.take()).map(Result::unwrap).collect();
        assert_eq!(taken, [&b"a"[..], b"", b"bc"]);
        assert!(!lines.is_empty() && !lines.is_ready());
    }
}
