//! What a line asks for.

use crate::object::Object;
use crate::refusal::{Refusal, RefusalKind};
use crate::{ID_END, VERSION};
use barkeep_journal::DeviceAddress;
use serde_json::{Value, json};
use std::fmt;

/// The key with the protocol's version; a request may leave it out.
pub(crate) const VERSION_KEY: &str = "barkeep_control";
const ID: &str = "id";
const DO: &str = "do";
const DEVICE: &str = "device";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Says what there is. Never waits.
    List,
    /// Takes a device out of the guest: the VMM gives its device file up.
    Remove(DeviceAddress),
    /// `VFIO_DEVICE_RESET`.
    Reset(DeviceAddress),
    /// No vCPU runs an instruction of the guest any more.
    Pause,
    /// They go on.
    Resume,
    /// The VMM gives everything back and ends.
    Quit,
}

impl Command {
    /// The words for them.
    pub const WORDS: [&str; 6] = ["list", "remove", "reset", "pause", "resume", "quit"];

    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Remove(_) => "remove",
            Self::Reset(_) => "reset",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Quit => "quit",
        }
    }

    /// The device it is about, where it is about one.
    pub fn device(&self) -> Option<DeviceAddress> {
        match self {
            Self::Remove(device) | Self::Reset(device) => Some(*device),
            Self::List | Self::Pause | Self::Resume | Self::Quit => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device() {
            Some(device) => write!(f, "{} {device}", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// A number of the client's, which the answer carries too; below [`ID_END`].
    pub id: Option<u64>,
    /// What is to be done.
    pub command: Command,
}

impl Request {
    /// That of a line, without its newline.
    ///
    /// # Errors
    /// It is none; with the number that the answer has to carry, where one could be read.
    pub fn parse(line: &[u8]) -> Result<Self, (Option<u64>, Refusal)> {
        let mut object = Object::parse(line).map_err(|refusal| (None, refusal))?;
        let id = id(object.take(ID)).map_err(|refusal| (None, refusal))?;
        match command(&mut object) {
            Ok(command) => Ok(Self { id, command }),
            Err(refusal) => Err((id, refusal)),
        }
    }

    /// As a line, with its newline.
    pub fn print(&self) -> String {
        let mut object = json!({ VERSION_KEY: VERSION, DO: self.command.word() });
        if let Some(id) = self.id {
            object[ID] = id.into();
        }
        if let Some(device) = self.command.device() {
            object[DEVICE] = device.to_string().into();
        }
        format!("{object}\n")
    }
}

fn id(value: Option<Value>) -> Result<Option<u64>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    value.as_u64().filter(|id| *id < ID_END).map(Some).ok_or_else(Refusal::id)
}

fn command(object: &mut Object) -> Result<Command, Refusal> {
    if let Some(version) = object.take(VERSION_KEY)
        && version.as_u64() != Some(VERSION)
    {
        return Err(Refusal::version(&version.to_string()));
    }
    let word = string(object.take(DO), DO)?;
    let command = match word.as_str() {
        "list" => Command::List,
        "remove" => Command::Remove(device(object)?),
        "reset" => Command::Reset(device(object)?),
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "quit" => Command::Quit,
        _ => return Err(Refusal::unknown(RefusalKind::UnknownCommand, "command", &word, Command::WORDS)),
    };
    match object.left() {
        None => Ok(command),
        Some(DEVICE) => {
            let message = format!("`{word}` is about no device: `{DEVICE}` has no place in it");
            Err(Refusal::new(RefusalKind::UnknownKey, message))
        }
        Some(key) => {
            let known = [VERSION_KEY, ID, DO, DEVICE];
            Err(Refusal::unknown(RefusalKind::UnknownKey, "key", key, known))
        }
    }
}

fn device(object: &mut Object) -> Result<DeviceAddress, Refusal> {
    let word = string(object.take(DEVICE), DEVICE)?;
    let none = |_| {
        let refusal = Refusal::unknown_device(&word, []);
        Refusal { message: format!("{}; devices are named like 0000:01:00.0", refusal.message), ..refusal }
    };
    word.parse().map_err(none)
}

fn string(value: Option<Value>, key: &str) -> Result<String, Refusal> {
    let refused = |message: String| Err(Refusal::new(RefusalKind::NotARequest, message));
    match value {
        Some(Value::String(word)) => Ok(word),
        Some(_) => refused(format!("`{key}` is a string")),
        None => refused(format!("`{key}` is missing")),
    }
}

#[cfg(test)]
#[path = "request_test.rs"]
mod tests;
