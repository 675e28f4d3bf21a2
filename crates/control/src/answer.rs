//! What is answered, and what is said first.

use crate::listing::{GuestState, Listing};
use crate::refusal::Refusal;
use crate::request::VERSION_KEY;
use crate::{LINE_LIMIT, VERSION};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// Somebody else's line, which is no answer of this protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// It is not JSON of the right shape.
    #[error("it answers what is no answer: {0}")]
    Shape(String),
    /// It is of another version.
    #[error("it speaks version {0} of the protocol, and not {VERSION}")]
    Version(String),
}

/// What the VMM says first on every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Which Barkeep it is.
    pub program: String,
}

impl Greeting {
    /// As a line, with its newline.
    pub fn print(&self) -> String {
        format!("{}\n", json!({ VERSION_KEY: VERSION, "program": self.program, "line_limit": LINE_LIMIT }))
    }

    /// That of a line. Keys it does not know are for those who do.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn parse(line: &[u8]) -> Result<Self, BadAnswer> {
        let object: Value = serde_json::from_slice(line).map_err(|e| BadAnswer::Shape(e.to_string()))?;
        // Who has no room for one more says so instead of the greeting.
        if let Ok(Answer { outcome: Err(refusal), .. }) = Answer::parse(line) {
            return Err(BadAnswer::Shape(refusal.message));
        }
        let version = object.get(VERSION_KEY).ok_or_else(|| BadAnswer::Shape("no greeting".into()))?;
        if version.as_u64() != Some(VERSION) {
            return Err(BadAnswer::Version(version.to_string()));
        }
        let program = object.get("program").and_then(Value::as_str).unwrap_or_default();
        Ok(Self { program: program.to_owned() })
    }
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum Done {
    /// This is there.
    List(Listing),
    /// The device is out of the guest.
    Remove {
        /// False if it was already.
        changed: bool,
    },
    /// The device has been reset, and what was mapped is again.
    Reset,
    /// No vCPU runs.
    Pause {
        /// False if none did before.
        changed: bool,
    },
    /// They go on.
    Resume {
        /// False if they did before.
        changed: bool,
    },
    /// The VMM is about to end; it is over when the connection is.
    Quit,
}

/// For people.
impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (paused, running) = (GuestState::Paused, GuestState::Running);
        match self {
            Self::List(listing) => listing.fmt(f),
            Self::Remove { changed: true } => f.write_str("removed"),
            Self::Remove { changed: false } => f.write_str("it was removed already"),
            Self::Reset => f.write_str("reset"),
            Self::Pause { changed: true } => write!(f, "guest {paused}"),
            Self::Pause { changed: false } => write!(f, "the guest was {paused} already"),
            Self::Resume { changed: true } => write!(f, "guest {running}"),
            Self::Resume { changed: false } => write!(f, "the guest was {running} already"),
            Self::Quit => f.write_str("it ends"),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The request's number, if it had one.
    pub id: Option<u64>,
    /// What it came to.
    pub outcome: Result<Done, Refusal>,
}

/// As it is written: exactly one of `ok` and `error`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ok: Option<Done>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Refusal>,
}

impl Answer {
    /// As a line, with its newline.
    pub fn print(&self) -> String {
        let Self { id, outcome } = self.clone();
        let (ok, error) = match outcome {
            Ok(done) => (Some(done), None),
            Err(refusal) => (None, Some(refusal)),
        };
        // Nothing in it can fail to be written: its keys are strings, its writer has no end.
        let line = serde_json::to_string(&Written { id, ok, error }).unwrap_or_default();
        line + "\n"
    }

    /// That of a line, without its newline.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(line: &[u8]) -> Result<Self, BadAnswer> {
        let written = serde_json::from_slice(line).map_err(|e| BadAnswer::Shape(e.to_string()))?;
        match written {
            Written { id, ok: Some(done), error: None } => Ok(Self { id, outcome: Ok(done) }),
            Written { id, ok: None, error: Some(refusal) } => Ok(Self { id, outcome: Err(refusal) }),
            Written { .. } => Err(BadAnswer::Shape("one of `ok` and `error` has to be there".into())),
        }
    }
}

#[cfg(test)]
#[path = "answer_test.rs"]
mod tests;
