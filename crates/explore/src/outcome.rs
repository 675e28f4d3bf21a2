//! What an exploration came to, in words.

use crate::Exploration;
use crate::invariants::Broken;
use barkeep_model::RuleSet;
use std::fmt;
use std::time::Duration;

/// What an exploration came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was explored.
    pub exploration: Exploration,
    /// Whether every invariant holds.
    pub verdict: Verdict,
    /// How much was looked at.
    pub count: Count,
    /// How long it took; the only thing that differs from run to run.
    pub took: Duration,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Distinct states.
    pub states: u64,
    /// Transitions between them.
    pub transitions: u64,
    /// The rules of the specification that decided something on the way.
    pub reached: RuleSet,
}

/// Whether every invariant holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In every state.
    Holds {
        /// No further action leads to a state not yet seen: what was found holds without a bound.
        exhausted: bool,
    },
    /// Not in the last state of the trace, which is one of the shortest.
    Broken {
        /// What is wrong there.
        broken: Broken,
        /// What happened, one line a transition.
        trace: Vec<String>,
    },
}

impl Outcome {
    /// Whether every invariant holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.verdict, Verdict::Holds { .. })
    }

    /// Distinct states a second.
    #[must_use]
    pub fn rate(&self) -> u64 {
        (self.count.states as f64 / self.took.as_secs_f64().max(1e-6)) as u64
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exploration { scenario, depth, mutant, planted } = self.exploration;
        let Count { states, transitions, reached } = self.count;
        writeln!(f, "{scenario}: {}", scenario.what())?;
        if let Some(mutant) = mutant {
            writeln!(f, "  planted   {mutant}")?;
        }
        if let Some(rule) = planted {
            writeln!(f, "  planted   the kernel without {}", rule.name())?;
        }
        writeln!(
            f,
            "  bounds    2 devices, 3 threads, {} sorts of actions, at most {depth} of them",
            scenario.actions().len()
        )?;
        writeln!(f, "  looked at {states} states, {transitions} transitions, {} states/s", self.rate())?;
        writeln!(f, "  reached   {} rules of the specification", reached.len())?;
        match &self.verdict {
            Verdict::Holds { exhausted: true } => {
                write!(f, "  pass      every invariant holds; no further action leads anywhere new")
            }
            Verdict::Holds { exhausted: false } => {
                write!(f, "  pass      every invariant holds, as far as {depth} actions go")
            }
            Verdict::Broken { broken: Broken { invariant, what }, trace } => {
                writeln!(f, "  FAIL      {invariant}: {what}")?;
                writeln!(f, "  the shortest way there:")?;
                for (number, line) in trace.iter().enumerate() {
                    writeln!(f, "  {:3}  {line}", number + 1)?;
                }
                Ok(())
            }
        }
    }
}
