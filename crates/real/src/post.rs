//! Descriptors under way: sent over a socket, received by nobody yet.

use crate::errors;
use barkeep_model::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// A socket, and what we know of each descriptor in it that the socket does not.
pub(crate) struct Post<T> {
    outgoing: OwnedFd,
    incoming: OwnedFd,
    labels: VecDeque<T>,
}

impl<T> Post<T> {
    /// An empty one.
    pub(crate) fn new() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // A message is taken as it was sent: with SEQPACKET no two descriptors come at once.
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let (outgoing, incoming) = pair.map_err(errors::of_rustix)?;
        Ok(Self { outgoing, incoming, labels: VecDeque::new() })
    }

    /// Sends a descriptor and keeps it.
    pub(crate) fn send(&mut self, file: &File, label: T) -> Result<(), Errno> {
        send(&self.outgoing, file)?;
        self.labels.push_back(label);
        Ok(())
    }

    /// Takes the descriptor that was sent first.
    ///
    /// # Errors
    /// EAGAIN if there is none.
    pub(crate) fn receive(&mut self) -> Result<(T, File), Errno> {
        let descriptor = receive(&self.incoming)?;
        // Every message has a label.
        let label = self.labels.pop_front().ok_or(Errno::EPROTO)?;
        Ok((label, descriptor))
    }

    /// What is known of all that is under way.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &T> {
        self.labels.iter()
    }
}

/// Sends one descriptor over a socket that keeps messages apart.
pub(crate) fn send(socket: &impl AsFd, file: &File) -> Result<(), Errno> {
    let descriptors = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // The space is of one descriptor.
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(b".")], &mut control, SendFlags::NOSIGNAL)
        .map_err(errors::of_rustix)
        .map(drop)
}

/// Takes one descriptor out of a socket.
///
/// # Errors
/// EAGAIN if there is none and the socket does not block; EPROTO if a message came without one, as
/// the end of the other side is.
pub(crate) fn receive(socket: &impl AsFd) -> Result<File, Errno> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags).map_err(errors::of_rustix)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.map(File::from).ok_or(Errno::EPROTO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, fstat, memfd_create};

    #[test]
    fn comes_in_order_and_then_not_at_all() {
        let mut post = Post::new().unwrap();
        assert_eq!(post.receive().map(drop), Err(Errno::EAGAIN));
        let file = |name| File::from(memfd_create(name, MemfdFlags::CLOEXEC).unwrap());
        let sent = [file("first"), file("second")];
        for (label, file) in sent.iter().enumerate() {
            post.send(file, label).unwrap();
        }
        assert_eq!(post.labels().collect::<Vec<_>>(), [&0, &1]);
        for (expected, kept) in sent.iter().enumerate() {
            let (label, file) = post.receive().unwrap();
            let inode = |file: &File| fstat(file).unwrap().st_ino;
            assert_eq!((label, inode(&file)), (expected, inode(kept)));
        }
        assert_eq!(post.receive().map(drop), Err(Errno::EAGAIN));
    }
}
