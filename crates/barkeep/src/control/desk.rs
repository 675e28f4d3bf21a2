//! The connections, on the event loop. Nothing here waits: what cannot be answered at once is given to
//! [`Hands`], and what cannot be sent at once is sent when there is room.

use super::endpoint::Endpoint;
use super::hands::{self, Hands, Job, Outcome, Task};
use super::listing::listing;
use crate::version::VERSION;
use anyhow::Context;
use barkeep_control::{Command, Connection, Done, Greeting, Refusal, RefusalKind, Request};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind};
use barkeep_platform::Board;
use barkeep_sandbox::Sandbox;
use barkeep_vmm::Machine;
use event_manager::{EventOps, EventSet, Events};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use vmm_sys_util::eventfd::EventFd;

/// Connections at once. Who comes after that takes the place of the one that has been silent the longest.
const CONNECTIONS: usize = 32;
/// Numbers of events that others of this loop have.
pub const FIRST_NUMBER: u32 = 8;
const LISTENER: u32 = FIRST_NUMBER;
const DONE: u32 = FIRST_NUMBER + 1;
const FIRST_CALLER: u32 = FIRST_NUMBER + 2;

/// A connection and its socket.
struct Caller {
    stream: UnixStream,
    connection: Connection,
    /// What is waited for.
    interest: EventSet,
    /// When it was last heard, by a count of what was heard of all.
    heard: u64,
}

/// The control socket of a VM.
pub struct Desk {
    endpoint: Endpoint,
    board: Arc<Board>,
    machine: Arc<Machine>,
    hands: Hands,
    results: Receiver<(u32, Outcome)>,
    told: Arc<EventFd>,
    callers: BTreeMap<u32, Caller>,
    next: u32,
    heard: u64,
    /// One descriptor to give up, so that a caller for whom there is none can be told so.
    spare: Option<EventFd>,
    quit: bool,
}

impl Desk {
    /// Opens it.
    ///
    /// # Errors
    /// No descriptors, no threads.
    pub fn open(
        endpoint: Endpoint,
        board: &Arc<Board>,
        machine: &Arc<Machine>,
        confined: &Arc<Sandbox>,
    ) -> anyhow::Result<Self> {
        let (done, results) = channel();
        let told = Arc::new(crate::event_loop::event()?);
        let hands =
            Hands::start(board, machine, confined, done, Arc::clone(&told)).context("no control socket")?;
        let (board, machine) = (Arc::clone(board), Arc::clone(machine));
        let (callers, next) = (BTreeMap::new(), FIRST_CALLER);
        let spare = Some(crate::event_loop::event()?);
        Ok(Self {
            endpoint,
            board,
            machine,
            hands,
            results,
            told,
            callers,
            next,
            heard: 0,
            spare,
            quit: false,
        })
    }

    /// Has the loop watch it.
    pub fn watch(&self, ops: &mut EventOps<'_>) {
        add(ops, Events::with_data(&self.endpoint, LISTENER, EventSet::IN));
        add(ops, Events::with_data(&*self.told, DONE, EventSet::IN));
    }

    /// Something has happened; gives whether the VMM is to end.
    pub fn process(&mut self, events: Events, ops: &mut EventOps<'_>) -> bool {
        match events.data() {
            LISTENER => self.accept(ops),
            DONE => self.answer(ops),
            number => self.hear(number, events.event_set(), ops),
        }
        self.quit
    }

    /// Waits for what is under way, and has nothing more done. The connections stay until this is dropped, so
    /// that their ends tell when everything is over.
    pub fn finish(&mut self) {
        self.hands.finish();
        while let Ok((number, outcome)) = self.results.try_recv() {
            if let Some(caller) = self.callers.get_mut(&number) {
                caller.connection.answer(outcome);
                // Nobody waits for room any more.
                let _ = caller.stream.write(caller.connection.output());
            }
        }
    }

    fn accept(&mut self, ops: &mut EventOps<'_>) {
        // The loop is woken again for those that are left, after whatever else there is.
        for _ in 0..CONNECTIONS {
            match self.endpoint.accept() {
                Ok(Some(stream)) => self.welcome(stream, ops),
                Ok(None) => return,
                Err(errno) => {
                    // Not left waiting: the loop would be woken for it again and again.
                    self.spare = None;
                    let dropped = self.endpoint.accept().is_ok_and(|stream| stream.is_some());
                    self.spare = crate::event_loop::event().ok();
                    log::warn!("control socket: a connection cannot be taken: {errno}");
                    if !dropped {
                        return;
                    }
                }
            }
        }
    }

    fn welcome(&mut self, stream: UnixStream, ops: &mut EventOps<'_>) {
        if self.callers.len() >= CONNECTIONS && !self.make_room(ops) {
            let message = format!("all {CONNECTIONS} connections wait for their answers");
            let refusal = Refusal::new(RefusalKind::TooManyConnections, message);
            let mut stream = stream;
            // It fits into an empty buffer; a caller that is gone has no use for it.
            let _ = stream.write(Connection::refused(refusal).output());
            return;
        }
        let number = self.next;
        self.next = self.next.checked_add(1).unwrap_or(FIRST_CALLER);
        let greeting = Greeting { program: format!("barkeep {VERSION}") };
        let connection = Connection::new(&greeting);
        let interest = EventSet::empty();
        add(ops, Events::with_data(&stream, number, interest));
        let caller = Caller { stream, connection, interest, heard: self.heard };
        self.callers.insert(number, caller);
        self.go_on(number, ops);
    }

    /// Ends the connection that has been silent the longest; false if all wait for answers.
    fn make_room(&mut self, ops: &mut EventOps<'_>) -> bool {
        let silent = self.callers.iter().filter(|(_, caller)| !caller.connection.works());
        let Some(number) = silent.min_by_key(|(_, caller)| caller.heard).map(|(number, _)| *number) else {
            return false;
        };
        if let Some(mut caller) = self.callers.remove(&number) {
            let message = "another connection takes the place of this one, which was silent the longest";
            let refusal = Refusal::new(RefusalKind::TooManyConnections, message);
            caller.connection.end(Some(refusal));
            let _ = caller.stream.write(caller.connection.output());
            leave(ops, &caller);
        }
        true
    }

    /// Something can be read, or written, or the other end is gone.
    fn hear(&mut self, number: u32, set: EventSet, ops: &mut EventOps<'_>) {
        let Some(caller) = self.callers.get_mut(&number) else { return };
        self.heard += 1;
        caller.heard = self.heard;
        let mut bytes = [0; 4096];
        while caller.connection.wants_input() {
            match caller.stream.read(&mut bytes) {
                Ok(0) => caller.connection.input_is_over(),
                Ok(length) => caller.connection.received(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.forget(number, ops),
            }
        }
        let gone = set.intersects(EventSet::HANG_UP | EventSet::ERROR);
        if gone && caller.connection.works() {
            // Nobody is there for the answer; what was asked is carried out all the same.
            return self.forget(number, ops);
        }
        self.go_on(number, ops);
    }

    /// What was under way is over.
    fn answer(&mut self, ops: &mut EventOps<'_>) {
        // Only fails when somebody has read it: then there is nothing to be read.
        let _ = self.told.read();
        while let Ok((number, outcome)) = self.results.try_recv() {
            if let Some(caller) = self.callers.get_mut(&number) {
                caller.connection.answer(outcome);
                self.go_on(number, ops);
            }
        }
    }

    /// Sends what there is, takes requests as long as they can be answered, and sees what is to be waited for.
    fn go_on(&mut self, number: u32, ops: &mut EventOps<'_>) {
        loop {
            let Some(caller) = self.callers.get_mut(&number) else { return };
            if !send(caller) {
                return self.forget(number, ops);
            }
            if !caller.connection.output().is_empty() {
                break;
            }
            match caller.connection.request() {
                Some(request) => self.carry_out(number, request),
                None if caller.connection.output().is_empty() => break,
                None => {}
            }
        }
        let Some(caller) = self.callers.get_mut(&number) else { return };
        if caller.connection.is_over() {
            return self.forget(number, ops);
        }
        let mut interest = EventSet::empty();
        interest.set(EventSet::IN, caller.connection.wants_input());
        interest.set(EventSet::OUT, !caller.connection.output().is_empty());
        if interest != caller.interest {
            caller.interest = interest;
            if let Err(error) = ops.modify(Events::with_data(&caller.stream, number, interest)) {
                log::error!("a connection cannot be watched: {error}");
                self.forget(number, ops);
            }
        }
    }

    fn carry_out(&mut self, caller: u32, request: Request) {
        let Request { id: _, command } = request;
        let mut event = Event::new(Kind::Control, Actor::Vmm).text(command.to_string());
        event.device = command.device();
        let step = self.board.journal().begin(event);
        let outcome = match command {
            Command::List => Ok(Done::List(listing(&self.board, &self.machine))),
            Command::Quit => {
                self.quit = true;
                Ok(Done::Quit)
            }
            Command::Remove(device) => match self.number(device) {
                Ok(number) => return self.hands.give(Job { caller, task: Task::Remove(number), step }),
                Err(refusal) => Err(refusal),
            },
            Command::Reset(device) => match self.number(device) {
                Ok(number) => return self.hands.give(Job { caller, task: Task::Reset(number), step }),
                Err(refusal) => Err(refusal),
            },
            Command::Pause => return self.hands.give(Job { caller, task: Task::Pause, step }),
            Command::Resume => return self.hands.give(Job { caller, task: Task::Resume, step }),
        };
        hands::close(&self.board, step, &outcome);
        if let Some(caller) = self.callers.get_mut(&caller) {
            caller.connection.answer(outcome);
        }
    }

    /// A device by its address.
    fn number(&self, device: DeviceAddress) -> Result<u16, Refusal> {
        let driver = self.board.driver();
        if let Some(number) = (0..driver.devices()).find(|number| driver.address(*number) == device) {
            return Ok(number);
        }
        let known: Vec<String> =
            (0..driver.devices()).map(|number| driver.address(number).to_string()).collect();
        Err(Refusal::unknown_device(&device.to_string(), known.iter().map(String::as_str)))
    }

    fn forget(&mut self, number: u32, ops: &mut EventOps<'_>) {
        if let Some(caller) = self.callers.remove(&number) {
            leave(ops, &caller);
        }
    }
}

/// Sends as much as there is room for; false if nobody is there.
fn send(caller: &mut Caller) -> bool {
    while !caller.connection.output().is_empty() {
        match caller.stream.write(caller.connection.output()) {
            Ok(length) => caller.connection.sent(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    true
}

fn add(ops: &mut EventOps<'_>, events: Events) {
    // Only fails for a descriptor that is there already, or no memory.
    if let Err(error) = ops.add(events) {
        log::error!("an event cannot be watched: {error}");
    }
}

fn leave(ops: &mut EventOps<'_>, caller: &Caller) {
    // Only fails for what is not watched.
    let _ = ops.remove(Events::new(&caller.stream, caller.interest));
}
