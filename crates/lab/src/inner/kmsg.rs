//! The kernel's log, as it comes, into the journal.

use super::lab_event;
use barkeep_journal::{Actor, Event, Journal, Kind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, PipeWriter, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::thread::JoinHandle;

/// The kernel's longest record (`CONSOLE_EXT_LOG_MAX`).
const RECORD: usize = 8192;

/// A thread that follows the log from its first line on.
pub(super) struct Follower {
    thread: JoinHandle<()>,
    stop: PipeWriter,
}

impl Follower {
    /// Passes on what there is, then follows: PID 1's own events come after the boot's.
    pub(super) fn start(journal: Journal) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut log = File::options().read(true).custom_flags(flags).open("/dev/kmsg")?;
        pass_on(&mut log, &journal)?;
        let (stopped, stop) = io::pipe()?;
        let thread = std::thread::Builder::new().name("kmsg".to_owned()).spawn(move || {
            follow(log, &stopped, &journal);
        })?;
        Ok(Self { thread, stop })
    }

    /// Ends the thread once it has passed everything on that is there now.
    pub(super) fn drain(self) {
        drop(self.stop);
        // It cannot panic but by the hook, which ends everything.
        let _ = self.thread.join();
    }
}

fn follow(mut log: File, stopped: &io::PipeReader, journal: &Journal) {
    loop {
        let stopping = {
            let mut fds = [PollFd::new(&log, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) => !fds[1].revents().is_empty(),
                Err(Errno::INTR) => false,
                Err(error) => return journal.emit(lab_event(format!("the kernel's log: {error}"))),
            }
        };
        if let Err(error) = pass_on(&mut log, journal) {
            return journal.emit(lab_event(format!("the kernel's log: {error}")));
        }
        if stopping {
            return;
        }
    }
}

/// Passes on what is there.
fn pass_on(log: &mut File, journal: &Journal) -> io::Result<()> {
    let mut record = [0; RECORD];
    loop {
        match log.read(&mut record) {
            Ok(length) => {
                if let Some(event) = event_of(&String::from_utf8_lossy(&record[..length])) {
                    journal.emit(event);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Overwritten before it was read; the next read goes on behind the gap.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                journal.emit(lab_event("lines of the kernel's log were overwritten unread".to_owned()));
            }
            Err(error) => return Err(error),
        }
    }
}

/// `6,123,456789,-;text`, and after it lines of a dictionary nobody asked for.
fn event_of(record: &str) -> Option<Event> {
    let (prefix, text) = record.split_once(';')?;
    let mut fields = prefix.split(',');
    let priority: u64 = fields.next()?.parse().ok()?;
    let micros: u64 = fields.nth(1)?.parse().ok()?;
    let text = text.split('\n').next().unwrap_or_default();
    // Zero would read as "no time": the first lines are of before the clock.
    let time = micros.saturating_mul(1000).max(1);
    Some(Event::new(Kind::KernelLog, Actor::Kernel).at(time).value(priority & 7).text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_level_time_and_text() {
        let event = event_of("12,123,456789,-;nvme nvme0: hello; world\n SUBSYSTEM=pci\n").unwrap();
        assert_eq!((event.value, event.time_ns), (Some(4), 456_789_000));
        assert_eq!(event.text, "nvme nvme0: hello; world");
        assert_eq!(event_of("5,0,0,-;Linux version\n").unwrap().time_ns, 1);
    }

    #[test]
    fn nonsense_is_no_event() {
        for record in ["", ";", "x,1,2,-;text", "6,1;text", " SUBSYSTEM=pci"] {
            assert_eq!(event_of(record), None, "{record}");
        }
    }
}
