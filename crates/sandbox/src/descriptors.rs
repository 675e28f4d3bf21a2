//! No program that might be started gets what is open here.
#![allow(unsafe_code, reason = "close_range(2) has no safe form")]

use std::io;

/// Standard input, output and error.
const STANDARD: libc::c_uint = 3;

/// Has every descriptor but the standard ones closed by execve(2): those inherited, too (close_range(2), Linux 5.11).
pub(crate) fn close_on_exec() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
    // SAFETY: plain numbers; no descriptor is closed by it.
    match unsafe { libc::close_range(STANDARD, libc::c_uint::MAX, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
