//! References to a device file that keep it open without the device that made them.

use crate::sys::HostMapping;
use barkeep_export::{Errno, Held, Holder};
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

/// One more reference to `file`. `mappable` is where a page of it can be mapped.
///
/// # Errors
/// EMFILE; EINVAL without a place to map.
pub(crate) fn hold(file: &File, by: Holder, mappable: Option<u64>) -> Result<Held, Errno> {
    match by {
        Holder::Duplicate => Ok(Box::new(file.try_clone().map_err(errno)?)),
        Holder::Mapping => {
            let offset = mappable.ok_or(Errno::INVAL)?;
            Ok(Box::new(HostMapping::new(file, offset, MAPPED)?))
        }
        Holder::Passed => Ok(Box::new(InSocket::new(file)?)),
    }
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

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_descriptor_in_a_socket_keeps_a_pipe_open() {
        for by in [Holder::Duplicate, Holder::Passed] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let writer = File::from(OwnedFd::from(writer));
            let held = hold(&writer, by, None).unwrap();
            drop(writer);
            rustix::io::ioctl_fionbio(&reader, true).unwrap();
            assert!(reader.read(&mut [0]).is_err(), "{by:?} keeps it open");
            drop(held);
            assert_eq!(reader.read(&mut [0]).unwrap(), 0, "and then nobody does");
        }
    }

    #[test]
    fn a_mapping_needs_a_place() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(hold(&file, Holder::Mapping, None).map(drop), Err(Errno::INVAL));
    }
}
