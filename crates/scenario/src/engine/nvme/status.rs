//! How a command ended (NVM Express Base Specification, "Status Field Definition").

use std::fmt;

/// Status code type and status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    kind: u8,
    code: u8,
}

impl Status {
    pub const SUCCESS: Self = Self { kind: 0, code: 0 };

    /// From the last word of a completion entry: bits 24:17 and 27:25.
    pub fn of(last_dword: u32) -> Self {
        Self { kind: (last_dword >> 25 & 7) as u8, code: (last_dword >> 17) as u8 }
    }

    /// The generic ones that a transfer can end in.
    fn name(self) -> Option<&'static str> {
        Some(match (self.kind, self.code) {
            (0, 0x00) => "Successful Completion",
            (0, 0x02) => "Invalid Field in Command",
            (0, 0x04) => "Data Transfer Error",
            (0, 0x06) => "Internal Error",
            (0, 0x07) => "Command Abort Requested",
            (0, 0x13) => "PRP Offset Invalid",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {:#x}/{:#04x}", self.kind, self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completions_last_word_has_the_status_above_the_phase_tag() {
        // Do Not Retry, generic, 04h, phase 1, command 7.
        let status = Status::of(1 << 31 | 0x04 << 17 | 1 << 16 | 7);
        assert_eq!(status.to_string(), "Data Transfer Error");
        assert_eq!(Status::of(1 << 16 | 7), Status::SUCCESS);
        assert_eq!(Status::of(2 << 25 | 0x81 << 17).to_string(), "status 0x2/0x81");
    }
}
