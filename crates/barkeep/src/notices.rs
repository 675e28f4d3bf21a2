//! A thread that waits for what the kernel tells of a VM's devices: it asks for one back, an error, a
//! wake-up, a DMA the IOMMU refused. What is to be done about it may wait for a reset, so it is done
//! on no thread that anybody else waits for.

use crate::{event_loop, leftovers, sandbox};
use anyhow::Context;
use barkeep_journal::DeviceAddress;
use barkeep_platform::Board;
use barkeep_sandbox::{Role, Sandbox};
use barkeep_vfio::Signals;
use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};
use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use vmm_sys_util::eventfd::EventFd;

/// When a device that had an error is looked at once more. The kernel tells of a fatal error first, and resets
/// everything below the port then, of which it tells nobody: one look may come before that. One that comes in the middle
/// waits for its end, as config space does.
const AGAIN: Duration = Duration::from_secs(1);

/// What `epoll_wait` takes for no time-out.
const FOREVER: i32 = -1;

/// The thread; dropped, it ends.
pub struct Notices {
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

/// What is waited for, each with a number: `data` of its events.
enum Source {
    Stop(EventFd),
    Request(u16, EventFd),
    Error(u16, EventFd),
    Wake(u16, EventFd),
    /// The kernel's log, where the IOMMU's fault records are.
    Log(File),
}

struct Watch {
    board: Arc<Board>,
    sources: Vec<Source>,
    /// Devices that had an error, and when they are looked at again; the next one first.
    again: VecDeque<(Instant, u16)>,
    stopped: bool,
}

impl Notices {
    /// Waits for the signals of these devices, and for fault records where they can be read: `log` is
    /// the board's source of them.
    ///
    /// # Errors
    /// No descriptors, or no thread.
    pub fn start(
        board: &Arc<Board>,
        signals: Vec<(DeviceAddress, Signals)>,
        log: Option<File>,
        confined: &Arc<Sandbox>,
    ) -> anyhow::Result<Self> {
        let stop = event_loop::event()?;
        let mut sources = vec![Source::Stop(stop.try_clone().context("cannot make an event")?)];
        for (address, Signals { request, error, wake }) in signals {
            let driver = board.driver();
            let Some(device) = (0..driver.devices()).find(|n| driver.address(*n) == address) else {
                continue;
            };
            sources.extend([
                Source::Request(device, request),
                Source::Error(device, error),
                Source::Wake(device, wake),
            ]);
        }
        sources.extend(log.map(Source::Log));
        let mut manager = EventManager::new().context("cannot make an event loop")?;
        let watch = Watch { board: Arc::clone(board), sources, again: VecDeque::new(), stopped: false };
        let id = manager.add_subscriber(watch);
        let confined = Arc::clone(confined);
        let wait = move || {
            sandbox::thread(&confined, Role::Device);
            let mut patience = FOREVER;
            while manager.run_with_timeout(patience).is_ok() {
                match manager.subscriber_mut(id) {
                    Ok(watch) if !watch.stopped => patience = watch.look_again(),
                    Ok(_) | Err(_) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("notices".into()).spawn(wait);
        Ok(Self { stop, thread: Some(thread.context("cannot start a thread")?) })
    }
}

impl Watch {
    fn named(&self, device: u16) -> (&str, DeviceAddress) {
        let name = self.board.names().nth(usize::from(device)).unwrap_or("a device");
        (name, self.board.driver().address(device))
    }

    /// Looks at what is due, and gives the milliseconds until the next is.
    fn look_again(&mut self) -> i32 {
        while let Some((at, device)) = self.again.front().copied() {
            let left = at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                // Rounded up: woken too early, it would wait for nothing several times.
                return i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1);
            }
            self.again.pop_front();
            if !self.board.driver().keeper(device).closed() {
                self.board.suspect(device);
            }
        }
        FOREVER
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        // Only fails when it is readable already.
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            // It has no panic of its own.
            let _ = thread.join();
        }
    }
}

impl MutEventSubscriber for Watch {
    fn process(&mut self, events: Events, _: &mut EventOps<'_>) {
        let Some(source) = self.sources.get(events.data() as usize) else { return };
        match source {
            Source::Stop(event) => self.stopped = event.read().is_ok(),
            // Read by the device, which is asked.
            Source::Request(device, _) => {
                if self.board.notice_request(*device) {
                    let (name, address) = self.named(*device);
                    eprintln!(
                        "barkeep: the kernel asks for {name} ({address}) back: the guest has it no longer"
                    );
                    leftovers::count_removed(self.board.journal());
                }
            }
            Source::Error(device, event) if event.read().is_ok() => {
                let (name, address) = self.named(*device);
                eprintln!(
                    "barkeep: {name} ({address}) has had an uncorrectable error (PCI Express AER): the guest keeps \
                     it, and should reset it; the host's kernel may have reset its link"
                );
                self.board.errored(*device);
                self.again.push_back((Instant::now() + AGAIN, *device));
            }
            Source::Wake(device, event) if event.read().is_ok() => self.board.woken(*device),
            // Read by nobody else: there is nothing to be read twice.
            Source::Error(..) | Source::Wake(..) => {}
            // Read by the board's source of them, which has the same open file.
            Source::Log(_) => self.board.notice_faults(),
        }
    }

    fn init(&mut self, ops: &mut EventOps<'_>) {
        for (number, source) in (0..).zip(&self.sources) {
            let watched = match source {
                Source::Stop(event)
                | Source::Request(_, event)
                | Source::Error(_, event)
                | Source::Wake(_, event) => Events::with_data(event, number, EventSet::IN),
                Source::Log(log) => Events::with_data(log, number, EventSet::IN),
            };
            // Only fails for a descriptor that is there already, or no memory.
            if let Err(error) = ops.add(watched) {
                log::error!("an event cannot be watched: {error}");
            }
        }
    }
}
