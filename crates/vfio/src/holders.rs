//! References to a device file, or to a dma-buf, that keep it open without whoever made them.

use crate::sys::HostMapping;
use barkeep_export::{Errno, Held};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair,
};
use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

/// The hidden subcommand of the binary this runs in, by which a child process inherits a descriptor.
pub const INHERIT_COMMAND: &str = "inherit";
/// This binary, whatever has become of its file.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Bytes of the mapping: a page.
const MAPPED: usize = 0x1000;

/// A duplicate of the descriptor.
///
/// # Errors
/// EMFILE.
pub(crate) fn duplicate(file: &File) -> Result<Held, Errno> {
    Ok(Box::new(file.try_clone().map_err(errno)?))
}

/// What the descriptor's path opens: of a device a file of its own, of a dma-buf nothing.
///
/// # Errors
/// The errno of `open`: ENXIO for a dma-buf (`no_open`), ENODEV for a device that is on its way out.
pub(crate) fn reopen(file: &File) -> Result<Held, Errno> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(Box::new(File::options().read(true).write(true).open(path).map_err(errno)?))
}

/// A child process that was given the descriptor when it was started.
///
/// # Errors
/// EMFILE; EAGAIN, ENOMEM where there is no process to be had.
pub(crate) fn inherit(file: &File) -> Result<Held, Errno> {
    let mut command = Command::new(OWN_PROGRAM);
    command.arg(INHERIT_COMMAND);
    Ok(Box::new(Heir::start(command, file)?))
}

/// What that child process does: nothing, until its parent lets it go or is gone. Its standard input
/// is the descriptor, its standard output the parent's end of a socket.
///
/// # Errors
/// Its standard output is no socket.
pub fn serve_heir() -> io::Result<()> {
    let mut parent = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Nothing is ever said: what is read is the end.
    parent.read(&mut [0]).map(drop)
}

/// A child that holds a descriptor.
struct Heir {
    child: Child,
    /// Closed, it has the child exit.
    parent: Option<OwnedFd>,
}

impl Heir {
    fn start(mut command: Command, file: &File) -> Result<Self, Errno> {
        let (parent, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let inherited = file.try_clone().map_err(errno)?;
        // Standard descriptors: all others are closed when the child begins its own program.
        command.stdin(Stdio::from(inherited)).stdout(Stdio::from(theirs));
        Ok(Self { child: command.spawn().map_err(errno)?, parent: Some(parent) })
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        drop(self.parent.take());
        // Its files are given up before a parent gets to know of its end (`do_exit`).
        let _ = self.child.wait();
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// A mapping of the page at `offset` of the file.
///
/// # Errors
/// The errno of `mmap`.
pub(crate) fn map(file: &File, offset: u64) -> Result<Held, Errno> {
    Ok(Box::new(HostMapping::new(file, offset, MAPPED)?))
}

/// A descriptor in a socket.
///
/// # Errors
/// EMFILE.
pub(crate) fn pass(file: &File) -> Result<Held, Errno> {
    Ok(Box::new(InSocket::new(file)?))
}

/// A socket with a descriptor in it, which nobody has received: it goes with the socket.
struct InSocket {
    _ends: (OwnedFd, OwnedFd),
}

impl InSocket {
    fn new(file: &File) -> Result<Self, Errno> {
        let ends = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let descriptors = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // The space is of one descriptor.
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&ends.0, &[IoSlice::new(b".")], &mut control, SendFlags::NOSIGNAL)?;
        Ok(Self { _ends: ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// A child that reads its standard output, as [`serve_heir`] does; `cat` is not this program.
    fn inherit_by_shell(file: &File) -> Result<Held, Errno> {
        let mut command = Command::new("sh");
        command.args(["-c", "cat <&1 >/dev/null"]);
        Ok(Box::new(Heir::start(command, file)?))
    }

    #[test]
    fn whatever_holds_a_pipe_keeps_it_open() {
        for hold in [duplicate, pass, inherit_by_shell] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let writer = File::from(OwnedFd::from(writer));
            let held = hold(&writer).unwrap();
            drop(writer);
            rustix::io::ioctl_fionbio(&reader, true).unwrap();
            assert!(reader.read(&mut [0]).is_err(), "somebody keeps it open");
            drop(held);
            assert_eq!(reader.read(&mut [0]).unwrap(), 0, "and then nobody does");
        }
    }
}
