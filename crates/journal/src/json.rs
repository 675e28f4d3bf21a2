//! JSON lines: one event a line, fields always in the same order, absent ones left out.

use crate::event::Event;
use crate::kinds::{Actor, Clock, Kind, Lane, Phase, SeenBy, Trigger};
use crate::layout::VERSION;
use crate::reader::Header;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The first line of a file: what it is, its version, lane and clock.
pub fn header_line(header: Header) -> String {
    format!(r#"{{"barkeep_journal":{VERSION},"lane":"{}","clock":"{}"}}"#, header.lane, header.clock)
}

/// The same of a run that can be carried out again: `replay` is how, an object of JSON.
pub fn header_line_with(header: Header, replay: &str) -> String {
    let line = header_line(header);
    format!(r#"{},"replay":{replay}}}"#, line.trim_end_matches('}'))
}

/// The line of an event.
pub fn line(event: &Event, header: Header) -> String {
    let Event {
        seq,
        time_ns,
        kind,
        phase,
        actor,
        index,
        step,
        trigger,
        seen_by,
        device,
        bar,
        address,
        size,
        value,
        result,
        text,
    } = event;
    let mut out = format!(
        r#"{{"seq":{seq},"t_ns":{time_ns},"lane":"{}","clock":"{}","kind":"{kind}""#,
        header.lane, header.clock
    );
    // Writing to a String cannot fail.
    if *phase != Phase::Point {
        let _ = write!(out, r#","phase":"{phase}","step":{step}"#);
    }
    let _ = match actor {
        Actor::Vcpu | Actor::Guest => write!(out, r#","actor":"{actor}{index}""#),
        _ => write!(out, r#","actor":"{actor}""#),
    };
    if *trigger != Trigger::None {
        let _ = write!(out, r#","trigger":"{trigger}""#);
    }
    if *seen_by != SeenBy::None {
        let _ = write!(out, r#","seen_by":"{seen_by}""#);
    }
    if let Some(device) = device {
        let _ = write!(out, r#","device":"{device}""#);
    }
    if let Some(bar) = bar {
        let _ = write!(out, r#","bar":{bar}"#);
    }
    if let Some(address) = address {
        let _ = write!(out, r#","address":"{address:#x}""#);
    }
    if let Some(size) = size {
        let _ = write!(out, r#","size":"{size:#x}""#);
    }
    if let Some(value) = value {
        let _ = write!(out, r#","value":{value}"#);
    }
    if let Some(result) = result {
        let _ = write!(out, r#","result":{result}"#);
        if let Some(name) = errno_name(*result) {
            let _ = write!(out, r#","errno":"{name}""#);
        }
    }
    if !text.is_empty() {
        let _ = write!(out, r#","text":{}"#, Value::from(text.as_str()));
    }
    out.push('}');
    out
}

/// Why a line is not an event of this version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LineError {
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// A field is missing or not of its type.
    #[error("field `{0}` is missing or not what it should be")]
    Field(&'static str),
    /// Not the first line of a journal.
    #[error("not the first line of a journal of version {VERSION}")]
    NotAHeader,
}

/// Reads the first line of a file.
///
/// # Errors
/// It is not a journal's, or another version's.
pub fn parse_header(line: &str) -> Result<Header, LineError> {
    let object = parse_object(line)?;
    if object.get("barkeep_journal").and_then(Value::as_u64) != Some(u64::from(VERSION)) {
        return Err(LineError::NotAHeader);
    }
    Ok(Header {
        lane: text_field(&object, "lane").and_then(Lane::from_name).ok_or(LineError::Field("lane"))?,
        clock: text_field(&object, "clock").and_then(Clock::from_name).ok_or(LineError::Field("clock"))?,
    })
}

/// Reads an event's line.
///
/// # Errors
/// It is not one.
pub fn parse(line: &str) -> Result<Event, LineError> {
    let object = parse_object(line)?;
    let (actor, index) = parse_actor(&object)?;
    let kind = text_field(&object, "kind").and_then(Kind::from_name).ok_or(LineError::Field("kind"))?;
    let mut event = Event::new(kind, actor);
    event.index = index;
    event.seq = number(&object, "seq")?.ok_or(LineError::Field("seq"))?;
    event.time_ns = number(&object, "t_ns")?.ok_or(LineError::Field("t_ns"))?;
    event.phase = named(&object, "phase", Phase::from_name)?.unwrap_or(Phase::Point);
    event.step = narrow(number(&object, "step")?, "step")?.unwrap_or(0);
    event.trigger = named(&object, "trigger", Trigger::from_name)?.unwrap_or(Trigger::None);
    event.seen_by = named(&object, "seen_by", SeenBy::from_name)?.unwrap_or(SeenBy::None);
    event.device = named(&object, "device", |d| d.parse().ok())?;
    event.bar = narrow(number(&object, "bar")?, "bar")?;
    event.address = hex(&object, "address")?;
    event.size = hex(&object, "size")?;
    event.value = number(&object, "value")?;
    event.result = match object.get("result") {
        None => None,
        Some(n) => Some(n.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or(LineError::Field("result"))?),
    };
    event.text = text_field(&object, "text").unwrap_or_default().to_owned();
    Ok(event)
}

fn parse_object(line: &str) -> Result<Map<String, Value>, LineError> {
    match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(LineError::NotJson),
    }
}

fn text_field<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

fn number(object: &Map<String, Value>, field: &'static str) -> Result<Option<u64>, LineError> {
    match object.get(field) {
        None => Ok(None),
        Some(n) => n.as_u64().map(Some).ok_or(LineError::Field(field)),
    }
}

fn narrow<T: TryFrom<u64>>(n: Option<u64>, field: &'static str) -> Result<Option<T>, LineError> {
    n.map(|n| T::try_from(n).map_err(|_| LineError::Field(field))).transpose()
}

fn hex(object: &Map<String, Value>, field: &'static str) -> Result<Option<u64>, LineError> {
    named(object, field, |text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok())
}

fn named<T>(
    object: &Map<String, Value>,
    field: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, LineError> {
    match object.get(field) {
        None => Ok(None),
        Some(text) => text.as_str().and_then(read).map(Some).ok_or(LineError::Field(field)),
    }
}

fn parse_actor(object: &Map<String, Value>) -> Result<(Actor, u16), LineError> {
    let text = text_field(object, "actor").ok_or(LineError::Field("actor"))?;
    let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let index = &text[name.len()..];
    let index = if index.is_empty() { 0 } else { index.parse().map_err(|_| LineError::Field("actor"))? };
    Ok((Actor::from_name(name).ok_or(LineError::Field("actor"))?, index))
}

/// The C name of a negative errno that this path is known to give.
pub fn errno_name(result: i32) -> Option<&'static str> {
    use rustix::io::Errno;
    let errno = Errno::from_raw_os_error(result.checked_neg().filter(|n| (1..4096).contains(n))?);
    Some(match errno {
        Errno::PERM => "EPERM",
        Errno::NOENT => "ENOENT",
        Errno::SRCH => "ESRCH",
        Errno::INTR => "EINTR",
        Errno::IO => "EIO",
        Errno::NXIO => "ENXIO",
        Errno::BADF => "EBADF",
        Errno::AGAIN => "EAGAIN",
        Errno::NOMEM => "ENOMEM",
        Errno::ACCESS => "EACCES",
        Errno::FAULT => "EFAULT",
        Errno::BUSY => "EBUSY",
        Errno::EXIST => "EEXIST",
        Errno::NODEV => "ENODEV",
        Errno::INVAL => "EINVAL",
        Errno::NOTTY => "ENOTTY",
        Errno::NOSPC => "ENOSPC",
        Errno::OPNOTSUPP => "EOPNOTSUPP",
        Errno::OVERFLOW => "EOVERFLOW",
        Errno::TIMEDOUT => "ETIMEDOUT",
        _ => return None,
    })
}
