//! Which devices: a name and an address each.

use barkeep_journal::DeviceAddress;
use std::env;

/// The environment variable the lab names its devices in.
pub const VARIABLE: &str = "BARKEEP_DEVICES";

/// A device by the name the topology gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name.
    pub name: String,
    /// Where it is.
    pub address: DeviceAddress,
}

/// Why it is not known which devices are meant.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// The variable is not there.
    #[error("{VARIABLE} is not set: no lab runs this; name devices as in {VARIABLE}=\"nvme=0000:01:00.0\"")]
    NotSet,
    /// One of the words in it is not `name=address`.
    #[error("`{0}` in {VARIABLE} is not of the form nvme=0000:01:00.0")]
    NotAPlace(String),
}

impl Place {
    /// The devices [`VARIABLE`] names, in its order.
    ///
    /// # Errors
    /// It is not set, or says something else.
    pub fn all_named() -> Result<Vec<Self>, PlacesError> {
        Self::parse(&env::var(VARIABLE).map_err(|_| PlacesError::NotSet)?)
    }

    /// Reads `nvme=0000:01:00.0 edu=0000:02:00.0`.
    ///
    /// # Errors
    /// A word of it is not of that form.
    pub fn parse(words: &str) -> Result<Vec<Self>, PlacesError> {
        let place = |word: &str| {
            let (name, address) = word.split_once('=')?;
            Some(Self { name: name.to_owned(), address: address.parse().ok()? })
        };
        let words = words.split_whitespace();
        words.map(|word| place(word).ok_or_else(|| PlacesError::NotAPlace(word.to_owned()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let places = Place::parse("nvme=0000:00:03.0  edu=0000:01:00.1").unwrap();
        let shown: Vec<_> = places.iter().map(|p| format!("{} {}", p.name, p.address)).collect();
        assert_eq!(shown, ["nvme 0000:00:03.0", "edu 0000:01:00.1"]);
        assert_eq!(Place::parse("").unwrap(), []);
        for wrong in ["nvme", "nvme=3", "nvme 0000:00:03.0"] {
            assert!(Place::parse(wrong).unwrap_err().to_string().contains("nvme=0000:01:00.0"), "{wrong}");
        }
    }
}
