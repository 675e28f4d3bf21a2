//! What this build is called: a result of one that can have faults planted in it must never pass for another's.

/// For the command line.
#[cfg(not(feature = "planted"))]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// For the command line.
#[cfg(feature = "planted")]
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (a build for planted faults)");

/// For a journal: the version, and the fault that is planted.
pub fn told() -> String {
    format!("barkeep {}{}", env!("CARGO_PKG_VERSION"), barkeep_planted::label())
}

/// `--plant NAME` is the same as the environment variable: it is set, for every process that this one will
/// start, by starting anew.
///
/// # Errors
/// This binary cannot be started again.
#[cfg(feature = "planted")]
pub fn plant(name: Option<&str>) -> anyhow::Result<()> {
    use anyhow::Context;
    use std::os::unix::process::CommandExt;

    let Some(name) =
        name.filter(|name| std::env::var_os(barkeep_planted::VARIABLE).is_none_or(|old| old != *name))
    else {
        return Ok(());
    };
    let mut command = std::process::Command::new("/proc/self/exe");
    let error = command.args(std::env::args_os().skip(1)).env(barkeep_planted::VARIABLE, name).exec();
    Err(error).context("cannot start anew with a fault planted")
}
