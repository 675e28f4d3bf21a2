//! A scenario as a text that reads as the same one.

use super::{Action, Scenario};
use std::fmt::Write;
use toml::ser::Error;
use toml::{Table, Value};

impl Scenario {
    /// The text, one key a line, places in braces.
    ///
    /// # Errors
    /// A number is over 2^63, which TOML has none of.
    pub fn to_toml(&self) -> Result<String, Error> {
        let Self { version, name, topology, guest, actions } = self;
        let mut text = format!("version = {version}\nname = {}\n", Value::from(name.as_str()));
        if let Some(topology) = topology {
            line(&mut text, "topology", &Value::from(topology.as_str()));
        }
        text.push_str("\n[guest]\n");
        for (key, value) in &Table::try_from(guest)? {
            line(&mut text, key, value);
        }
        if actions.is_empty() {
            // A list of tables without any cannot be written as one.
            text.insert_str(text.find("\n[guest]").unwrap_or_default(), "action = []\n");
        }
        for action in actions {
            print(&mut text, "action", action)?;
        }
        Ok(text)
    }
}

fn print(text: &mut String, path: &str, action: &Action) -> Result<(), Error> {
    let (mut table, inner) = match action {
        Action::Repeat { times, actions } => {
            let empty = Action::Repeat { times: *times, actions: Vec::new() };
            (Table::try_from(empty)?, actions.as_slice())
        }
        _ => (Table::try_from(action)?, &[][..]),
    };
    if !inner.is_empty() {
        table.remove("action");
    }
    let _ = writeln!(text, "\n[[{path}]]");
    // What is done stands first, whatever the order of the rest.
    for (key, value) in table.remove_entry("do").iter() {
        line(text, key, value);
    }
    for (key, value) in &table {
        line(text, key, value);
    }
    for action in inner {
        print(text, &format!("{path}.action"), action)?;
    }
    Ok(())
}

fn line(text: &mut String, key: &str, value: &Value) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{key} = {value}");
}
