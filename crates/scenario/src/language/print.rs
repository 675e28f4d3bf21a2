//! A scenario as a text that reads as the same one.

use super::{Action, Ending, Move, Perturb, Scenario, Storm, StormActor};
use serde::Serialize;
use std::fmt::Write;
use toml::ser::Error;
use toml::{Table, Value};

impl Scenario {
    /// The text, one key a line, places in braces.
    ///
    /// # Errors
    /// A number is over 2^63, which TOML has none of.
    pub fn to_toml(&self) -> Result<String, Error> {
        let Self { version, name, topology, seed, guest, simulated, perturb, storm, actions } = self;
        let mut text = format!("version = {version}\nname = {}\n", Value::from(name.as_str()));
        if let Some(topology) = topology {
            line(&mut text, "topology", &Value::from(topology.as_str()));
        }
        if let Some(seed) = seed {
            line(&mut text, "seed", &Value::try_from(seed)?);
        }
        if actions.is_empty() {
            // A list of tables without any cannot be written as one.
            text.push_str("action = []\n");
        }
        table(&mut text, "guest", &Table::try_from(guest)?);
        if !simulated.is_empty() {
            table(&mut text, "simulated", &Table::try_from(simulated)?);
        }
        if *perturb != Perturb::default() {
            table(&mut text, "perturb", &Table::try_from(perturb)?);
        }
        for action in actions {
            print(&mut text, "action", action)?;
        }
        if let Some(storm) = storm {
            print_storm(&mut text, storm)?;
        }
        Ok(text)
    }
}

fn print_storm(text: &mut String, storm: &Storm) -> Result<(), Error> {
    let Storm { about, resets, require, actors, endings } = storm;
    let own =
        Storm { about: about.clone(), resets: *resets, require: require.clone(), ..Storm::without_actors() };
    table(text, "storm", &without_lists(&own)?);
    for actor in actors {
        let StormActor { name, weight, moves } = actor;
        let own = StormActor { name: name.clone(), weight: *weight, moves: Vec::new() };
        tables(text, "storm.actor", &without_lists(&own)?);
        for Move { weight, actions } in moves {
            let own = Move { weight: *weight, actions: Vec::new() };
            tables(text, "storm.actor.move", &without_lists(&own)?);
            for action in actions {
                print(text, "storm.actor.move.action", action)?;
            }
        }
    }
    for Ending { weight, within, actions } in endings {
        let own = Ending { weight: *weight, within: *within, actions: Vec::new() };
        tables(text, "storm.ending", &without_lists(&own)?);
        for action in actions {
            print(text, "storm.ending.action", action)?;
        }
    }
    Ok(())
}

/// What is to stand in the table itself: the lists of tables in it are still empty.
fn without_lists(of: &impl Serialize) -> Result<Table, Error> {
    let mut table = Table::try_from(of)?;
    table.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    Ok(table)
}

fn table(text: &mut String, name: &str, keys: &Table) {
    let _ = writeln!(text, "\n[{name}]");
    lines(text, keys);
}

fn tables(text: &mut String, name: &str, keys: &Table) {
    let _ = writeln!(text, "\n[[{name}]]");
    lines(text, keys);
}

fn lines(text: &mut String, keys: &Table) {
    for (key, value) in keys {
        // A key that is a name somebody chose may need quotes.
        let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        match bare {
            true => line(text, key, value),
            false => line(text, &Value::from(key.as_str()).to_string(), value),
        }
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
    lines(text, &table);
    for action in inner {
        print(text, &format!("{path}.action"), action)?;
    }
    Ok(())
}

fn line(text: &mut String, key: &str, value: &Value) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{key} = {value}");
}
