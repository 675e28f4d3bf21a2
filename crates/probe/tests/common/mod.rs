// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The smallest VMM that serves a probe: memory, vCPUs, a serial port, a simulated edu.
#![allow(unsafe_code)] // Memory slots are given to KVM by host address.
#![allow(dead_code)] // Not every test uses all of it.

pub mod edu;
pub mod script;

use std::io::Cursor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use barkeep_probe::mailbox::{self, HAMMER_CELL_STRIDE, HAMMER_CELLS, REPLY_WORDS};
use barkeep_probe::{Command, IMAGE, Refusal, Reply, ServedOptions};
use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use linux_loader::loader::elf::{Elf, PvhBootCapability};
use linux_loader::loader::{KernelLoader, KernelLoaderResult};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use edu::Edu;
use script::Script;

/// Where tests keep Hammer's outage and stop words.
pub const OUTAGE: u64 = 0x50_0000;
pub const STOP: u64 = 0x50_0008;
const RAM_BYTES: usize = 8 << 20;
const START_INFO: u64 = 0x6000;
const COMMAND_LINE: u64 = 0x6800;
/// A BAR that is memory, in a slot of its own.
pub const BAR: u64 = 0xC000_0000;
pub const BAR_BYTES: usize = 0x4000;
const BAR_SLOT: u32 = 1;
/// The slowest machine these tests run on emulates each instruction.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a vCPU's thread has to say.
#[derive(Debug)]
pub enum Event {
    /// A doorbell and the mailbox's reply at that time.
    Doorbell(u32, [u64; REPLY_WORDS]),
    /// It will not run again.
    Ended(String),
}

/// What a waiting vCPU is to do next.
enum Next {
    Request([u64; 8]),
    /// Take a non-maskable interrupt and go on with what the mailbox holds.
    Nmi,
}

struct Line {
    requests: Sender<Next>,
    events: Receiver<Event>,
}

pub struct Machine {
    vm: Arc<VmFd>,
    pub ram: GuestMemoryMmap,
    bar: GuestMemoryMmap,
    lines: Vec<Line>,
    pub edu: Arc<Mutex<Edu>>,
    pub serial: Arc<Mutex<String>>,
    /// What a read gives where nobody is: all ones, unless a test spoils it.
    pub nobody: Arc<AtomicU64>,
    nobody_read: Arc<[AtomicU64; 2]>,
    pub script: Arc<Mutex<Script>>,
}

/// What all vCPU threads answer exits from.
#[derive(Clone)]
struct World {
    ram: GuestMemoryMmap,
    edu: Arc<Mutex<Edu>>,
    serial: Arc<Mutex<String>>,
    nobody: Arc<AtomicU64>,
    nobody_read: Arc<[AtomicU64; 2]>,
    script: Arc<Mutex<Script>>,
}

/// Opens /dev/kvm, or says why the test is skipped.
pub fn kvm_or_skip() -> Option<Kvm> {
    match Kvm::new() {
        Ok(kvm) => Some(kvm),
        Err(error) => {
            println!("skipped: /dev/kvm cannot be opened: {error}");
            None
        }
    }
}

impl Machine {
    /// A served probe, every vCPU at its first doorbell.
    pub fn boot(kvm: &Kvm, cpus: usize) -> Self {
        let options = ServedOptions { cpus, ..Default::default() };
        let machine = Self::enter(kvm, cpus, &options.to_string());
        for cpu in 0..cpus {
            let (bell, words) = machine.wait(cpu);
            assert_eq!(bell, mailbox::DOORBELL_NEXT);
            assert!(barkeep_probe::reply::is_booted(&words), "cpu {cpu}: {words:?}");
        }
        machine
    }

    /// A probe with any command line, at its entry.
    pub fn enter(kvm: &Kvm, cpus: usize, command_line: &str) -> Self {
        let vm = Arc::new(kvm.create_vm().expect("a VM"));
        // Only some processors need it; the others refuse it.
        let _ = vm.set_tss_address(0xFFFB_D000);
        vm.create_irq_chip().expect("local APICs");
        let ram = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), RAM_BYTES)]).expect("RAM");
        let bar = GuestMemoryMmap::from_ranges(&[(GuestAddress(BAR), BAR_BYTES)]).expect("BAR");
        let edu = Arc::new(Mutex::new(Edu::new(ram.clone(), bar.clone())));
        let serial = Arc::default();
        let script = Arc::new(Mutex::new(Script::new(ram.clone(), OUTAGE)));
        let nobody = Arc::new(AtomicU64::new(u64::MAX));
        let mut machine = Self {
            vm,
            ram,
            bar,
            lines: Vec::new(),
            edu,
            serial,
            nobody,
            nobody_read: Arc::default(),
            script,
        };
        machine.set_slot(0, &machine.ram, 0, RAM_BYTES);
        machine.put_bar();

        let entry = machine.load(command_line);
        let vcpus: Vec<VcpuFd> = (0..cpus).map(|cpu| machine.create_vcpu(kvm, cpu)).collect();
        enter_pvh(&vcpus[0], entry);
        for (cpu, vcpu) in vcpus.into_iter().enumerate() {
            machine.start(cpu, vcpu);
        }
        machine
    }

    fn set_slot(&self, slot: u32, memory: &GuestMemoryMmap, at: u64, bytes: usize) {
        let host = memory.get_host_address(GuestAddress(at)).expect("it is mapped");
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: at,
            memory_size: bytes as u64,
            userspace_addr: host as u64,
        };
        // SAFETY: `memory` is at least `bytes` long; it lives in `self`, as the VM does, and in
        // the vCPU threads, none of which outlives the process.
        unsafe { self.vm.set_user_memory_region(region) }.expect("a memory slot");
    }

    pub fn put_bar(&self) {
        self.set_slot(BAR_SLOT, &self.bar, BAR, BAR_BYTES);
    }

    pub fn remove_bar(&self) {
        self.set_slot(BAR_SLOT, &self.bar, BAR, 0);
    }

    /// Puts image, command line and PVH boot information in place; the entry address.
    fn load(&self, command_line: &str) -> u64 {
        // Loaders do not zero what the file does not hold: the probe has to.
        self.ram.write_slice(&[0xA5; 1 << 20], GuestAddress(1 << 20)).expect("RAM");
        let loaded: KernelLoaderResult =
            Elf::load(&self.ram, None, &mut Cursor::new(IMAGE), None).expect("an ELF file");
        let PvhBootCapability::PvhEntryPresent(entry) = loaded.pvh_boot_cap else {
            panic!("the image has no PVH entry");
        };
        let line = format!("{command_line}\0");
        self.ram.write_slice(line.as_bytes(), GuestAddress(COMMAND_LINE)).expect("RAM");
        self.ram.write_obj(0x336E_C578_u32, GuestAddress(START_INFO)).expect("RAM");
        self.ram.write_obj(COMMAND_LINE, GuestAddress(START_INFO + 24)).expect("RAM");
        entry.0
    }

    fn create_vcpu(&self, kvm: &Kvm, cpu: usize) -> VcpuFd {
        let vcpu = self.vm.create_vcpu(cpu as u64).expect("a vCPU");
        let cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).expect("CPUID");
        vcpu.set_cpuid2(&cpuid).expect("CPUID");
        vcpu
    }

    fn start(&mut self, cpu: usize, vcpu: VcpuFd) {
        let world = World {
            ram: self.ram.clone(),
            edu: self.edu.clone(),
            serial: self.serial.clone(),
            nobody: self.nobody.clone(),
            nobody_read: self.nobody_read.clone(),
            script: self.script.clone(),
        };
        let (requests, from_test) = channel();
        let (to_test, events) = channel();
        thread::spawn(move || world.run(cpu, vcpu, &from_test, &to_test));
        self.lines.push(Line { requests, events });
    }

    /// The vCPU's next doorbell.
    pub fn wait(&self, cpu: usize) -> (u32, [u64; REPLY_WORDS]) {
        match self.lines[cpu].events.recv_timeout(PATIENCE) {
            Ok(Event::Doorbell(bell, words)) => (bell, words),
            other => panic!("cpu {cpu}: {other:?}; serial: {}", self.serial.lock().unwrap()),
        }
    }

    pub fn send(&self, cpu: usize, command: Command) {
        let next = Next::Request(command.encode());
        self.lines[cpu].requests.send(next).expect("the vCPU's thread is there");
    }

    pub fn send_nmi(&self, cpu: usize) {
        self.lines[cpu].requests.send(Next::Nmi).expect("the vCPU's thread is there");
    }

    /// Why the vCPU's thread ended.
    pub fn wait_for_end(&self, cpu: usize) -> String {
        match self.lines[cpu].events.recv_timeout(PATIENCE) {
            Ok(Event::Ended(why)) => why,
            other => panic!("cpu {cpu}: {other:?}; serial: {}", self.serial.lock().unwrap()),
        }
    }

    /// How often a vCPU has read where nobody is.
    pub fn reads_of_nobody(&self, cpu: usize) -> u64 {
        self.nobody_read[cpu].load(Ordering::SeqCst)
    }

    /// The highest word Hammer has left in a page of the BAR: how far it came while it could.
    pub fn highest_word(&self, page: u64) -> u64 {
        let cells = (0..HAMMER_CELLS).map(|cell| self.bar_word(page + cell * HAMMER_CELL_STRIDE));
        cells.max().unwrap_or(0).into()
    }

    /// A word of the BAR's memory, whether the guest can reach it or not.
    pub fn bar_word(&self, offset: u64) -> u32 {
        self.bar.read_obj(GuestAddress(BAR + offset)).expect("the BAR's memory")
    }

    pub fn ask(&self, cpu: usize, command: Command) -> Result<Reply, Refusal> {
        self.send(cpu, command);
        let (bell, words) = self.wait(cpu);
        assert_eq!(bell, mailbox::DOORBELL_NEXT, "{words:?}");
        command.decode_reply(&words)
    }
}

impl World {
    fn run(self, cpu: usize, mut vcpu: VcpuFd, requests: &Receiver<Next>, events: &Sender<Event>) {
        let why = loop {
            match vcpu.run() {
                Ok(VcpuExit::IoOut(mailbox::DOORBELL_PORT, data)) => {
                    let bell = u32::from_le_bytes(data.try_into().expect("a u32"));
                    let reply = self.read_reply(cpu);
                    if events.send(Event::Doorbell(bell, reply)).is_err() {
                        return;
                    }
                    if bell == mailbox::DOORBELL_NEXT {
                        match requests.recv() {
                            Ok(Next::Request(request)) => self.write_request(cpu, &request),
                            Ok(Next::Nmi) => vcpu.nmi().expect("an NMI"),
                            Err(_) => return,
                        }
                    }
                }
                Ok(VcpuExit::IoOut(0x3F8, data)) => {
                    self.serial.lock().unwrap().push(char::from(data[0]));
                }
                Ok(VcpuExit::IoOut(..)) => {}
                Ok(VcpuExit::IoIn(_, data)) => data.fill(0xFF),
                Ok(VcpuExit::MmioRead(address, data)) => self.read_device(cpu, address, data),
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    self.edu.lock().unwrap().write(address, data);
                    self.script.lock().unwrap().write(address, data);
                }
                Ok(other) => break format!("{other:?}"),
                // A signal; or another vCPU has just woken this one from its wait for SIPI.
                Err(error) if [libc::EINTR, libc::EAGAIN].contains(&error.errno()) => {}
                Err(error) => break error.to_string(),
            }
        };
        let _ = events.send(Event::Ended(why));
    }

    fn read_device(&self, cpu: usize, address: u64, data: &mut [u8]) {
        let answered =
            self.edu.lock().unwrap().read(address, data) || self.script.lock().unwrap().read(address, data);
        if !answered {
            self.nobody_read[cpu].fetch_add(1, Ordering::SeqCst);
            let nobody = self.nobody.load(Ordering::SeqCst).to_le_bytes();
            data.copy_from_slice(&nobody[..data.len()]);
        }
    }

    fn read_reply(&self, cpu: usize) -> [u64; REPLY_WORDS] {
        std::array::from_fn(|word| {
            let at = mailbox::reply_address(cpu) + 8 * word as u64;
            self.ram.read_obj(GuestAddress(at)).expect("RAM")
        })
    }

    fn write_request(&self, cpu: usize, request: &[u64; 8]) {
        for (word, value) in request.iter().enumerate() {
            let at = mailbox::request_address(cpu) + 8 * word as u64;
            self.ram.write_obj(*value, GuestAddress(at)).expect("RAM");
        }
    }
}

/// 32-bit protected mode with flat segments, as the PVH boot protocol has it.
fn enter_pvh(vcpu: &VcpuFd, entry: u64) {
    let flat = |type_, selector| kvm_segment {
        base: 0,
        limit: 0xFFFF_FFFF,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: 1,
        s: 1,
        l: 0,
        g: 1,
        ..Default::default()
    };
    let mut sregs = vcpu.get_sregs().expect("registers");
    sregs.cs = flat(0xB, 8);
    sregs.ds = flat(0x3, 16);
    (sregs.es, sregs.ss) = (sregs.ds, sregs.ds);
    sregs.cr0 = 0x11;
    sregs.cr4 = 0;
    sregs.efer = 0;
    vcpu.set_sregs(&sregs).expect("registers");
    let regs = kvm_regs { rip: entry, rbx: START_INFO, rflags: 2, ..Default::default() };
    vcpu.set_regs(&regs).expect("registers");
}

/// Until `condition` holds, however loaded this machine is.
pub fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "the guest does not get on");
        thread::sleep(Duration::from_millis(1));
    }
}
