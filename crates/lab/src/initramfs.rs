//! The root file system: the running executable as `/init`, its orders, and the files
//! named on the command line. Nothing of a distribution.

use crate::cpio::Writer;
use crate::elf::{self, Elf};
use crate::inside::{self, Orders};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of the machine outside, put where the inner command line finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The file outside.
    pub host: PathBuf,
    /// Its absolute path inside.
    pub inner: String,
}

impl Carried {
    /// The `number`th carried file, `/in/NUMBER-BASENAME` inside: two of the same name do
    /// not meet.
    pub fn new(number: usize, host: impl Into<PathBuf>) -> Self {
        let host = host.into();
        let name = host.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { inner: format!("/in/{number}-{name}"), host }
    }
}

/// Why there is no initramfs.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// A file that was named, or one below the shared directory, cannot be read.
    #[error("cannot carry {path} into the machine")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The running executable cannot be read.
    #[error("cannot read the running executable")]
    Executable(#[source] io::Error),
    /// The running executable needs a dynamic linker, of which there is none inside.
    #[error("this executable is not static and cannot be PID 1: build it with -C target-feature=+crt-static")]
    NotStatic,
    /// More than the format, or any machine, has room for.
    #[error("{0} is larger than an initramfs can hold")]
    TooLarge(PathBuf),
}

impl InitramfsError {
    /// Whether the user named something wrong, rather than the binary being of the wrong sort.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::TooLarge(_))
    }
}

/// The archive the kernel unpacks.
pub(crate) fn build(
    orders: &Orders,
    carried: &[Carried],
    share: Option<&Path>,
    importer: Option<&Path>,
) -> Result<Vec<u8>, InitramfsError> {
    let mut writer = with_this_program(&["dev", "proc", "sys", "tmp", "out", "barkeep", "in", "share"])?;
    let json = serde_json::to_vec(orders).expect("strings and booleans are always JSON");
    writer.file(inside::PATH.trim_start_matches('/'), false, &json);
    if let Some(importer) = importer {
        writer.file(inside::IMPORTER.trim_start_matches('/'), false, &contents(importer)?);
    }
    for file in carried {
        writer.file(file.inner.trim_start_matches('/'), true, &contents(&file.host)?);
    }
    if let Some(share) = share {
        add_tree(&mut writer, share, "share")?;
    }
    Ok(writer.finish())
}

/// An archive whose init is this very program; `mark` is an empty file in it, by which it knows where it is.
///
/// # Errors
/// This program cannot be read, or is not static.
pub fn guest_initrd(mark: &str) -> Result<Vec<u8>, InitramfsError> {
    let mut writer = with_this_program(&["dev", "proc", "sys"])?;
    writer.file(mark.trim_start_matches('/'), false, &[]);
    Ok(writer.finish())
}

/// One with these directories, a console, and this program as init.
fn with_this_program(directories: &[&str]) -> Result<Writer, InitramfsError> {
    let init = fs::read("/proc/self/exe").map_err(InitramfsError::Executable)?;
    if Elf::parse(&init).is_none_or(|elf| elf.has_interpreter()) {
        return Err(InitramfsError::NotStatic);
    }
    let mut writer = Writer::new();
    for name in directories {
        writer.directory(name);
    }
    writer.character_device("dev/console", 5, 1);
    // Section tables and debug information are for debuggers outside; unpacking them costs
    // time at every boot.
    writer.file("init", true, &elf::loadable_part(&init));
    Ok(writer)
}

/// Everything below `dir`, in the order of names.
fn add_tree(writer: &mut Writer, dir: &Path, inner: &str) -> Result<(), InitramfsError> {
    let unreadable = |source| InitramfsError::Unreadable { path: dir.to_owned(), source };
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = format!("{inner}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() {
            writer.directory(&name);
            add_tree(writer, &path, &name)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(unreadable)?;
            writer.symlink(&name, &target.to_string_lossy());
        } else if kind.is_file() {
            writer.file(&name, is_executable(&entry), &contents(&path)?);
        }
    }
    Ok(())
}

fn is_executable(entry: &fs::DirEntry) -> bool {
    use std::os::unix::fs::PermissionsExt;
    entry.metadata().is_ok_and(|data| data.permissions().mode() & 0o111 != 0)
}

fn contents(path: &Path) -> Result<Vec<u8>, InitramfsError> {
    let bytes =
        fs::read(path).map_err(|source| InitramfsError::Unreadable { path: path.to_owned(), source })?;
    match u32::try_from(bytes.len()) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(InitramfsError::TooLarge(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpio;
    use crate::topology::Topology;

    #[test]
    fn holds_init_orders_carried_files_and_the_shared_tree_the_same_every_time() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/file"), b"shared").unwrap();
        fs::write(dir.path().join("scenario"), b"carried").unwrap();
        let orders = Orders::new(&Topology::named_or_file("nvme-edu").unwrap(), false, &["hello".into()]);
        let carried = [Carried::new(0, dir.path().join("scenario"))];
        let archive = build(&orders, &carried, Some(dir.path()), None).unwrap();
        assert_eq!(archive, build(&orders, &carried, Some(dir.path()), None).unwrap());
        let files = cpio::read(&archive).unwrap();
        let body = |name: &str| files.iter().find(|file| file.name == name).map(|file| file.body);
        assert_eq!(body("in/0-scenario"), Some(&b"carried"[..]));
        assert_eq!(body("share/sub/file"), Some(&b"shared"[..]));
        assert_eq!(serde_json::from_slice::<Orders>(body("barkeep/lab.json").unwrap()).unwrap(), orders);
        assert!(Elf::parse(body("init").unwrap()).is_some());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let orders = Orders::new(&Topology::named_or_file("nvme-edu").unwrap(), false, &[]);
        let error = build(&orders, &[Carried::new(0, "/no/such/file")], None, None).unwrap_err();
        assert!(error.to_string().contains("/no/such/file") && error.is_usage());
        assert!(build(&orders, &[], Some(Path::new("/no/such/dir")), None).unwrap_err().is_usage());
    }
}
