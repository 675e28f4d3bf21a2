//! How findings name things.

use barkeep_journal::{Actor, Event, Kind, Trigger};

/// `BAR 2 of 0000:00:03.0`, or as much of it as the event tells.
pub(crate) fn place(event: &Event) -> String {
    match (event.device, event.bar) {
        (Some(device), Some(bar)) => format!("BAR {bar} of {device}"),
        (Some(device), None) => device.to_string(),
        (None, _) => "a device that is not named".to_owned(),
    }
}

/// What step an event begins or ends: `trigger flr, 0000:00:03.0, vcpu0`.
pub(crate) fn step(event: &Event) -> String {
    let mut words = event.kind.to_string();
    if event.kind == Kind::Action {
        words += &format!(" `{}`", event.text);
    }
    if event.trigger != Trigger::None {
        words += &format!(" {}", event.trigger);
    }
    if event.device.is_some() {
        words += &format!(", {}", place(event));
    }
    match event.actor {
        Actor::Vcpu | Actor::Guest => words += &format!(", {}{}", event.actor, event.index),
        _ => words += &format!(", {}", event.actor),
    }
    words
}
