//! One thing that was looked at, and how it is.

use serde::Serialize;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it is needed.
    Ok,
    /// Nothing is in the way; something is worth knowing.
    Note,
    /// Cannot be told from here.
    Unknown,
    /// In the way.
    Fail,
}

impl State {
    /// As the table has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Unknown => "?",
            Self::Fail => "FAIL",
        }
    }
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What was looked at; a name that does not change.
    pub what: &'static str,
    /// How it is.
    pub state: State,
    /// What was found; of a failing row the cause. One line.
    pub found: String,
    /// What to do about it; every failing row has one. One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Row {
    /// As it is needed.
    pub fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Ok, found: found.into(), cure: None }
    }

    /// Worth knowing.
    pub fn note(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Note, found: found.into(), cure: None }
    }

    /// Not to be told, and how it could be.
    pub fn unknown(what: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what, state: State::Unknown, found: found.into(), cure: Some(cure.into()) }
    }

    /// In the way: the cause and the cure.
    pub fn fail(what: &'static str, cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what, state: State::Fail, found: cause.into(), cure: Some(cure.into()) }
    }

    /// With something to do about it.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }
}
