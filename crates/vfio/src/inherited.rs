//! A VFIO device's file that whoever started this process has opened, so that this one needs no right to:
//! a descriptor given by its number.

use crate::sys;
use barkeep_export::Errno;
use barkeep_journal::DeviceAddress;
use rustix::fs::{FileType, fstat, major, minor};
use std::fs::File;
use std::path::Path;

/// Where the kernel tells of character devices by their numbers.
const CHARACTER_DEVICES: &str = "/sys/dev/char";
/// The folder of a PCI function that its VFIO device is in.
const VFIO: &str = "vfio-dev";
/// The first number that is not standard input, output or error.
const FIRST: i32 = 3;

/// Why a descriptor is no device to pass through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInherited {
    /// Nothing is open by that number.
    #[error("file descriptor {0} is not open; start this with the device's file already open, as fd:{0}")]
    NotOpen(i32),
    /// One of the three that every process has.
    #[error("file descriptor {0} is standard input, output or error")]
    Standard(i32),
    /// Something else than a VFIO character device.
    #[error(
        "file descriptor {0} is no VFIO device; it has to be one of /dev/vfio/devices, opened for reading and writing"
    )]
    Other(i32),
}

/// Which device a descriptor is of. It stays with this process: what it starts does not get it.
///
/// # Errors
/// See [`NotInherited`].
pub fn device_of(fd: i32) -> Result<DeviceAddress, NotInherited> {
    if (0..FIRST).contains(&fd) {
        return Err(NotInherited::Standard(fd));
    }
    sys::close_on_exec(fd).map_err(|_| NotInherited::NotOpen(fd))?;
    // The number may be anybody's: looked at by its path, and taken only once it is known.
    let status = File::open("/proc/self/fd")
        .and_then(|folder| Ok(rustix::fs::statat(folder, fd.to_string(), rustix::fs::AtFlags::empty())?));
    let status = status.map_err(|_| NotInherited::Other(fd))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::CharacterDevice {
        return Err(NotInherited::Other(fd));
    }
    let number = format!("{}:{}", major(status.st_rdev), minor(status.st_rdev));
    let folder = Path::new(CHARACTER_DEVICES).join(number).canonicalize();
    folder.ok().and_then(|folder| function(&folder)).ok_or(NotInherited::Other(fd))
}

/// Takes a descriptor over: from here on it is closed with the device.
///
/// # Errors
/// EBADF.
pub(crate) fn take(fd: i32) -> Result<File, Errno> {
    let file = sys::take(fd)?;
    // Still what it was.
    fstat(&file)?;
    Ok(file)
}

/// `…/DDDD:BB:DD.F/vfio-dev/vfioN`.
fn function(folder: &Path) -> Option<DeviceAddress> {
    let parent = folder.parent().filter(|parent| parent.ends_with(VFIO))?;
    parent.parent()?.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;

    #[test]
    fn what_is_no_device_is_said_to_be_none() {
        assert_eq!(device_of(1), Err(NotInherited::Standard(1)));
        assert_eq!(device_of(-1), Err(NotInherited::NotOpen(-1)));
        assert_eq!(device_of(1_000_000), Err(NotInherited::NotOpen(1_000_000)));
        for path in ["/dev/null", "/proc/self/exe"] {
            let file = File::open(path).unwrap();
            assert_eq!(device_of(file.as_raw_fd()), Err(NotInherited::Other(file.as_raw_fd())));
        }
    }

    #[test]
    fn a_function_is_named_by_its_folder() {
        let folder = PathBuf::from("/sys/devices/pci0000:00/0000:00:04.0/vfio-dev/vfio1");
        assert_eq!(function(&folder), "0000:00:04.0".parse().ok());
        assert_eq!(function(&PathBuf::from("/sys/devices/virtual/mem/null")), None);
    }
}
