//! The main thread while a guest or a scenario runs: waits for its end, a vCPU's end, a signal, and what comes
//! in on the control socket. Nothing here ever blocks, a reset least of all.

use crate::control::{Desk, Endpoint};
use anyhow::Context;
use barkeep_platform::Board;
use barkeep_sandbox::Sandbox;
use barkeep_vmm::Machine;
use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The scenario is over.
    Done,
    /// A vCPU ended that nobody asked to.
    VcpuEnded,
    /// SIGINT or SIGTERM.
    Signal,
    /// The control socket's `quit`.
    Quit,
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
    control: Option<Desk>,
    woken: Option<Woken>,
}

impl EventLoop {
    /// Waits for `done`, for a vCPU of the machine that ends, for signals, and for who calls at the endpoint.
    ///
    /// # Errors
    /// No file descriptors or threads, or epoll refuses one.
    pub fn of(
        done: EventFd,
        board: &Arc<Board>,
        machine: &Arc<Machine>,
        endpoint: Option<Endpoint>,
        confined: &Arc<Sandbox>,
    ) -> anyhow::Result<Self> {
        let ended = machine.ended().try_clone().context("cannot make an event")?;
        let control = endpoint.map(|endpoint| Desk::open(endpoint, board, machine, confined)).transpose()?;
        let (signals, handler) = UnixStream::pair().context("cannot watch signals")?;
        signals.set_nonblocking(true).context("cannot watch signals")?;
        for signal in [SIGINT, SIGTERM] {
            let handler = handler.try_clone().context("cannot watch signals")?;
            signal_hook::low_level::pipe::register(signal, handler).context("cannot watch signals")?;
        }
        let mut manager = EventManager::new().context("cannot make an event loop")?;
        let id = manager.add_subscriber(Watch { done, ended, signals, control, woken: None });
        Ok(Self { manager, id })
    }

    /// Waits until something happens that ends the run; gives what.
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

    /// Waits for what the control socket's callers have begun, and begins nothing more. Their connections end
    /// when this loop is dropped.
    pub fn finish_control(&mut self) {
        let watch = self.manager.subscriber_mut(self.id);
        if let Some(desk) = watch.ok().and_then(|watch| watch.control.as_mut()) {
            desk.finish();
        }
    }
}

impl MutEventSubscriber for Watch {
    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        let woken = match events.data() {
            0 => self.done.read().ok().map(|_| Woken::Done),
            1 => self.ended.read().ok().map(|_| Woken::VcpuEnded),
            2 => self.signals.read(&mut [0; 16]).ok().map(|_| Woken::Signal),
            _ => {
                let quit = self.control.as_mut().is_some_and(|desk| desk.process(events, ops));
                quit.then_some(Woken::Quit)
            }
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
        if let Some(desk) = &self.control {
            desk.watch(ops);
        }
    }
}

/// An event that is read only when it is there.
///
/// # Errors
/// No file descriptor.
pub fn event() -> anyhow::Result<EventFd> {
    EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).context("cannot make an event")
}
