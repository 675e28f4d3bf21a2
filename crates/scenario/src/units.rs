//! Sizes, times and numbers as people write them.

use serde::{Deserialize, Deserializer, de::Error};
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

pub(crate) fn duration_field<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    duration(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        assert_eq!("64K".parse(), Ok(Size(65536)));
        assert_eq!("4096".parse(), Ok(Size(4096)));
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        for nonsense in ["", "K", "64X", "-1", "1.5M", "99999999999999999999", "18446744073709551615G", "1MM"]
        {
            assert!(nonsense.parse::<Size>().is_err(), "{nonsense}");
        }
        for nonsense in ["", "ms", "5", "5 ms", "5min", "18446744073709551615s"] {
            assert!(duration(nonsense).is_err(), "{nonsense}");
        }
    }
}
