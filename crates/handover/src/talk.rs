//! What the conductor asks of a process, and what it answers: one JSON text a message, over a
//! socket that keeps messages apart.

use crate::step::{ExporterStep, ImporterStep};
use barkeep_model::{Answer, Errno};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;

/// No message is longer.
const LONGEST: usize = 1024;
/// How long a process may take for a step, in seconds of its clock: longer than any wait of the
/// kernel that ends by itself (a reset's 60 s).
const PATIENCE: i64 = 90;

/// What a process is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// The exporter opens its device, maps and exports the window, and hands the dma-buf over.
    SetUpExporter {
        /// PCI address of the device.
        address: String,
        /// The BAR.
        bar: u8,
        /// Where to write for an FLR, and what, 2 bytes.
        flr: (u16, u16),
    },
    /// The importer gets a space of its own and, if it is to have one, opens the engine and attaches it.
    SetUpImporter {
        /// PCI address of the engine.
        address: Option<String>,
        /// Where it maps the window.
        iova: u64,
        /// Bytes of the window.
        length: u64,
    },
    /// What a second process imports, as the journal names it: BAR `bar` of the device, `size` bytes
    /// that its VM has at `address`. Said before anything else.
    Outlives {
        /// PCI address of the device.
        device: String,
        /// The BAR.
        bar: u8,
        /// The VM's guest physical address.
        address: u64,
        /// Bytes.
        size: u64,
    },
    /// A second process ends, and answers nothing.
    Exit,
    /// A step of the exporter.
    Exporter(ExporterStep),
    /// A step of the importer.
    Importer(ImporterStep),
    /// The engine writes this word to an IOVA, and it is waited for.
    Dma(u64, u32),
    /// The same, not waited for.
    StartDma(u64, u32),
    /// It is waited for now.
    FinishDma,
    /// The importer maps the dma-buf elsewhere, and unmaps it again.
    Attach,
    /// The exporter reads the word through its device file.
    ReadRegion,
    /// The exporter reads the word through its mapping.
    ReadMapping,
}

/// Two ends of a new socket.
///
/// # Errors
/// That of `socketpair`.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    // Each end goes to one process, which gets it as one of its standard descriptors: the rest
    // must not be inherited, or a socket would outlive the process whose end it is.
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(errno)
}

/// Sends a message.
///
/// # Errors
/// EPIPE if the other side is gone.
pub fn say<T: Serialize>(socket: &OwnedFd, message: &T) -> Result<(), Errno> {
    let bytes = serde_json::to_vec(message).map_err(|_| Errno::EPROTO)?;
    send(socket, &bytes, SendFlags::NOSIGNAL).map_err(errno).map(drop)
}

/// Waits for a message; none if the other side is gone.
///
/// # Errors
/// EPROTO if it is none that was expected.
pub fn hear<T: DeserializeOwned>(socket: &OwnedFd) -> Result<Option<T>, Errno> {
    let mut bytes = [0; LONGEST];
    let (length, _) = match recv(socket, &mut bytes[..], RecvFlags::empty()) {
        Err(rustix::io::Errno::CONNRESET) => return Ok(None),
        other => other.map_err(errno)?,
    };
    if length == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&bytes[..length]).map(Some).map_err(|_| Errno::EPROTO)
}

/// Asks, and waits for the answer as long as a call of the kernel may take.
///
/// # Errors
/// EPIPE if the process is gone; EPROTO for nonsense.
pub fn ask(socket: &OwnedFd, what: &Ask) -> Result<Answer, Errno> {
    say(socket, what)?;
    let mut waited = [PollFd::new(socket, PollFlags::IN)];
    let patience = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
    if poll(&mut waited, Some(&patience)).map_err(errno)? == 0 {
        return Ok(Answer::Hung);
    }
    hear(socket)?.ok_or(Errno::Other(32))
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_number(error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_and_an_end_is_none() {
        let (mine, theirs) = pair().unwrap();
        let asked = Ask::SetUpExporter { address: "0000:00:03.0".into(), bar: 2, flr: (0x88, 0x8000) };
        say(&mine, &asked).unwrap();
        assert_eq!(hear(&theirs), Ok(Some(asked)));
        drop(mine);
        assert_eq!(hear::<Ask>(&theirs), Ok(None));
        assert_eq!(say(&theirs, &Ask::Attach), Err(Errno::Other(32)));
    }
}
