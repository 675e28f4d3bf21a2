//! The main thread while a scenario runs on another: waits for the scenario's end, a vCPU's
//! end, a signal. Nothing here ever blocks, a reset least of all.

use anyhow::Context;
use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Read;
use std::os::unix::net::UnixStream;
use vmm_sys_util::eventfd::EventFd;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The scenario is over.
    Done,
    /// A vCPU ended that nobody asked to.
    VcpuEnded,
    /// SIGINT or SIGTERM.
    Signal,
}

/// What is waited for.
pub struct EventLoop {
    manager: EventManager<Watch>,
    id: event_manager::SubscriberId,
}

struct Watch {
    done: EventFd,
    ended: EventFd,
    signals: UnixStream,
    woken: Option<Woken>,
}

impl EventLoop {
    /// Waits for `done`, for `ended` (a machine's) and for signals.
    ///
    /// # Errors
    /// No file descriptors, or epoll refuses one.
    pub fn new(done: EventFd, ended: EventFd) -> anyhow::Result<Self> {
        let (signals, handler) = UnixStream::pair().context("cannot watch signals")?;
        signals.set_nonblocking(true).context("cannot watch signals")?;
        for signal in [SIGINT, SIGTERM] {
            let handler = handler.try_clone().context("cannot watch signals")?;
            signal_hook::low_level::pipe::register(signal, handler).context("cannot watch signals")?;
        }
        let mut manager = EventManager::new().context("cannot make an event loop")?;
        let id = manager.add_subscriber(Watch { done, ended, signals, woken: None });
        Ok(Self { manager, id })
    }

    /// Waits until something happens; gives what.
    ///
    /// # Errors
    /// epoll fails.
    pub fn wait(&mut self) -> anyhow::Result<Woken> {
        loop {
            self.manager.run().context("the event loop failed")?;
            let watch = self.manager.subscriber_mut(self.id).context("the event loop lost its subscriber")?;
            if let Some(woken) = watch.woken.take() {
                return Ok(woken);
            }
        }
    }
}

impl MutEventSubscriber for Watch {
    fn process(&mut self, events: Events, _: &mut EventOps<'_>) {
        let woken = match events.data() {
            0 => self.done.read().ok().map(|_| Woken::Done),
            1 => self.ended.read().ok().map(|_| Woken::VcpuEnded),
            _ => self.signals.read(&mut [0; 16]).ok().map(|_| Woken::Signal),
        };
        // The scenario's end is not to be hidden by what comes with it.
        if self.woken != Some(Woken::Done) && woken.is_some() {
            self.woken = woken;
        }
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        let watched = [
            Events::with_data(&self.done, 0, EventSet::IN),
            Events::with_data(&self.ended, 1, EventSet::IN),
            Events::with_data(&self.signals, 2, EventSet::IN),
        ];
        for events in watched {
            // Only fails for a descriptor that is there already, or no memory: then nothing
            // wakes the loop, and the run ends by its own time limit.
            if let Err(error) = ops.add(events) {
                log::error!("an event cannot be watched: {error}");
            }
        }
    }
}

/// An event that is read only when it is there.
///
/// # Errors
/// No file descriptor.
pub fn event() -> anyhow::Result<EventFd> {
    EventFd::new(vmm_sys_util::eventfd::EFD_NONBLOCK).context("cannot make an event")
}
