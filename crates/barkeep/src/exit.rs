//! Exit statuses: one table for every command (`docs/interfaces.md`).

use std::process::ExitCode;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Pass,
    /// 1: an invariant is broken, an expectation not met.
    Broken,
    /// 2: what was typed or named is wrong.
    Usage,
    /// 4: the lane is not available.
    Skipped,
    /// 124: time-out or hang.
    TimedOut,
    /// 125: the testbed itself failed.
    Testbed,
    /// 130: Ctrl-C.
    Interrupted,
    /// Another program's own status.
    Other(u8),
}

impl Exit {
    /// As a number.
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Broken => 1,
            Self::Usage => 2,
            Self::Skipped => 4,
            Self::TimedOut => 124,
            Self::Testbed => 125,
            Self::Interrupted => 130,
            Self::Other(status) => status,
        }
    }

    /// Of a number.
    pub fn from_code(code: i32) -> Self {
        match code {
            0 => Self::Pass,
            1 => Self::Broken,
            2 => Self::Usage,
            4 => Self::Skipped,
            124 => Self::TimedOut,
            125 => Self::Testbed,
            130 => Self::Interrupted,
            other => u8::try_from(other).map_or(Self::Testbed, Self::Other),
        }
    }

    /// Of an error: what its cause says, or 125 where nobody typed anything wrong.
    pub fn of(error: &anyhow::Error) -> Self {
        error.downcast_ref::<Wrong>().map_or(Self::Testbed, |wrong| wrong.exit)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Marks an error with the status it ends in; its text is the message's first part.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Wrong {
    exit: Exit,
    what: String,
}

impl Wrong {
    /// A status, and what was being done.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into() }
    }
}

/// Gives an error the status of a mistake in what was typed or named.
pub trait UsageExt<T> {
    /// Status 2, with what was being done.
    fn usage(self, what: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> UsageExt<T> for Result<T, E> {
    fn usage(self, what: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| error.into().context(Wrong { exit: Exit::Usage, what: what.into() }))
    }
}

/// An error and its causes, in one line: each once, though some libraries' errors repeat their source, and in the
/// system's words without their number.
#[must_use]
pub fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let text = without_number(&cause.to_string());
        if told.is_empty() {
            told = text;
        } else if !told.ends_with(&text) {
            told = format!("{told}: {text}");
        }
    }
    told
}

/// A text without "(os error 2)", wherever that stands.
fn without_number(text: &str) -> String {
    const MARK: &str = " (os error ";
    let mut parts = text.split(MARK);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or(part, |(_number, rest)| rest))
}

/// An error with a status of its own.
pub fn wrong(exit: Exit, what: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Wrong { exit, what: what.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_and_in_words() {
        let cause = || std::io::Error::from_raw_os_error(22);
        let error = anyhow::Error::new(cause()).context(format!("cannot bind: {}", cause())).context("no VM");
        assert_eq!(told(&error), "no VM: cannot bind: Invalid argument");
        assert_eq!(without_number("a (os error 2): b (os error 22)"), "a: b");
        assert_eq!(without_number("(os error"), "(os error");
    }

    #[test]
    fn statuses_are_those_of_the_table() {
        for exit in [
            Exit::Pass,
            Exit::Broken,
            Exit::Usage,
            Exit::Skipped,
            Exit::TimedOut,
            Exit::Testbed,
            Exit::Interrupted,
        ] {
            assert_eq!(Exit::from_code(exit.code().into()), exit);
        }
        assert_eq!(Exit::from_code(7), Exit::Other(7));
        assert_eq!(Exit::from_code(-9), Exit::Testbed);
    }

    #[test]
    fn a_marked_error_keeps_its_status_under_context() {
        let error = std::fs::read("/none").usage("cannot read the scenario").unwrap_err();
        assert_eq!(Exit::of(&error.context("more")), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("x")), Exit::Testbed);
    }
}
