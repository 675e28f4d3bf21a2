//! Every way an errno comes to us, as the model writes it.

use barkeep_model::Errno;
use std::io;

/// A transfer that ended early without saying why; no interface of vfio answers so.
pub(crate) const SHORT: Errno = Errno::Other(61);

/// The errno of the last system call that failed on this thread.
pub(crate) fn last() -> Errno {
    of_io(&io::Error::last_os_error())
}

/// Of an error of the standard library; EPROTO if no system call is behind it.
pub fn of_io(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EPROTO, Errno::from_number)
}

/// Of an error of rustix.
pub(crate) fn of_rustix(error: rustix::io::Errno) -> Errno {
    Errno::from_number(error.raw_os_error())
}
