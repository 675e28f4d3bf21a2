//! How a run ended.

use crate::error::{EXIT_TESTBED, EXIT_TIME_OUT};
use barkeep_journal::Event;
use std::fmt;
use std::time::Duration;

/// What PID 1 says on the console begins with this.
pub(crate) const PID_1_SAYS: &str = "barkeep: PID 1";

/// How a run ended, where the testbed itself did its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The inner command ended, and the machine was switched off.
    Finished {
        /// The inner command's status.
        status: i32,
        /// The files that came out, relative to the results.
        files: Vec<String>,
    },
    /// It took longer, on the wall, than it was given.
    TimedOut {
        /// What it was given.
        after: Duration,
        /// Whether the kernel ever started PID 1.
        reached_init: bool,
        /// The last thing that is known of it.
        last: Option<Box<Event>>,
    },
    /// A task hung in the kernel, and for longer than anything takes nobody did anything.
    Hung {
        /// What the kernel said of the task.
        line: String,
    },
    /// The machine went down by itself: the kernel died.
    Died {
        /// Whether the kernel ever started PID 1.
        reached_init: bool,
        /// The serial console's last lines.
        console: Vec<String>,
    },
    /// SIGINT or SIGTERM ended it.
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}

impl Outcome {
    /// The status to exit with: the inner command's own; 124 for a time-out or a hang; 1 for a kernel
    /// that died under the command (it did not stay clean), 125 for one that never got so
    /// far; 128 and the signal's number.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Finished { status, .. } => *status,
            Self::TimedOut { .. } | Self::Hung { .. } => EXIT_TIME_OUT,
            Self::Died { reached_init: true, .. } => 1,
            Self::Died { reached_init: false, .. } => EXIT_TESTBED,
            Self::Interrupted { signal } => 128 + signal,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished { status, .. } => write!(f, "the inner command ended with status {status}"),
            Self::TimedOut { after, reached_init: false, .. } => {
                write!(f, "timed out after {} s: the kernel never started PID 1", after.as_secs())
            }
            Self::TimedOut { after, last, .. } => {
                write!(f, "timed out after {} s", after.as_secs())?;
                match last {
                    Some(last) => {
                        let Event { kind, phase, time_ns, text, .. } = &**last;
                        write!(f, "; last event, at {time_ns} ns: {kind} {phase} {text}")
                    }
                    None => write!(f, " before the first event"),
                }
            }
            Self::Hung { line } => write!(f, "it hangs: {line}"),
            Self::Died { reached_init, console } => {
                let when =
                    if *reached_init { "under the command" } else { "before PID 1 had set up its journal" };
                write!(f, "the machine went down {when}")?;
                let tells = |line: &&String| line.contains("Kernel panic") || line.starts_with(PID_1_SAYS);
                match console.iter().find(tells) {
                    Some(line) => write!(f, ": {line}"),
                    None => Ok(()),
                }
            }
            Self::Interrupted { signal } => write!(f, "ended by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_tables() {
        let died = |reached_init| Outcome::Died { reached_init, console: Vec::new() };
        let timed_out = Outcome::TimedOut { after: Duration::from_secs(3), reached_init: false, last: None };
        assert_eq!(Outcome::Finished { status: 7, files: Vec::new() }.exit_code(), 7);
        assert_eq!(timed_out.exit_code(), 124);
        assert_eq!((died(true).exit_code(), died(false).exit_code()), (1, 125));
        assert_eq!(Outcome::Interrupted { signal: 2 }.exit_code(), 130);
        assert!(timed_out.to_string().contains("never started PID 1"));
    }
}
