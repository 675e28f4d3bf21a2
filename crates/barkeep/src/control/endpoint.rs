//! The socket in the file system: made for nobody but this user, removed at the end, and never taken from
//! another VMM that lives.

use anyhow::{Context, bail};
use rustix::fs::{FileType, FlockOperation, Mode, Stat, flock, lstat, unlink};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with,
};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Connections that wait to be accepted. Who finds no room is told so at once (EAGAIN).
const BACKLOG: i32 = 128;

/// A socket that listens.
pub struct Endpoint {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the socket's file.
    identity: (u64, u64),
}

impl Endpoint {
    /// Makes it, in place of one that nobody listens at any more.
    ///
    /// # Errors
    /// Somebody listens there; what is there is no socket; the path is too long or cannot be written.
    pub fn listen(path: &Path) -> anyhow::Result<Self> {
        let address = SocketAddrUnix::new(path).context("the path is too long for a socket (107 bytes)")?;
        // Relative paths are of this folder, whatever this process does later.
        let path = std::path::absolute(path)?;
        let folder = path.parent().context("that is no path of a file")?;
        let lock = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
        // Of two VMMs that start at once, one looks and takes before the other looks.
        flock(&lock, FlockOperation::LockExclusive).context("cannot lock the folder")?;
        clear(&path, &address)?;
        let socket = stream()?;
        // Before it has a name: the file is made with the mode the socket has (`unix_bind_bsd`).
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).context("cannot set its mode")?;
        bind(&socket, &address).with_context(|| format!("cannot make {}", path.display()))?;
        listen(&socket, BACKLOG).context("cannot listen")?;
        let identity = identity(&lstat(&path)?);
        Ok(Self { socket, path, identity })
    }

    /// The next connection; `None` if there is none now.
    ///
    /// # Errors
    /// That of accept(2): EMFILE, above all.
    pub fn accept(&self) -> Result<Option<UnixStream>, Errno> {
        loop {
            match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(stream) => return Ok(Some(stream.into())),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Not another's, who may have removed this one by hand.
        if lstat(&self.path).is_ok_and(|there| identity(&there) == self.identity) {
            // A file that stays is found stale by the next VMM.
            let _ = unlink(&self.path);
        }
    }
}

impl AsFd for Endpoint {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Endpoint {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn stream() -> anyhow::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).context("cannot make a socket")
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Takes away what nobody listens at.
fn clear(path: &Path, address: &SocketAddrUnix) -> anyhow::Result<()> {
    let there = match lstat(path) {
        Ok(there) => there,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno).context("cannot look at it"),
    };
    if FileType::from_raw_mode(there.st_mode) != FileType::Socket {
        bail!("there is a file there, and it is no socket");
    }
    let asking = stream()?;
    match connect(&asking, address) {
        Err(Errno::CONNREFUSED) => unlink(path).context("cannot remove the socket of a VMM that is gone"),
        // EAGAIN: it listens, and has more callers than it has room for.
        Ok(()) | Err(Errno::AGAIN) => {
            bail!(
                "a VMM listens there; take another path, or end that one: barkeep ctl {} quit",
                path.display()
            )
        }
        Err(errno) => Err(errno).context("cannot tell whether somebody listens there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    #[test]
    fn it_is_this_users_alone_and_gone_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vm.sock");
        let endpoint = Endpoint::listen(&path).unwrap();
        let there = path.symlink_metadata().unwrap();
        assert!(there.file_type().is_socket());
        assert_eq!(there.mode() & 0o777, 0o600);
        assert!(endpoint.accept().unwrap().is_none());
        let _caller = UnixStream::connect(&path).unwrap();
        assert!(endpoint.accept().unwrap().is_some());
        drop(endpoint);
        assert!(!path.exists());
    }

    #[test]
    fn that_of_a_vmm_that_lives_is_not_taken_and_a_stale_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vm.sock");
        let first = Endpoint::listen(&path).unwrap();
        let told = Endpoint::listen(&path).map(drop).unwrap_err().to_string();
        assert!(told.contains("a VMM listens there"), "{told}");
        drop(first);
        // As a VMM leaves it that was killed: the file, and nobody behind it.
        let stale = folder.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        drop(Endpoint::listen(&stale).unwrap());
        assert!(!stale.exists());
    }

    #[test]
    fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        let told = Endpoint::listen(&path).map(drop).unwrap_err().to_string();
        assert!(told.contains("no socket"), "{told}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        let long = folder.path().join("x".repeat(120));
        assert!(Endpoint::listen(&long).map(drop).unwrap_err().to_string().contains("too long"));
    }

    #[test]
    fn one_that_came_in_its_place_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vm.sock");
        let first = Endpoint::listen(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = Endpoint::listen(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
