//! A row of the table: something that is done, what is expected of it, and what was seen.

use crate::stage::Stage;
use barkeep_model::Errno;
use std::fmt;

/// One.
pub struct Row {
    /// What the row is about; rows of the same come together.
    pub about: &'static str,
    /// What is done.
    pub what: String,
    /// What is expected of it.
    pub expected: String,
    run: Box<Deed>,
}

/// What a row does.
type Deed = dyn Fn(&Stage) -> Result<Seen, Trouble>;

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What was expected, in words of what was observed.
    Expected(String),
    /// Something else.
    Other(String),
    /// This kernel, or this machine, has no way to do it; why.
    Unable(String),
}

impl Seen {
    /// Whether `observed` is what was expected.
    pub(crate) fn new(expected: bool, observed: impl Into<String>) -> Self {
        let observed = observed.into();
        if expected { Self::Expected(observed) } else { Self::Other(observed) }
    }

    /// One of several answers that are all to be as expected; none is no answer.
    pub(crate) fn all(answers: Vec<(String, bool)>) -> Self {
        let holds = !answers.is_empty() && answers.iter().all(|(_, holds)| *holds);
        let words =
            answers.into_iter().map(|(words, holds)| if holds { words } else { format!("NOT {words}") });
        Self::new(holds, words.collect::<Vec<_>>().join("; "))
    }
}

/// What a row needs on its way, and could not have.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {errno}")]
pub struct Trouble {
    step: &'static str,
    errno: Errno,
}

/// Names the step that an errno is of.
pub(crate) trait StepExt<T> {
    fn step(self, step: &'static str) -> Result<T, Trouble>;
}

impl<T> StepExt<T> for Result<T, Errno> {
    fn step(self, step: &'static str) -> Result<T, Trouble> {
        self.map_err(|errno| Trouble { step, errno })
    }
}

impl Row {
    pub(crate) fn new(
        about: &'static str,
        what: impl Into<String>,
        expected: impl Into<String>,
        run: impl Fn(&Stage) -> Result<Seen, Trouble> + 'static,
    ) -> Self {
        Self { about, what: what.into(), expected: expected.into(), run: Box::new(run) }
    }

    /// Does it.
    #[must_use]
    pub fn carry_out(&self, stage: &Stage) -> Seen {
        (self.run)(stage).unwrap_or_else(|trouble| Seen::Other(trouble.to_string()))
    }
}

/// An answer of the kernel, as rows show it.
pub(crate) struct Answer<'a, T>(pub(crate) &'a Result<T, Errno>);

impl<T> fmt::Display for Answer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(_) => f.write_str("ok"),
            Err(errno) => errno.fmt(f),
        }
    }
}

/// What a call answered, beside whether it is what was expected.
pub(crate) fn answered<T>(
    what: &str,
    answer: &Result<T, Errno>,
    expected: Result<(), Errno>,
) -> (String, bool) {
    let holds = match (answer, expected) {
        (Ok(_), Ok(())) => true,
        (Err(errno), Err(wanted)) => *errno == wanted,
        _ => false,
    };
    (format!("{what}: {}", Answer(answer)), holds)
}
