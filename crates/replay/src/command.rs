//! What somebody types, or a file says.

use barkeep_timeline::Point;
use std::str::FromStr;

/// The words, each with what it does: the text of `help`.
pub(crate) const HELP: &[(&str, &str)] = &[
    (
        "inspect [DEVICE[:BAR]]",
        "every device, BAR, dma-buf, mapping, slot and window: its state, and who brought it there",
    ),
    ("history [DEVICE[:BAR]]", "the last events of it"),
    ("bytes DEVICE:BAR [OFFSET [LENGTH]]", "what is in a BAR"),
    ("mappings", "what the process has mapped"),
    ("event", "the event it stands after"),
    ("step [N]", "to the next event, or the N-th from here"),
    ("next revoke", "to the next revoke"),
    ("until POINT", "to revoke:N, seq:N, or a time since the start"),
    ("back [N]", "to the event before, or N before: the run is carried out again up to there"),
    ("continue", "to the end, or to where a watch stops it"),
    ("watch on|off", "whether it stops where the checker finds an invariant broken"),
    ("findings", "what the checker has found so far"),
    ("quit", "leaves the run where it is"),
];

/// A device, and one of its BARs, as somebody names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or an address.
    pub device: String,
    /// One of its BARs.
    pub bar: Option<u8>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Shows states.
    Inspect(Option<Place>),
    /// Shows events.
    History(Option<Place>),
    /// Shows what a BAR holds.
    Bytes {
        /// Which BAR.
        place: Place,
        /// From where.
        offset: u64,
        /// How many.
        length: usize,
    },
    /// Shows the process's mappings.
    Mappings,
    /// Shows where it stands.
    Event,
    /// Goes on so many events.
    Step(u64),
    /// Goes on to the next revoke.
    NextRevoke,
    /// Goes on to a point.
    Until(Point),
    /// Goes back so many events.
    Back(u64),
    /// Goes on.
    Continue,
    /// Stops at findings, or does not.
    Watch(bool),
    /// Shows findings.
    Findings,
    /// Says what there is.
    Help,
    /// Leaves.
    Quit,
}

/// Not a command.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no command: `help` says what there is")]
pub struct BadCommand(String);

/// Bytes that are shown if nobody says how many, and at the most.
const LENGTH: usize = 64;
const MOST: usize = 4096;

impl FromStr for Command {
    type Err = BadCommand;

    fn from_str(line: &str) -> Result<Self, BadCommand> {
        let bad = || BadCommand(line.trim().to_owned());
        let words: Vec<&str> = line.split_whitespace().collect();
        let count = |word: &str| word.parse().ok().filter(|&n: &u64| n > 0).ok_or_else(bad);
        Ok(match words.as_slice() {
            ["inspect" | "i"] => Self::Inspect(None),
            ["inspect" | "i", place] => Self::Inspect(Some(place_of(place))),
            ["history"] => Self::History(None),
            ["history", place] => Self::History(Some(place_of(place))),
            ["bytes", place, rest @ ..] if rest.len() <= 2 => {
                let place = place_of(place);
                let offset = rest.first().map_or(Some(0), |word| number(word));
                let length = rest.get(1).map_or(Some(LENGTH as u64), |word| number(word));
                let (Some(offset), Some(length), Some(_)) = (offset, length, place.bar) else {
                    return Err(bad());
                };
                Self::Bytes { place, offset, length: (length as usize).min(MOST) }
            }
            ["mappings" | "maps"] => Self::Mappings,
            ["event"] => Self::Event,
            ["step" | "s"] => Self::Step(1),
            ["step" | "s", n] => Self::Step(count(n)?),
            ["next", "revoke"] | ["n"] => Self::NextRevoke,
            ["until", point] => Self::Until(point.parse().map_err(|_| bad())?),
            ["back" | "b"] => Self::Back(1),
            ["back" | "b", n] => Self::Back(count(n)?),
            ["continue" | "c"] => Self::Continue,
            ["watch", "on"] => Self::Watch(true),
            ["watch", "off"] => Self::Watch(false),
            ["findings"] => Self::Findings,
            ["help" | "?"] => Self::Help,
            ["quit" | "q"] => Self::Quit,
            _ => return Err(bad()),
        })
    }
}

/// An address has colons of its own; a BAR is one digit behind the last one.
fn place_of(word: &str) -> Place {
    let bar = |digits: &str| digits.parse().ok().filter(|&bar: &u8| bar < 6 && digits.len() == 1);
    match word.rsplit_once(':') {
        Some((device, digits)) if bar(digits).is_some() => {
            Place { device: device.to_owned(), bar: bar(digits) }
        }
        _ => Place { device: word.to_owned(), bar: None },
    }
}

fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let place = |device: &str, bar| Place { device: device.to_owned(), bar };
        for (line, command) in [
            (" inspect ", Command::Inspect(None)),
            ("inspect nvme:2", Command::Inspect(Some(place("nvme", Some(2))))),
            ("inspect 0000:00:03.0", Command::Inspect(Some(place("0000:00:03.0", None)))),
            ("history 0000:00:03.0:2", Command::History(Some(place("0000:00:03.0", Some(2))))),
            ("bytes nvme:2 0x10 8", Command::Bytes { place: place("nvme", Some(2)), offset: 16, length: 8 }),
            ("step 3", Command::Step(3)),
            ("next revoke", Command::NextRevoke),
            ("until revoke:17", Command::Until(Point::Revoke(17))),
            ("b 2", Command::Back(2)),
            ("watch on", Command::Watch(true)),
        ] {
            assert_eq!(line.parse(), Ok(command), "{line}");
        }
    }

    #[test]
    fn nonsense_is_no_command() {
        for line in
            ["", "step 0", "step -1", "bytes nvme", "bytes nvme:2 x", "until x", "next", "watch", "jump"]
        {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
    }

    #[test]
    fn nobody_is_shown_more_than_can_be_read() {
        let Ok(Command::Bytes { length, .. }) = "bytes nvme:2 0 0xffffffffffffffff".parse() else { panic!() };
        assert_eq!(length, MOST);
    }
}
