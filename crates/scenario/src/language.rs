//! A scenario as it is written down. `docs/interfaces.md` is the reference.

mod action;

use crate::nearest;
use crate::units::{Size, duration_field, size_field};
use serde::Deserialize;
use std::fmt;
use std::time::Duration;

/// The version of the language this crate reads.
pub const VERSION: u32 = 1;
/// The most actions a scenario may come to, repeats counted out.
pub const MOST_ACTIONS: u64 = 1_000_000;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// [`VERSION`].
    pub version: u32,
    /// What reports call it.
    pub name: String,
    /// The emulated machine, in lane `lab`.
    pub topology: Option<String>,
    /// The guest.
    #[serde(default)]
    pub guest: Guest,
    /// What is done, in order.
    #[serde(rename = "action")]
    pub actions: Vec<Action>,
}

/// The guest a scenario needs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guest {
    /// vCPUs, 1–64.
    pub vcpus: u16,
    /// RAM.
    #[serde(deserialize_with = "size_field")]
    pub memory: Size,
}

impl Default for Guest {
    fn default() -> Self {
        Self { vcpus: 1, memory: Size(64 << 20) }
    }
}

/// A place in a BAR.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The device's name.
    pub device: String,
    /// BAR index.
    pub bar: u8,
    /// Bytes from its start.
    #[serde(default)]
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}+{:#x}", self.device, self.bar, self.offset)
    }
}

/// What a guest CPU is to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// The pattern.
    #[default]
    Holds,
    /// All ones: nobody answers.
    Ones,
    /// Something, but not the pattern.
    Differs,
}

/// What is to become of a DMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The data arrives and no fault is recorded.
    Lands,
    /// The data does not arrive and the IOMMU records the fault.
    Faults,
}

/// What somebody else does with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unseen {
    /// Turns memory decode off.
    DecodeOff,
    /// Turns memory decode on.
    DecodeOn,
    /// Resets it.
    DeviceReset,
}

/// What a sleep is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Nothing but itself.
    #[default]
    Itself,
    /// Until the log that fault records are read from takes some again; needless where it takes
    /// every one.
    FaultLog,
}

/// One action.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are the table of docs/interfaces.md")]
pub enum Action {
    /// A guest CPU writes 32-bit words.
    Fill {
        to: Place,
        #[serde(default = "page")]
        size: u64,
        pattern: u32,
        #[serde(default)]
        vcpu: usize,
    },
    /// A guest CPU reads and compares.
    Verify {
        at: Place,
        #[serde(default = "page")]
        size: u64,
        pattern: u32,
        #[serde(default)]
        vcpu: usize,
        #[serde(default)]
        expect: Content,
    },
    /// An engine copies a pattern into a BAR, and what became of it is looked at.
    Dma {
        engine: String,
        to: Place,
        #[serde(default = "dma_size")]
        size: u64,
        pattern: u32,
        expect: Fate,
    },
    /// The same, only commanded.
    DmaStart {
        engine: String,
        to: Place,
        #[serde(default = "dma_size")]
        size: u64,
        pattern: u32,
    },
    /// What became of it.
    DmaFinish { engine: String, expect: Fate },
    /// PCIe FLR, written bare.
    Flr {
        device: String,
        #[serde(default)]
        vcpu: usize,
    },
    /// Advanced Features FLR.
    AfFlr {
        device: String,
        #[serde(default)]
        vcpu: usize,
    },
    /// Memory decode off.
    DecodeOff {
        device: String,
        #[serde(default)]
        vcpu: usize,
    },
    /// Memory decode on.
    DecodeOn {
        device: String,
        #[serde(default)]
        vcpu: usize,
    },
    /// Power state D3hot.
    D3hot {
        device: String,
        #[serde(default)]
        vcpu: usize,
    },
    /// Power state D0.
    D0 {
        device: String,
        #[serde(default)]
        vcpu: usize,
    },
    /// `VFIO_DEVICE_RESET` by the VMM.
    DeviceReset {
        device: String,
        #[serde(default = "ok")]
        expect: String,
    },
    /// The device file closed by the VMM.
    Close { device: String },
    /// Somebody else who holds the device file does something; the VMM is not told.
    Unseen { device: String, what: Unseen },
    /// The VMM is told that something may have happened unseen.
    Suspect { device: String },
    /// An attach, for its errno.
    Attach {
        to: Place,
        #[serde(default, deserialize_with = "duration_field")]
        after: Duration,
        #[serde(default)]
        background: bool,
        expect: String,
    },
    /// A vCPU writes and reads a page of a BAR, on and on.
    Hammer {
        at: Place,
        vcpu: usize,
        #[serde(default, deserialize_with = "duration_field")]
        pause: Duration,
    },
    /// Ends all hammering.
    HammerStop {
        #[serde(default)]
        answered: u64,
    },
    /// The guest halts.
    Sleep {
        #[serde(deserialize_with = "duration_field")]
        time: Duration,
        #[serde(default)]
        vcpu: usize,
        #[serde(default, rename = "for")]
        purpose: Purpose,
    },
    /// The guest halts, and so should the VMM.
    Idle {
        #[serde(deserialize_with = "duration_field")]
        time: Duration,
        #[serde(default)]
        vcpu: usize,
    },
    /// A list, several times.
    Repeat {
        times: u64,
        #[serde(rename = "action")]
        actions: Vec<Action>,
    },
}

fn page() -> u64 {
    4096
}

fn dma_size() -> u64 {
    256
}

fn ok() -> String {
    "ok".into()
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

    /// The names of the devices it acts on, each once, in order of appearance.
    pub fn devices(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for_each(&self.actions, &mut |action| {
            for name in action.devices() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        });
        names
    }

    /// The names among them that are DMA engines to it.
    pub fn engines(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for_each(&self.actions, &mut |action| {
            if let Some(name) = action.engine()
                && !names.contains(&name)
            {
                names.push(name);
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
        let mut problem = None;
        for_each(&self.actions, &mut |action| {
            if problem.is_none() {
                problem = action.problem(self.guest.vcpus);
            }
        });
        problem
    }
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
