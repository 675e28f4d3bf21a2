//! A JSON object as it was written: keys in their order, none lost because it stands there twice.

use crate::refusal::{Refusal, RefusalKind};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The pairs of an object.
pub(crate) struct Object(Vec<(String, Value)>);

impl Object {
    /// That of a line.
    pub fn parse(line: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(line).map_err(|error| {
            let kind = match error.classify() {
                // JSON of the wrong shape.
                serde_json::error::Category::Data => RefusalKind::NotARequest,
                serde_json::error::Category::Io
                | serde_json::error::Category::Syntax
                | serde_json::error::Category::Eof => RefusalKind::NotJson,
            };
            Refusal::new(kind, format!("not a request: {error}"))
        })
    }

    /// The value of a key, if it is there, and gone by that.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// The first key that nobody has taken.
    pub fn left(&self) -> Option<&str> {
        self.0.first().map(|(name, _)| name.as_str())
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs: Vec<(String, Value)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if pairs.iter().any(|(name, _)| *name == key) {
                        return Err(serde::de::Error::custom("a key stands there twice"));
                    }
                    pairs.push((key, value));
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}
