//! One line, from and to JSON.

use super::{Header, VERSION};
use crate::kind::Kind;
use barkeep_model::{Answer, Op, Seen};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// Why a line is none of a recording.
#[derive(Debug, Error)]
pub enum LineError {
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// The first line is not a recording's.
    #[error("not a recording: the first line is not `{{\"barkeep_conform\":…`")]
    Foreign,
    /// A recording of another version.
    #[error("a recording of version {0}; this Barkeep reads version {VERSION}")]
    Version(u64),
    /// Neither episode, nor operation, nor end.
    #[error("neither an episode nor an operation nor the end")]
    Neither,
    /// An operation nobody knows.
    #[error("there is no operation `{0}`")]
    Operation(String),
    /// Something in it is missing or not what it should be.
    #[error("{0}")]
    Fields(#[source] serde_json::Error),
}

/// The first line.
#[derive(Serialize)]
struct First<'a> {
    barkeep_conform: u64,
    #[serde(flatten)]
    header: &'a Header,
}

/// An episode's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    pub(super) episode: u64,
    pub(super) operations: u64,
}

/// An operation's line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) answer: Answer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<Seen>,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) end: u64,
}

/// Any line but the first.
#[derive(Debug)]
pub(super) enum Line {
    Begin(Begin),
    Step(Box<Step>),
    End(End),
}

/// The first line.
pub(super) fn header(header: &Header) -> serde_json::Result<String> {
    serde_json::to_string(&First { barkeep_conform: VERSION, header })
}

/// Reads the first line.
pub(super) fn parse_header(text: &str) -> Result<Header, LineError> {
    const KEY: &str = "barkeep_conform";
    let mut fields = object(text).map_err(|_| LineError::Foreign)?;
    match fields.remove(KEY) {
        Some(Value::Number(version)) if version.as_u64() == Some(VERSION) => typed(fields),
        Some(Value::Number(version)) => Err(version.as_u64().map_or(LineError::Foreign, LineError::Version)),
        Some(_) | None => Err(LineError::Foreign),
    }
}

/// Reads any other line.
pub(super) fn parse(text: &str) -> Result<Line, LineError> {
    let fields = object(text)?;
    if let Some(op) = fields.get("op") {
        if let Some(Value::String(name)) = op.get("op")
            && Kind::from_name(name).is_none()
        {
            return Err(LineError::Operation(name.clone()));
        }
        typed(fields).map(|step| Line::Step(Box::new(step)))
    } else if fields.contains_key("episode") {
        typed(fields).map(Line::Begin)
    } else if fields.contains_key("end") {
        typed(fields).map(Line::End)
    } else {
        Err(LineError::Neither)
    }
}

fn object(text: &str) -> Result<Map<String, Value>, LineError> {
    serde_json::from_str(text).map_err(|_| LineError::NotJson)
}

/// By way of a value, so that what is wrong is told without a column of a line.
fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, LineError> {
    serde_json::from_value(Value::Object(fields)).map_err(LineError::Fields)
}
