//! How long something took, many times: exact while there are few different times, in three
//! digits beyond. Virtual time has few, and what stands in a report is then what was counted.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Different times that are kept as they are.
const EXACT: usize = 256;
/// Digits of those beyond.
const DIGITS: u8 = 3;
/// The longest that is told apart: ten hours.
const LONGEST: u64 = 36_000_000_000_000;

/// How many a file can have. No run comes near, and sums of it do not overflow.
const MOST: u64 = 1 << 53;

/// Many durations, nanoseconds of one clock.
#[derive(Clone, Debug)]
pub struct Durations(Kept);

#[derive(Clone, Debug)]
enum Kept {
    /// Each with its count, the shortest first.
    Exact(Vec<(u64, u64)>),
    Rounded {
        histogram: Box<Histogram<u64>>,
        /// As it was.
        longest: u64,
    },
}

impl Default for Durations {
    fn default() -> Self {
        Self(Kept::Exact(Vec::new()))
    }
}

impl Durations {
    /// How many there are.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Kept::Exact(times) => times.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)),
            Kept::Rounded { histogram, .. } => histogram.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The shortest that so many of a hundred do not exceed. `None` where there are none.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let wanted = (u128::from(self.count()) * u128::from(percent.min(100))).div_ceil(100).max(1);
        let mut passed = 0;
        let reached = |&(_, count): &(u64, u64)| {
            passed += u128::from(count);
            passed >= wanted
        };
        // The last bucket is as wide as the longest rounded; that is known.
        self.recorded().into_iter().find(reached).map(|(ns, _)| ns.min(self.max().unwrap_or(ns)))
    }

    /// The longest.
    pub fn max(&self) -> Option<u64> {
        match &self.0 {
            Kept::Exact(times) => times.last().map(|(ns, _)| *ns),
            Kept::Rounded { longest, .. } => Some(*longest),
        }
    }

    /// One more.
    pub fn add(&mut self, ns: u64) {
        self.add_many(ns, 1);
    }

    /// Takes those of another run in.
    pub(crate) fn merge(&mut self, other: &Self) {
        match &other.0 {
            Kept::Exact(times) => times.iter().for_each(|(ns, count)| self.add_many(*ns, *count)),
            Kept::Rounded { histogram: others, longest: others_longest } => {
                self.round();
                if let Kept::Rounded { histogram, longest } = &mut self.0 {
                    histogram.add(&**others).expect("histograms of the same bounds");
                    *longest = (*longest).max(*others_longest);
                }
            }
        }
    }

    fn add_many(&mut self, ns: u64, count: u64) {
        match &mut self.0 {
            Kept::Exact(times) => match times.binary_search_by_key(&ns, |(ns, _)| *ns) {
                Ok(at) => times[at].1 = times[at].1.saturating_add(count),
                Err(at) if times.len() < EXACT => times.insert(at, (ns, count)),
                Err(_) => {
                    self.round();
                    self.add_many(ns, count);
                }
            },
            Kept::Rounded { histogram, longest } => {
                histogram.saturating_record_n(ns.min(LONGEST), count);
                *longest = ns.max(*longest);
            }
        }
    }

    /// Gives up what each was to the nanosecond.
    fn round(&mut self) {
        let Kept::Exact(times) = &self.0 else { return };
        let histogram =
            Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("constant bounds that are valid");
        let mut rounded = Self(Kept::Rounded { histogram: Box::new(histogram), longest: 0 });
        times.iter().for_each(|(ns, count)| rounded.add_many(*ns, *count));
        *self = rounded;
    }

    /// Each with its count, the shortest first.
    pub fn recorded(&self) -> Vec<(u64, u64)> {
        match &self.0 {
            Kept::Exact(times) => times.clone(),
            Kept::Rounded { histogram, .. } => histogram
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
                .collect(),
        }
    }
}

impl PartialEq for Durations {
    fn eq(&self, other: &Self) -> bool {
        let exact = |durations: &Self| matches!(durations.0, Kept::Exact(_));
        exact(self) == exact(other) && self.max() == other.max() && self.recorded() == other.recorded()
    }
}

impl Eq for Durations {}

/// As it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Each time in nanoseconds, and how often.
    ns: Vec<(u64, u64)>,
    /// There where times are rounded: the longest as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rounded_to: Option<u64>,
}

impl Serialize for Durations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded_to = match self.0 {
            Kept::Exact(_) => None,
            Kept::Rounded { longest, .. } => Some(longest),
        };
        Written { ns: self.recorded(), rounded_to }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Durations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { ns, rounded_to } = Written::deserialize(deserializer)?;
        let all = ns.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
        if all.is_none_or(|all| all > MOST) {
            return Err(D::Error::custom("more durations than there can be"));
        }
        let mut durations = Self::default();
        if rounded_to.is_some() {
            durations.round();
        }
        ns.into_iter().for_each(|(ns, count)| durations.add_many(ns, count));
        if let (Kept::Rounded { longest, .. }, Some(written)) = (&mut durations.0, rounded_to) {
            // What is read back is as far as its bucket reaches.
            *longest = written;
        }
        Ok(durations)
    }
}

#[cfg(test)]
#[path = "durations_test.rs"]
mod tests;
