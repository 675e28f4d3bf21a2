//! Sizes, times and numbers as people write them.

use crate::draw::Draw;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Bytes: `4096`, `64K`, `16M`, `2G`; the letters are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Not a size or a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a {what}")]
pub struct BadUnit {
    word: String,
    what: &'static str,
}

impl FromStr for Size {
    type Err = BadUnit;

    fn from_str(word: &str) -> Result<Self, BadUnit> {
        let bad = || BadUnit { word: word.to_owned(), what: "size like 4096, 64K, 16M or 2G" };
        let digits = word.trim_end_matches(['K', 'M', 'G', 'k', 'm', 'g']);
        let shift = match word[digits.len()..].to_ascii_uppercase().as_str() {
            "" => 0,
            "K" => 10,
            "M" => 20,
            "G" => 30,
            _ => return Err(bad()),
        };
        let number: u64 = digits.parse().map_err(|_| bad())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(bad)
    }
}

/// A time: `100us`, `50ms`, `2s`, whole numbers.
///
/// # Errors
/// It is none.
pub fn duration(word: &str) -> Result<Duration, BadUnit> {
    let bad = || BadUnit { word: word.to_owned(), what: "time like 100us, 50ms or 2s" };
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let nanoseconds = match &word[digits.len()..] {
        "ns" => Some(number),
        "us" => number.checked_mul(1_000),
        "ms" => number.checked_mul(1_000_000),
        "s" => number.checked_mul(1_000_000_000),
        _ => None,
    };
    nanoseconds.map(Duration::from_nanos).ok_or_else(bad)
}

impl fmt::Display for Size {
    /// In the largest unit it is a whole number of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("G", 30), ("M", 20), ("K", 10)];
        let whole = units.into_iter().find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        let (letter, shift) = whole.unwrap_or(("", 0));
        write!(f, "{}{letter}", self.0 >> shift)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

pub(crate) fn size_field<'de, D: Deserializer<'de>>(from: D) -> Result<Size, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Number(number) => Ok(Size(number)),
        Written::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

/// A time of a scenario: one that is written down, or any between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// `50ms`.
    Exactly(Duration),
    /// `10ms..150ms`, both included: drawn from the run's seed, in steps of a microsecond.
    Between(Duration, Duration),
}

impl Lapse {
    /// Whether it has to be drawn.
    pub fn is_random(self) -> bool {
        match self {
            Self::Exactly(_) => false,
            Self::Between(..) => true,
        }
    }

    /// One of the times it can be.
    #[must_use]
    pub fn drawn(self, draw: &mut Draw) -> Self {
        match self {
            Self::Exactly(_) => self,
            Self::Between(from, to) => {
                let steps = to.saturating_sub(from).as_micros();
                let steps = draw.up_to(u64::try_from(steps).unwrap_or(u64::MAX));
                Self::Exactly(from + Duration::from_micros(steps))
            }
        }
    }

    /// The time it is, or the longest it can be.
    pub fn longest(self) -> Duration {
        match self {
            Self::Exactly(time) | Self::Between(_, time) => time,
        }
    }
}

impl Default for Lapse {
    /// None at all.
    fn default() -> Self {
        Self::Exactly(Duration::ZERO)
    }
}

impl From<Duration> for Lapse {
    fn from(time: Duration) -> Self {
        Self::Exactly(time)
    }
}

impl FromStr for Lapse {
    type Err = BadUnit;

    fn from_str(word: &str) -> Result<Self, BadUnit> {
        let Some((from, to)) = word.split_once("..") else {
            return duration(word).map(Self::Exactly);
        };
        let (from, to) = (duration(from)?, duration(to)?);
        if from > to {
            return Err(BadUnit { word: word.to_owned(), what: "range like 10ms..150ms" });
        }
        Ok(Self::Between(from, to))
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(time) => f.write_str(&written(*time)),
            Self::Between(from, to) => write!(f, "{}..{}", written(*from), written(*to)),
        }
    }
}

impl Serialize for Lapse {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lapse {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// As [`duration`] reads it: in the largest unit it is a whole number of.
fn written(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let whole = units.into_iter().find(|(_, unit)| nanoseconds.is_multiple_of(*unit));
    let (name, unit) = whole.unwrap_or(("ns", 1));
    format!("{}{name}", nanoseconds / unit)
}

/// As the journal has it: in microseconds, or nanoseconds where there is no whole number of those.
pub(crate) fn told(time: Duration) -> String {
    match time.as_nanos() {
        whole if whole.is_multiple_of(1_000) => format!("{} us", whole / 1_000),
        nanoseconds => format!("{nanoseconds} ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        assert_eq!("64K".parse(), Ok(Size(65536)));
        assert_eq!("4096".parse(), Ok(Size(4096)));
        for word in ["0", "1", "1025", "4K", "64M", "3G", "18446744073709551615"] {
            assert_eq!(word.parse::<Size>().unwrap().to_string(), word);
        }
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        for nonsense in ["", "K", "64X", "-1", "1.5M", "99999999999999999999", "18446744073709551615G", "1MM"]
        {
            assert!(nonsense.parse::<Size>().is_err(), "{nonsense}");
        }
        for nonsense in ["", "ms", "5", "5 ms", "5min", "18446744073709551615s"] {
            assert!(duration(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn times_may_be_ranges_and_are_written_as_they_are_read() {
        let lapse = |word: &str| word.parse::<Lapse>();
        let between = Lapse::Between(Duration::from_millis(10), Duration::from_millis(150));
        assert_eq!(lapse("10ms..150ms"), Ok(between));
        for word in ["0s", "2s", "1500ms", "7us", "1001ns", "10ms..150ms", "0s..1ns"] {
            assert_eq!(lapse(word).unwrap().to_string(), word);
        }
        for nonsense in ["..", "1ms..", "..1ms", "2ms..1ms", "1ms...2ms", "1..2ms"] {
            assert!(lapse(nonsense).is_err(), "{nonsense}");
        }
        let mut draw = Draw::new(7);
        for _ in 0..100 {
            let Lapse::Exactly(time) = between.drawn(&mut draw) else { panic!("it was drawn") };
            assert!((Duration::from_millis(10)..=Duration::from_millis(150)).contains(&time));
        }
    }
}
