//! A point of a run, as somebody types it: `revoke:17`, `seq:462`, `1.5s`.

use std::fmt;
use std::str::FromStr;

/// A moment since the start of the run, nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// A point of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The N-th revoke, from 1: the N-th begin of a `trigger` that revokes, in the journal's order.
    Revoke(u64),
    /// The event at this place in the journal.
    Seq(u64),
    /// A moment since the start of the run.
    Time(Moment),
}

/// None of these.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no point of a run: revoke:17, seq:462, or a time since its start such as 1.690654 or 250ms"
)]
pub struct BadPoint(String);

impl FromStr for Moment {
    type Err = BadPoint;

    /// A number of seconds, or one with `s`, `ms`, `us` or `ns`; to the nanosecond.
    fn from_str(text: &str) -> Result<Self, BadPoint> {
        let bad = || BadPoint(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let places = match unit {
            "" | "s" => 9,
            "ms" => 6,
            "us" => 3,
            "ns" => 0,
            _ => return Err(bad()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.len() > places || number.ends_with('.') || fraction.contains('.') {
            return Err(bad());
        }
        let ns = format!("{whole}{fraction:0<places$}").parse().map_err(|_| bad())?;
        Ok(Self(ns))
    }
}

impl FromStr for Point {
    type Err = BadPoint;

    fn from_str(text: &str) -> Result<Self, BadPoint> {
        let number = |digits: &str| digits.parse().map_err(|_| BadPoint(text.to_owned()));
        match text.split_once(':') {
            Some(("revoke", n)) => match number(n)? {
                0 => Err(BadPoint(text.to_owned())),
                n => Ok(Self::Revoke(n)),
            },
            Some(("seq", n)) => Ok(Self::Seq(number(n)?)),
            Some(_) => Err(BadPoint(text.to_owned())),
            None => Ok(Self::Time(text.parse()?)),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoke(n) => write!(f, "revoke:{n}"),
            Self::Seq(n) => write!(f, "seq:{n}"),
            Self::Time(Moment(ns)) => write!(f, "{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read() {
        for (text, point) in [
            ("revoke:17", Point::Revoke(17)),
            ("seq:0", Point::Seq(0)),
            ("1.690654", Point::Time(Moment(1_690_654_000))),
            ("250ms", Point::Time(Moment(250_000_000))),
            ("1.5us", Point::Time(Moment(1500))),
            ("3ns", Point::Time(Moment(3))),
            ("2", Point::Time(Moment(2_000_000_000))),
        ] {
            assert_eq!(text.parse(), Ok(point), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_point() {
        let long = "9".repeat(40);
        for text in
            ["", "revoke:0", "revoke:x", "reset:1", "1.5ns", "1.", ".5", "1.2.3", "5m", "-1", "seq:", &long]
        {
            assert!(text.parse::<Point>().is_err(), "{text}");
        }
    }
}
