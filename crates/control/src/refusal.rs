//! Why a request is refused.

use crate::{ID_END, LINE_LIMIT, VERSION};
use serde::{Deserialize, Serialize};

/// What sort of refusal it is; stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// A line is longer than [`LINE_LIMIT`]. The connection ends: where the next one begins is not known.
    LineTooLong,
    /// The connection ended in the middle of a line.
    LineIncomplete,
    /// A line is not JSON in UTF-8.
    NotJson,
    /// It is JSON, and no request: no object, a key missing, twice, or of the wrong type.
    NotARequest,
    /// A key that no request has, or not this one.
    UnknownKey,
    /// Another version than this one.
    UnknownVersion,
    /// No such command.
    UnknownCommand,
    /// No such device in this VM.
    UnknownDevice,
    /// The device was in this VM and has been given up.
    DeviceGone,
    /// More connections than there is room for.
    TooManyConnections,
    /// The VMM is ending.
    Ending,
    /// It was tried, and the kernel answered with an errno.
    Failed,
}

impl RefusalKind {
    /// Whether what was typed or named is wrong, rather than what became of it.
    pub fn is_input(self) -> bool {
        match self {
            Self::LineTooLong
            | Self::LineIncomplete
            | Self::NotJson
            | Self::NotARequest
            | Self::UnknownKey
            | Self::UnknownVersion
            | Self::UnknownCommand
            | Self::UnknownDevice
            | Self::DeviceGone => true,
            Self::TooManyConnections | Self::Ending | Self::Failed => false,
        }
    }
}

/// A request that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What sort.
    pub kind: RefusalKind,
    /// In words, for people, with what may have been meant.
    pub message: String,
    /// What may have been meant: a key, a command, a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// The errno's number, if the kernel refused: positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

impl Refusal {
    /// One of these words.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), nearest: None, errno: None }
    }

    /// The kernel refused with this errno, which `message` says in words.
    pub fn failed(message: impl Into<String>, errno: i32) -> Self {
        Self { errno: Some(errno), ..Self::new(RefusalKind::Failed, message) }
    }

    /// A word that is none of those known.
    pub(crate) fn unknown<'a>(
        kind: RefusalKind,
        what: &str,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let word = shown(word);
        match nearest(&word, known) {
            Some(meant) => {
                let message = format!("there is no {what} `{word}`; did you mean `{meant}`?");
                Self { nearest: Some(meant.to_owned()), ..Self::new(kind, message) }
            }
            None => Self::new(kind, format!("there is no {what} `{word}`")),
        }
    }

    /// No device of this VM is called so; `known` are those that are there.
    pub fn unknown_device<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self::unknown(RefusalKind::UnknownDevice, "device", word, known)
    }

    pub(crate) fn line_too_long() -> Self {
        let message = format!("a line is longer than {LINE_LIMIT} bytes; the connection ends here");
        Self::new(RefusalKind::LineTooLong, message)
    }

    pub(crate) fn line_incomplete() -> Self {
        Self::new(RefusalKind::LineIncomplete, "the connection ended in the middle of a line")
    }

    pub(crate) fn version(asked: &str) -> Self {
        let asked = shown(asked);
        let message = format!("version {asked} of the protocol is not spoken here, version {VERSION} is");
        Self::new(RefusalKind::UnknownVersion, message)
    }

    pub(crate) fn id() -> Self {
        let message = format!("`id` is a whole number below {ID_END}");
        Self::new(RefusalKind::NotARequest, message)
    }
}

/// What somebody sent, short enough for a message and on one line.
fn shown(word: &str) -> String {
    const SHOWN: usize = 64;
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = word.chars().take(SHOWN).map(printable).collect();
    if word.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The known word nearest to a mistyped one, `None` where nothing is near enough to be meant.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let measured = known.into_iter().map(|known| (strsim::damerau_levenshtein(word, known), known));
    let (distance, known) = measured.min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.len() / 3).max(2)).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_and_what_is_far_from_all_is_not() {
        let near = Refusal::unknown_device("0000:00:04.1", ["0000:00:03.0", "0000:00:04.0"]);
        assert_eq!(near.nearest.as_deref(), Some("0000:00:04.0"));
        assert_eq!(near.message, "there is no device `0000:00:04.1`; did you mean `0000:00:04.0`?");
        let far = Refusal::unknown_device("everything", ["0000:00:03.0"]);
        assert_eq!((far.nearest, far.message.as_str()), (None, "there is no device `everything`"));
    }

    #[test]
    fn what_was_sent_is_shown_short_and_on_one_line() {
        let refusal = Refusal::unknown_device(&format!("a\n\u{1b}{}", "x".repeat(4000)), []);
        assert!(refusal.message.len() < 300 && !refusal.message.chars().any(char::is_control));
    }
}
