//! A scenario as it is written down. `docs/interfaces.md` is the reference.

mod about;
mod action;
mod print;
mod problem;
mod told;
mod words;

use crate::nearest;
use crate::units::{Size, size_field};
pub use action::Action;
use problem::Moves;
use serde::{Deserialize, Serialize};
pub use words::{Content, Fate, Hold, Place, Purpose, Release, Sight, Spaces, Unseen};

/// The version of the language this crate reads.
pub const VERSION: u32 = 1;
/// The most actions a scenario may come to, repeats counted out.
pub const MOST_ACTIONS: u64 = 1_000_000;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// [`VERSION`].
    pub version: u32,
    /// What reports call it.
    pub name: String,
    /// The emulated machine, in lane `lab`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub topology: Option<String>,
    /// The guest.
    #[serde(default)]
    pub guest: Guest,
    /// What is done, in order.
    #[serde(rename = "action")]
    pub actions: Vec<Action>,
}

/// The guest a scenario needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guest {
    /// vCPUs, 1–64.
    pub vcpus: u16,
    /// RAM.
    #[serde(deserialize_with = "size_field")]
    pub memory: Size,
    /// I/O address spaces.
    #[serde(skip_serializing_if = "is_default")]
    pub spaces: Spaces,
}

impl Default for Guest {
    fn default() -> Self {
        Self { vcpus: 1, memory: Size(64 << 20), spaces: Spaces::default() }
    }
}

/// Why a text is not a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or not of this form.
    #[error("{0}")]
    Syntax(String),
    /// Another version of the language.
    #[error("scenario version {0}; this Barkeep reads version {VERSION}")]
    Version(u32),
    /// It says something that cannot be.
    #[error("scenario `{name}`: {problem}")]
    Invalid {
        /// Which scenario.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// See [`ScenarioError`].
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        // The version first: another one may well have keys this one does not know.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let syntax = |error: toml::de::Error| ScenarioError::Syntax(nearest::explain(&error));
        let Versioned { version } = toml::from_str(text).map_err(syntax)?;
        if version != VERSION {
            return Err(ScenarioError::Version(version));
        }
        let scenario: Self = toml::from_str(text).map_err(syntax)?;
        match scenario.problem() {
            Some(problem) => Err(ScenarioError::Invalid { name: scenario.name, problem }),
            None => Ok(scenario),
        }
    }

    /// The names of the VM's devices, each once, in order of appearance.
    pub fn devices(&self) -> Vec<&str> {
        self.names(|action| action.devices())
    }

    /// The names among them that are DMA engines to it.
    pub fn engines(&self) -> Vec<&str> {
        self.names(|action| action.engine().into_iter().collect())
    }

    /// The names of devices that only an administrator acts on: they need not be in the VM.
    pub fn others(&self) -> Vec<&str> {
        let devices = self.devices();
        let mut names = self.names(|action| action.administered().into_iter().collect());
        names.retain(|name| !devices.contains(name));
        names
    }

    fn names<'a>(&'a self, of: impl Fn(&'a Action) -> Vec<&'a str>) -> Vec<&'a str> {
        let mut names = Vec::new();
        for_each(&self.actions, &mut |action| {
            for name in of(action) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        });
        names
    }

    /// The BAR of a device that it acts on first.
    pub fn first_bar(&self, device: &str) -> Option<u8> {
        let mut first = None;
        for_each(&self.actions, &mut |action| {
            let place = action.place().filter(|place| place.device == device);
            first = first.or(place.map(|place| place.bar));
        });
        first
    }

    fn problem(&self) -> Option<String> {
        if !(1..=64).contains(&self.guest.vcpus) {
            return Some(format!("{} vCPUs; 1 to 64 are possible", self.guest.vcpus));
        }
        if count(&self.actions).is_none_or(|n| n > MOST_ACTIONS) {
            return Some(format!("more than {MOST_ACTIONS} actions, repeats counted out"));
        }
        let (mut problem, mut moves) = (None, Moves::default());
        for_each(&self.actions, &mut |action| {
            if problem.is_none() {
                problem = action.problem(self.guest.vcpus).or_else(|| moves.next(action));
            }
        });
        problem
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn count(actions: &[Action]) -> Option<u64> {
    actions.iter().try_fold(0u64, |sum, action| match action {
        Action::Repeat { times, actions } => sum.checked_add(times.checked_mul(count(actions)?)?),
        _ => sum.checked_add(1),
    })
}

/// Shows every action, those of repeats once. As deep as the file nests, which the TOML
/// reader bounds.
fn for_each<'a>(actions: &'a [Action], see: &mut dyn FnMut(&'a Action)) {
    for action in actions {
        see(action);
        if let Action::Repeat { actions, .. } = action {
            for_each(actions, see);
        }
    }
}

#[cfg(test)]
#[path = "language_test.rs"]
mod tests;
