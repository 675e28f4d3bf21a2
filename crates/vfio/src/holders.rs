//! References to a device file that keep it open without the device that made them.

use crate::sys::HostMapping;
use barkeep_export::{Errno, Held};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair,
};
use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of the mapping: a page.
const MAPPED: usize = 0x1000;

/// A duplicate of the descriptor.
///
/// # Errors
/// EMFILE.
pub(crate) fn duplicate(file: &File) -> Result<Held, Errno> {
    let own = file.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(Box::new(own))
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

    #[test]
    fn a_descriptor_in_a_socket_keeps_a_pipe_open() {
        for hold in [duplicate, pass] {
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
