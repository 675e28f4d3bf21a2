//! A scenario as it is written down. `docs/interfaces.md` is the reference.

mod about;
mod action;
mod asked;
mod change;
mod perturb;
mod print;
mod problem;
mod storm;
mod told;
mod words;

use crate::nearest;
use crate::units::{Size, size_field};
pub use action::Action;
pub use perturb::Perturb;
use problem::Moves;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
pub use storm::{Ending, MOST_RESETS, MOVES_PER_RESET, Move, Storm, StormActor, revokes};
pub use words::{
    Content, Fate, Hold, Importing, Place, Purpose, Register, Release, Second, Severity, Sight, Spaces,
    Unseen,
};

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
    /// What random times are drawn from, if nobody names another seed; 2^63 - 1 at the most.
    #[serde(default, skip_serializing_if = "is_default")]
    pub seed: Option<u64>,
    /// The guest.
    #[serde(default)]
    pub guest: Guest,
    /// Who plays which device in lanes `model` and `kvm`, as `--device` takes it after the name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub simulated: BTreeMap<String, String>,
    /// How the run is disturbed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub perturb: Perturb,
    /// What makes it a storm: then it is not carried out itself, but an episode of each seed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub storm: Option<Storm>,
    /// What is done, in order; of a storm, before it begins.
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
    /// It is a storm, which is not carried out itself.
    #[error("`{0}` is a storm, of which each seed makes another scenario: `barkeep storm FILE`")]
    Storm(String),
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
        scenario.validate()?;
        Ok(scenario)
    }

    /// Whether it says what can be, as far as words tell.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`].
    pub fn validate(&self) -> Result<(), ScenarioError> {
        match self.problem() {
            Some(problem) => Err(ScenarioError::Invalid { name: self.name.clone(), problem }),
            None => Ok(()),
        }
    }

    /// The same, if it can be carried out as it is.
    ///
    /// # Errors
    /// [`ScenarioError::Storm`].
    pub fn plain(self) -> Result<Self, ScenarioError> {
        match self.storm {
            None => Ok(self),
            Some(_) => Err(ScenarioError::Storm(self.name)),
        }
    }

    /// One that does this, in the smallest guest.
    pub fn of(name: String, actions: Vec<Action>) -> Self {
        Self {
            version: VERSION,
            name,
            topology: None,
            seed: None,
            guest: Guest::default(),
            simulated: BTreeMap::new(),
            perturb: Perturb::default(),
            storm: None,
            actions,
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

    /// The names among those that a second process has as its DMA engine.
    pub fn second_engines(&self) -> Vec<&str> {
        let others = self.others();
        let mut names = self.names(|action| match action {
            Action::Second { engine, .. } => engine.as_deref().into_iter().collect(),
            _ => Vec::new(),
        });
        names.retain(|name| others.contains(name));
        names
    }

    /// The names among those that import by a driver of their own.
    pub fn importers(&self) -> Vec<&str> {
        self.names(|action| match action {
            Action::Importer { engine, .. } => engine.as_deref().into_iter().collect(),
            _ => Vec::new(),
        })
    }

    /// Whether it ends the VMM's process.
    pub fn kills_vmm(&self) -> bool {
        let mut kills = false;
        self.for_each(&mut |action| kills |= *action == Action::KillVmm);
        kills
    }

    /// Whether it counts on each of its faults being logged: it sleeps where one would get lost.
    #[must_use]
    pub fn minds_fault_log(&self) -> bool {
        let mut minds = false;
        self.for_each(&mut |action| {
            minds |= matches!(action, Action::Sleep { purpose: Purpose::FaultLog, .. });
        });
        minds
    }

    fn names<'a>(&'a self, of: impl Fn(&'a Action) -> Vec<&'a str>) -> Vec<&'a str> {
        let mut names = Vec::new();
        self.for_each(&mut |action| {
            for name in of(action) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        });
        names
    }

    /// Shows every action, those of a storm included.
    fn for_each<'a>(&'a self, see: &mut dyn FnMut(&'a Action)) {
        for_each(&self.actions, see);
        for actions in self.storm.iter().flat_map(Storm::lists) {
            for_each(actions, see);
        }
    }

    /// The BAR of a device that it acts on first.
    pub fn first_bar(&self, device: &str) -> Option<u8> {
        let mut first = None;
        self.for_each(&mut |action| {
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
        self.perturb
            .problem()
            .or_else(|| storm::problem_of(&self.actions, self, &mut Moves::default()))
            .or_else(|| self.storm.as_ref().and_then(|storm| storm.problem(self)))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn count(actions: &[Action]) -> Option<u64> {
    actions.iter().try_fold(0u64, |sum, action| match action {
        Action::Repeat { times, actions } => sum.checked_add(times.checked_mul(count(actions)?)?),
        _ => sum.checked_add(1)?.checked_add(count(action.inner())?),
    })
}

/// Shows every action, those of repeats once. As deep as the file nests, which the TOML
/// reader bounds.
pub fn for_each<'a>(actions: &'a [Action], see: &mut dyn FnMut(&'a Action)) {
    for action in actions {
        see(action);
        for_each(action.inner(), see);
    }
}

#[cfg(test)]
#[path = "language_test.rs"]
mod tests;
