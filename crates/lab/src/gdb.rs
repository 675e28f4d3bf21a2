//! The remote protocol of debuggers, as much of it as QEMU's stub is asked here
//! (GDB manual, "Remote Serial Protocol").

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the stub may take to be there, and to answer what it can answer at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often whoever waits for the machine to stop looks around.
const PERIOD: Duration = Duration::from_millis(50);

/// Registers by the numbers of QEMU's x86-64 description (`target/i386/gdbstub.c`).
pub(crate) const RBP: u32 = 6;
pub(crate) const RSP: u32 = 7;
pub(crate) const RIP: u32 = 16;
pub(crate) const CR3: u32 = 29;

/// A connection to the stub.
pub(crate) struct Gdb {
    stream: UnixStream,
    unread: Vec<u8>,
    /// Addresses of memory are physical ones.
    physical: bool,
}

impl Gdb {
    /// Connects once the stub listens.
    ///
    /// # Errors
    /// It does not, or `alive` says that it never will.
    pub fn connect(path: &Path, mut alive: impl FnMut() -> bool) -> io::Result<Self> {
        let start = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if start.elapsed() > PATIENCE || !alive() => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        stream.set_read_timeout(Some(PERIOD))?;
        Ok(Self { stream, unread: Vec::new(), physical: false })
    }

    /// Sets or takes a breakpoint.
    ///
    /// # Errors
    /// The stub refuses, or is gone.
    pub fn breakpoint(&mut self, address: u64, set: bool) -> io::Result<()> {
        let answer = self.ask(&format!("{}0,{address:x},1", if set { 'Z' } else { 'z' }))?;
        if answer == "OK" { Ok(()) } else { Err(io::Error::other(format!("no breakpoint: {answer}"))) }
    }

    /// Lets the machine go on until it stops. `meanwhile` is asked now and then; what it gives ends the waiting.
    /// `None`: it stopped.
    ///
    /// # Errors
    /// The stub is gone, as it is once the machine is.
    pub fn go<T>(&mut self, mut meanwhile: impl FnMut() -> Option<T>) -> io::Result<Option<T>> {
        self.send("c")?;
        loop {
            if let Some(packet) = self.packet()? {
                // `W`, `X`: the machine has ended.
                return match packet.starts_with(['W', 'X']) {
                    true => Err(io::ErrorKind::UnexpectedEof.into()),
                    false => Ok(None),
                };
            }
            if let Some(end) = meanwhile() {
                return Ok(Some(end));
            }
        }
    }

    /// A register of eight bytes.
    ///
    /// # Errors
    /// The stub has none of that number, or is gone.
    pub fn register(&mut self, number: u32) -> io::Result<u64> {
        let answer = self.ask(&format!("p{number:x}"))?;
        let bytes = bytes_of(&answer).and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(u64::from_le_bytes)
            .ok_or_else(|| io::Error::other(format!("no register {number}: {answer}")))
    }

    /// Memory as the CPU addresses it now; EFAULT where nothing is.
    ///
    /// # Errors
    /// Nothing is there, or the stub is gone.
    pub fn memory(&mut self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        self.memory_of(false, address, length)
    }

    /// Memory by its physical address.
    ///
    /// # Errors
    /// As [`Self::memory`].
    pub fn physical(&mut self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        self.memory_of(true, address, length)
    }

    fn memory_of(&mut self, physical: bool, address: u64, length: usize) -> io::Result<Vec<u8>> {
        if self.physical != physical {
            self.ask(&format!("Qqemu.PhyMemMode:{}", u8::from(physical)))?;
            self.physical = physical;
        }
        let mut all = Vec::with_capacity(length);
        while all.len() < length {
            // What fits into a packet of QEMU's (MAX_PACKET_LENGTH), twice over.
            let part = (length - all.len()).min(1024);
            let answer = self.ask(&format!("m{:x},{part:x}", address + all.len() as u64))?;
            let bytes = bytes_of(&answer).filter(|bytes| bytes.len() == part);
            all.extend(bytes.ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?);
        }
        Ok(all)
    }

    /// What a command of QEMU's monitor says.
    ///
    /// # Errors
    /// The stub is gone.
    pub fn monitor(&mut self, command: &str) -> io::Result<String> {
        let hex: String = command.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.send(&format!("qRcmd,{hex}"))?;
        let mut said = Vec::new();
        loop {
            let packet = self.answer()?;
            match packet.strip_prefix('O').filter(|rest| *rest != "K").and_then(bytes_of) {
                Some(bytes) => said.extend(bytes),
                None => return Ok(String::from_utf8_lossy(&said).into_owned()),
            }
        }
    }

    fn ask(&mut self, packet: &str) -> io::Result<String> {
        self.send(packet)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<String> {
        let start = Instant::now();
        loop {
            if let Some(packet) = self.packet()? {
                return Ok(packet);
            }
            if start.elapsed() > PATIENCE {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the emulator's debugger stub does not answer",
                ));
            }
        }
    }

    fn send(&mut self, packet: &str) -> io::Result<()> {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        self.stream.write_all(format!("${packet}#{sum:02x}").as_bytes())
    }

    /// The next packet, if one comes within a period. Each is acknowledged: QEMU waits for that.
    fn packet(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some((packet, used)) = split(&self.unread) {
                self.unread.drain(..used);
                // Whoever is gone needs no answer.
                let _ = self.stream.write_all(b"+");
                return Ok(Some(packet));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.unread.extend(&chunk[..length]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The first whole packet, and the bytes up to its end. What is before it are acknowledgements.
fn split(bytes: &[u8]) -> Option<(String, usize)> {
    let begin = bytes.iter().position(|byte| *byte == b'$')?;
    let length = bytes[begin..].iter().position(|byte| *byte == b'#')?;
    let end = begin + length + 3;
    (bytes.len() >= end)
        .then(|| (String::from_utf8_lossy(&bytes[begin + 1..begin + length]).into_owned(), end))
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let whole = hex.len().is_multiple_of(2) && !hex.is_empty();
    whole.then(|| hex.as_bytes().chunks(2).map(pair).collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_what_is_between_its_marks() {
        assert_eq!(split(b"+$OK#9a"), Some(("OK".to_owned(), 7)));
        assert_eq!(split(b"$T05thread:01;#07$O"), Some(("T05thread:01;".to_owned(), 17)));
        for part in [&b""[..], b"+", b"$OK", b"$OK#9"] {
            assert_eq!(split(part), None);
        }
    }

    #[test]
    fn bytes_are_pairs() {
        assert_eq!(bytes_of("00ff7f"), Some(vec![0, 0xff, 0x7f]));
        assert_eq!((bytes_of("0"), bytes_of(""), bytes_of("E14"), bytes_of("0g")), (None, None, None, None));
    }

    #[test]
    fn a_stub_is_asked_and_answers() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PERIOD)).unwrap();
        let mut gdb = Gdb { stream: ours, unread: Vec::new(), physical: false };
        let stub = std::thread::spawn(move || {
            let mut theirs = theirs;
            let mut asked = [0; 7];
            theirs.read_exact(&mut asked).unwrap();
            theirs.write_all(b"+$00b0ad5581ffffff#00").unwrap();
            // Until it has gone.
            theirs.read_to_end(&mut Vec::new()).unwrap();
            asked
        });
        assert_eq!(gdb.register(RIP).unwrap(), 0xffff_ff81_55ad_b000);
        drop(gdb);
        assert_eq!(&stub.join().unwrap(), b"$p10#d1");
    }
}
