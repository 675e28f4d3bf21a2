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
use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;
use vmm_sys_util::eventfd::EventFd;

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
        let id = manager.add_subscriber(Watch { board: Arc::clone(board), sources, stopped: false });
        let confined = Arc::clone(confined);
        let wait = move || {
            sandbox::thread(&confined, Role::Device);
            while manager.run().is_ok() {
                if manager.subscriber_mut(id).is_ok_and(|watch| watch.stopped) {
                    return;
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
