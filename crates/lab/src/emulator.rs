//! Finds QEMU and looks whether it is one that will do.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names another QEMU than the one in `PATH`.
pub const OVERRIDE: &str = "BARKEEP_QEMU";
/// The oldest version that will do: major, minor.
pub const OLDEST: (u32, u32) = (8, 2);
const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "install the package that has it (Debian, Ubuntu: qemu-system-x86)";

/// Why there is no emulator.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// Not in `PATH`.
    #[error("{PROGRAM} is not in PATH: {PACKAGE}, or name one in {OVERRIDE}")]
    Missing,
    /// [`OVERRIDE`] names something that cannot be run.
    #[error("{OVERRIDE} names {path}, which cannot be run")]
    NotRunnable {
        /// What it names.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It does not answer `--version` as QEMU does.
    #[error("{path} does not say which version of QEMU it is: {PACKAGE}")]
    NotQemu {
        /// The program.
        path: PathBuf,
    },
    /// Older than [`OLDEST`].
    #[error("{path} is QEMU {}.{}, at least {}.{} is needed: {PACKAGE}", found.0, found.1, OLDEST.0, OLDEST.1)]
    TooOld {
        /// The program.
        path: PathBuf,
        /// Its version: major, minor.
        found: (u32, u32),
    },
}

impl EmulatorError {
    /// Whether the user named the wrong program, rather than the machine lacking the right one.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotRunnable { .. })
    }
}

/// The QEMU to use.
///
/// # Errors
/// There is none, or none that will do.
pub fn find() -> Result<PathBuf, EmulatorError> {
    let named = env::var_os(OVERRIDE).filter(|name| !name.is_empty());
    let path = match &named {
        Some(path) => PathBuf::from(path),
        None => in_path(env::var_os("PATH")).ok_or(EmulatorError::Missing)?,
    };
    let answer = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
    let answer = answer.map_err(|source| EmulatorError::NotRunnable { path: path.clone(), source })?;
    let found = version_of(&String::from_utf8_lossy(&answer.stdout));
    match found {
        None => Err(EmulatorError::NotQemu { path }),
        Some(found) if found < OLDEST => Err(EmulatorError::TooOld { path, found }),
        Some(_) => Ok(path),
    }
}

fn in_path(path: Option<OsString>) -> Option<PathBuf> {
    env::split_paths(&path?).map(|dir| dir.join(PROGRAM)).find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Major and minor from `QEMU emulator version 10.0.2 (…)`.
fn version_of(answer: &str) -> Option<(u32, u32)> {
    let version = answer.split("QEMU emulator version ").nth(1)?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_distributions_print_them() {
        assert_eq!(version_of("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\n"), Some((10, 0)));
        assert_eq!(version_of("QEMU emulator version 8.1.0\nCopyright"), Some((8, 1)));
        assert_eq!(version_of("QEMU emulator version 9.2.50-dirty"), Some((9, 2)));
        assert_eq!(version_of("something else 9.2"), None);
    }

    #[test]
    fn looks_along_the_path() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(in_path(Some(dir.path().into())), None);
        assert_eq!(in_path(None), None);
        let program = dir.path().join(PROGRAM);
        std::fs::write(&program, "").unwrap();
        assert_eq!(in_path(Some(dir.path().into())), None, "not executable");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        assert_eq!(in_path(Some(dir.path().into())), Some(program));
    }
}
