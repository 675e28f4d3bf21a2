//! How often each trigger was let through.

use barkeep_journal::Trigger;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::collections::BTreeMap;

// Counts stand at the number of their trigger.
const _: () = {
    let mut n = 0;
    while n < Trigger::ALL.len() {
        assert!(Trigger::ALL[n] as usize == n);
        n += 1;
    }
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Triggers([u64; Trigger::ALL.len()]);

impl Triggers {
    pub fn add(&mut self, trigger: Trigger, count: u64) {
        let known = &mut self.0[trigger as usize];
        *known = known.saturating_add(count);
    }

    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(trigger, count)| self.add(trigger, count));
    }

    /// Those there were, in the order of [`Trigger::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Trigger, u64)> + use<> {
        Trigger::ALL.iter().copied().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl Serialize for Triggers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(trigger, count)| (trigger.name(), count)))
    }
}

impl<'de> Deserialize<'de> for Triggers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut triggers = Self::default();
        for (name, count) in BTreeMap::<String, u64>::deserialize(deserializer)? {
            let trigger = Trigger::from_name(&name);
            triggers.add(
                trigger.ok_or_else(|| D::Error::custom(format!("no trigger is called `{name}`")))?,
                count,
            );
        }
        Ok(triggers)
    }
}
