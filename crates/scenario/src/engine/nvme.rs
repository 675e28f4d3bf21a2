//! An NVMe controller: Identify Controller (NVM Express Base Specification, "Identify command")
//! writes 4096 bytes wherever its data pointer says, and that may be a peer's BAR.
//!
//! Only the admin queue is set up, and no interrupt: completions are looked for in memory, with a
//! sleep before each look, for the emulator completes them when it gets to it.

mod queue;
mod status;

use super::{Data, Doorbell, Ending, Order};
use crate::guest_cpu::GuestCpu;
use crate::runner::{DeviceRef, RunError};
use barkeep_platform::map::SCRATCH;
use queue::{Completion, Queue};
use std::time::Duration;
use vm_memory::{Bytes, GuestAddress};

/// What Identify Controller writes.
pub(super) const IDENTIFY_BYTES: u64 = 4096;
const PAGE: u64 = 4096;

// Controller registers ("Controller Properties").
const INTMS: u64 = 0x0c;
const CC: u64 = 0x14;
const CSTS: u64 = 0x1c;
const AQA: u64 = 0x24;
const ASQ: u64 = 0x28;
const ACQ: u64 = 0x30;

const CC_ENABLE: u32 = 1 << 0;
/// Entries of 64 and 16 bytes, as powers of two; pages of 4 KiB and the NVM command set are 0.
const CC_ENTRY_SIZES: u32 = 6 << 16 | 4 << 20;
const CSTS_READY: u32 = 1 << 0;
const CSTS_FATAL: u32 = 1 << 1;

/// Between two looks at the controller, the first one included.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Looks at the most: two seconds.
const LOOKS: u32 = 400;

/// Where its queues and buffers are, one page each: behind what an edu uses, three pages for each
/// device of the VM.
const QUEUES: u64 = SCRATCH.start + 0x10_0000;
const PAGES_EACH: u64 = 3;

/// A controller, and where the guest is with it.
pub(crate) struct Nvme {
    device: DeviceRef,
    /// `None` until it has been set up, and again once it has to be set up anew.
    running: Option<Running>,
}

struct Running {
    queue: Queue,
    /// The first words of what it says of itself.
    identity: Vec<u32>,
}

/// The guest's view of one controller for the time of a call.
struct Access<'a> {
    cpu: GuestCpu<'a>,
    /// Guest physical address of its registers.
    registers: u64,
    device: DeviceRef,
}

impl Nvme {
    pub fn new(device: DeviceRef) -> Self {
        Self { device, running: None }
    }

    pub fn load(&mut self, cpu: GuestCpu<'_>, registers: u64, order: Order) -> Result<Data, RunError> {
        let access = Access { cpu, registers, device: self.device };
        // A reset, its own or that of its bus, has emptied its queues: they are not to be trusted.
        let running = match self.running.take() {
            Some(running) if access.is_up()? => running,
            Some(_) | None => access.set_up()?,
        };
        let words = running.identity[..(order.size / 4) as usize].to_vec();
        self.running = Some(running);
        Ok(Data::Own(words))
    }

    pub fn prepare(&mut self, cpu: GuestCpu<'_>, registers: u64, order: Order) -> Result<Doorbell, RunError> {
        let access = Access { cpu, registers, device: self.device };
        let running = self.running.as_mut().ok_or_else(|| access.failed("has not been set up"))?;
        running.queue.put_identify(cpu, registers, order.to)
    }

    pub fn finish(&mut self, cpu: GuestCpu<'_>, registers: u64) -> Result<Ending, RunError> {
        let Some(running) = &mut self.running else {
            return Ok(Ending::Silent);
        };
        match wait_for(cpu, registers, &mut running.queue)? {
            Some(completion) if completion.is_success() => Ok(Ending::Success),
            Some(completion) => Ok(Ending::Failed(completion.to_string())),
            None => {
                // Whatever it does with the command later, it is not taken for the next one's end.
                self.running = None;
                Ok(Ending::Silent)
            }
        }
    }

    /// A command was put into the queue and will not be rung for.
    pub fn forget(&mut self) {
        self.running = None;
    }
}

impl Access<'_> {
    fn failed(&self, what: &str) -> RunError {
        RunError::Engine { device: self.device.address, what: what.to_owned() }
    }

    fn status(&self) -> Result<u32, RunError> {
        match self.cpu.read32(self.registers + CSTS)? {
            u32::MAX => Err(self.failed("answers all ones")),
            status => Ok(status),
        }
    }

    fn is_up(&self) -> Result<bool, RunError> {
        let enabled = self.cpu.read32(self.registers + CC)? & CC_ENABLE != 0;
        Ok(enabled && self.status()? & (CSTS_READY | CSTS_FATAL) == CSTS_READY)
    }

    /// From whatever state: disabled first, so that the queue registers may be written.
    fn set_up(&self) -> Result<Running, RunError> {
        let Self { cpu, registers, device } = *self;
        let pages = QUEUES + u64::from(device.index) * PAGES_EACH * PAGE;
        let [submissions, completions, buffer] = [0, 1, 2].map(|page| pages + page * PAGE);
        cpu.write32(registers + CC, 0)?;
        self.wait_until(|status| status & CSTS_READY == 0, "does not stop")?;
        let queue = Queue::new(submissions, completions);
        cpu.fill(pages, PAGES_EACH * PAGE, 0)?;
        // Nobody takes its interrupts.
        cpu.write32(registers + INTMS, u32::MAX)?;
        cpu.write32(registers + AQA, queue.sizes())?;
        cpu.write64(registers + ASQ, submissions)?;
        cpu.write64(registers + ACQ, completions)?;
        cpu.write32(registers + CC, CC_ENTRY_SIZES | CC_ENABLE)?;
        self.wait_until(|status| status & CSTS_READY != 0, "does not come up")?;
        self.learn(queue, buffer)
    }

    fn wait_until(&self, is_so: impl Fn(u32) -> bool, else_it: &str) -> Result<(), RunError> {
        for _ in 0..LOOKS {
            self.cpu.sleep(LOOK_EVERY)?;
            if is_so(self.status()?) {
                return Ok(());
            }
        }
        Err(self.failed(else_it))
    }

    /// What it will write into BARs is seen in RAM first.
    fn learn(&self, mut queue: Queue, buffer: u64) -> Result<Running, RunError> {
        let Self { cpu, registers, .. } = *self;
        let Doorbell { address, value } = queue.put_identify(cpu, registers, buffer)?;
        cpu.write32(address, value)?;
        match wait_for(cpu, registers, &mut queue)? {
            Some(completion) if completion.is_success() => {}
            Some(completion) => return Err(self.failed(&format!("does not identify itself: {completion}"))),
            None => return Err(self.failed("does not identify itself")),
        }
        let identity = words(cpu, buffer, IDENTIFY_BYTES)?;
        if identity[0] == 0 {
            return Err(self.failed("says that it has identified itself, and has written nothing"));
        }
        Ok(Running { queue, identity })
    }
}

fn wait_for(cpu: GuestCpu<'_>, registers: u64, queue: &mut Queue) -> Result<Option<Completion>, RunError> {
    for _ in 0..LOOKS {
        cpu.sleep(LOOK_EVERY)?;
        if let Some(completion) = queue.take(cpu, registers)? {
            return Ok(Some(completion));
        }
    }
    Ok(None)
}

/// Words of guest RAM.
pub(crate) fn words(cpu: GuestCpu<'_>, address: u64, bytes: u64) -> Result<Vec<u32>, RunError> {
    let word = |n: u64| cpu.world.board().ram().memory().read_obj::<u32>(GuestAddress(address + 4 * n));
    (0..bytes / 4).map(word).collect::<Result<_, _>>().map_err(RunError::Ram)
}
