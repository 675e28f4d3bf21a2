//! The VMM's end of the probe guest: one mailbox a vCPU. A vCPU that rings its doorbell
//! waits, outside of the guest, for its next command, so that an idle probe costs nothing.

use barkeep_platform::{Doorbell, Ram};
use barkeep_probe::mailbox::{self, MAILBOX_REQUEST_WORDS, REPLY_WORDS};
use barkeep_probe::{Command, Refusal, Reply};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vm_memory::{Bytes, GuestAddress};

/// Why a command has no reply.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No such vCPU, or it has stopped.
    #[error("vCPU {0} of the probe is not there to take commands")]
    NotThere(usize),
    /// It takes longer than it may. Only ever wall-clock time: a verdict of its own.
    #[error("vCPU {vcpu} of the probe gave no answer to {command:?} for {seconds} s")]
    Hangs {
        /// Which vCPU.
        vcpu: usize,
        /// What it was asked.
        command: Command,
        /// How long was waited.
        seconds: u64,
    },
    /// The probe could not do it.
    #[error("vCPU {vcpu} of the probe cannot do {command:?}")]
    Refused {
        /// Which vCPU.
        vcpu: usize,
        /// What it was asked.
        command: Command,
        /// Its reason.
        source: Refusal,
    },
    /// A command is already on its way to this vCPU.
    #[error("vCPU {0} of the probe is busy with another command")]
    Busy(usize),
}

/// How long one turn of waiting lasts.
const TURN: Duration = Duration::from_secs(1);

type Words = [u64; REPLY_WORDS];

/// What a waiting vCPU is told.
enum Order {
    /// To carry this out.
    Command(Command),
    /// To leave: the machine is reset.
    Leave,
}

/// One vCPU's side of the link, as the vCPU's thread has it.
struct Desk {
    requests: Receiver<Order>,
    /// Gone once the vCPU is.
    replies: Option<SyncSender<Words>>,
    /// The first ring announces the vCPU and carries no reply.
    announced: bool,
}

/// One vCPU's side of the link, as the scenario has it.
struct Caller {
    requests: Option<SyncSender<Order>>,
    replies: Receiver<Words>,
    pending: Option<Command>,
}

/// The link to all vCPUs of a probe.
pub struct ProbeLink {
    ram: Arc<Ram>,
    desks: Vec<Mutex<Desk>>,
    callers: Vec<Mutex<Caller>>,
    hung_up: AtomicBool,
}

impl ProbeLink {
    /// A link to `vcpus` vCPUs.
    pub fn new(ram: Arc<Ram>, vcpus: usize) -> Self {
        let (mut desks, mut callers) = (Vec::new(), Vec::new());
        for _ in 0..vcpus {
            let (requests_in, requests) = mpsc::sync_channel(1);
            let (replies, replies_out) = mpsc::sync_channel(1);
            desks.push(Mutex::new(Desk { requests, replies: Some(replies), announced: false }));
            let caller = Caller { requests: Some(requests_in), replies: replies_out, pending: None };
            callers.push(Mutex::new(caller));
        }
        Self { ram, desks, callers, hung_up: AtomicBool::new(false) }
    }

    /// Says that a vCPU has come to its end: whoever waits for its reply need not.
    pub(crate) fn gone(&self, vcpu: usize) {
        self.desks[vcpu].lock().unwrap_or_else(PoisonError::into_inner).replies = None;
    }

    /// Sends a command and does not wait.
    ///
    /// # Errors
    /// The vCPU is not there, or has one already.
    pub fn send(&self, vcpu: usize, command: Command) -> Result<(), ProbeError> {
        let mut caller = self.caller(vcpu)?;
        if caller.pending.is_some() {
            return Err(ProbeError::Busy(vcpu));
        }
        let requests = caller.requests.as_ref().ok_or(ProbeError::NotThere(vcpu))?;
        requests.send(Order::Command(command)).map_err(|_| ProbeError::NotThere(vcpu))?;
        caller.pending = Some(command);
        Ok(())
    }

    /// Waits for the reply to the command sent last, `limit` of wall-clock time at the most.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub fn receive(&self, vcpu: usize, limit: Duration) -> Result<Reply, ProbeError> {
        let mut caller = self.caller(vcpu)?;
        let command = caller.pending.ok_or(ProbeError::NotThere(vcpu))?;
        let mut left = limit;
        let words = loop {
            // In turns, so that a hang-up ends the wait for a guest that never answers.
            let turn = left.min(TURN);
            match caller.replies.recv_timeout(turn) {
                Ok(words) => break words,
                Err(RecvTimeoutError::Disconnected) => return Err(ProbeError::NotThere(vcpu)),
                Err(RecvTimeoutError::Timeout) => left -= turn,
            }
            if self.hung_up.load(Ordering::Acquire) {
                return Err(ProbeError::NotThere(vcpu));
            }
            if left.is_zero() {
                return Err(ProbeError::Hangs { vcpu, command, seconds: limit.as_secs() });
            }
        };
        caller.pending = None;
        command.decode_reply(&words).map_err(|source| ProbeError::Refused { vcpu, command, source })
    }

    /// Has every vCPU that waits for a command leave.
    pub(crate) fn interrupt(&self) {
        for caller in &self.callers {
            let caller = caller.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(requests) = &caller.requests {
                // Full of a command that is about to be taken: then the vCPU is on its way.
                let _ = requests.try_send(Order::Leave);
            }
        }
    }

    /// Forgets what was asked and answered. No vCPU may be in the guest or waiting for a command;
    /// each announces itself again.
    pub(crate) fn begin_again(&self) {
        for (desk, caller) in self.desks.iter().zip(&self.callers) {
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            let mut caller = caller.lock().unwrap_or_else(PoisonError::into_inner);
            while desk.requests.try_recv().is_ok() || caller.replies.try_recv().is_ok() {}
            (desk.announced, caller.pending) = (false, None);
        }
    }

    /// Lets every waiting vCPU go; no command can be sent any more.
    pub fn hang_up(&self) {
        self.hung_up.store(true, Ordering::Release);
        for caller in &self.callers {
            caller.lock().unwrap_or_else(PoisonError::into_inner).requests = None;
        }
    }

    fn caller(&self, vcpu: usize) -> Result<std::sync::MutexGuard<'_, Caller>, ProbeError> {
        let caller = self.callers.get(vcpu).ok_or(ProbeError::NotThere(vcpu))?;
        Ok(caller.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Doorbell for ProbeLink {
    /// Called by the vCPU's thread: hands the last reply over and waits for the next command.
    fn ring(&self, vcpu: usize) -> bool {
        let mut desk = self.desks[vcpu].lock().unwrap_or_else(PoisonError::into_inner);
        if desk.announced {
            let mut words = [0u64; REPLY_WORDS];
            for (n, word) in words.iter_mut().enumerate() {
                let at = GuestAddress(mailbox::reply_address(vcpu) + 8 * n as u64);
                *word = self.ram.memory().read_obj(at).unwrap_or(u64::MAX);
            }
            if desk.replies.as_ref().is_none_or(|replies| replies.send(words).is_err()) {
                return false;
            }
        }
        desk.announced = true;
        let command = match desk.requests.recv() {
            Ok(Order::Command(command)) => command,
            Ok(Order::Leave) => return true,
            Err(_) => return false,
        };
        let words: [u64; MAILBOX_REQUEST_WORDS] = command.encode();
        for (n, word) in words.iter().enumerate() {
            let at = GuestAddress(mailbox::request_address(vcpu) + 8 * n as u64);
            if self.ram.memory().write_obj(*word, at).is_err() {
                return false;
            }
        }
        true
    }
}
