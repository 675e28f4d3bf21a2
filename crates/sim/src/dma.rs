//! The engines' DMAs, through the specification's I/O address space.
//!
//! A DMA is carried out its delay after the command. One that is still under way when something
//! is revoked does not wait for that: it is carried out right after the revoke and before anything
//! gives access back. No scheduler and no clock decides whether a DMA in flight meets an outage.

use crate::host::{Holding, State};
use crate::parts;
use barkeep_export::Fault;
use barkeep_model::kernel::{CpuTarget, Memory, Target};
use barkeep_model::op::PAGE;
use std::os::unix::fs::FileExt;

impl State {
    /// When the next DMA is due.
    pub fn next_due(&self) -> Option<u64> {
        self.engines().map(|(_, due)| due).min()
    }

    /// Carries out what is due by `now`, the earliest first.
    pub fn catch_up(&mut self, now: u64) {
        loop {
            let next = self.engines().min_by_key(|(_, due)| *due);
            let Some((device, _)) = next.filter(|(_, due)| *due <= now) else {
                return;
            };
            self.carry_out(device, now);
        }
    }

    /// Carries out every DMA that is under way.
    pub fn strike_now(&mut self, now: u64) {
        let under_way: Vec<usize> = self.engines().map(|(device, _)| device).collect();
        for device in under_way {
            self.carry_out(device, now);
        }
    }

    /// The devices with a DMA under way, and when it is due.
    fn engines(&self) -> impl Iterator<Item = (usize, u64)> {
        self.holdings.iter().enumerate().filter_map(|(device, holding)| match holding {
            Holding::Engine(engine) => Some((device, engine.due()?)),
            Holding::Memory { .. } => None,
        })
    }

    fn carry_out(&mut self, device: usize, now: u64) {
        let Holding::Engine(engine) = &mut self.holdings[device] else {
            return;
        };
        let Some(transfer) = engine.finish() else {
            return;
        };
        self.operations.dmas += 1;
        let mut bytes = engine.buffer[transfer.buffer.clone()].to_vec();
        // Without bus mastering, or asleep: nothing reaches the bus, and no IOMMU sees it.
        if !self.kernel.masters(device) {
            return;
        }
        let mut done = 0;
        while done < bytes.len() {
            // What goes beyond the last address goes nowhere.
            let Some(iova) = transfer.bus.checked_add(done as u64) else {
                break;
            };
            let in_page = (PAGE - iova % PAGE) as usize;
            let piece = done..bytes.len().min(done + in_page);
            done = piece.end;
            self.move_piece(device, iova, &mut bytes[piece], transfer.to_bus, now);
        }
        if !transfer.to_bus
            && let Holding::Engine(engine) = &mut self.holdings[device]
        {
            engine.buffer[transfer.buffer].copy_from_slice(&bytes);
        }
    }

    /// Moves what lies in one page. What faults stays as it is, and the IOMMU records it.
    fn move_piece(&mut self, device: usize, iova: u64, bytes: &mut [u8], to_bus: bool, now: u64) {
        match self.kernel.dma(device, iova) {
            // A VM has taken the page of its own space out: this is a second process's.
            Some(Target::Memory(Memory::Ram, at)) => self.move_second(at, bytes, to_bus),
            Some(Target::Memory(Memory::Guest | Memory::File, at)) => self.move_ram(at, bytes, to_bus),
            Some(Target::Bar { device, bar, offset, answers: true }) if to_bus => {
                self.bar_write(device, bar, offset, bytes, now);
            }
            Some(Target::Bar { device, bar, offset, answers: true }) => {
                self.bar_read(device, bar, offset, bytes);
            }
            // An unsupported request: writes are lost, reads complete with all ones.
            Some(Target::Bar { answers: false, .. }) if to_bus => {}
            Some(Target::Bar { answers: false, .. }) => bytes.fill(0xff),
            None => {
                let direction = if to_bus { "write" } else { "read" };
                let text =
                    format!("simulated IOMMU: DMA {direction} of {} bytes, nothing is mapped", bytes.len());
                self.faults.push(Fault { time_ns: now, requester: parts::address(device), iova, text });
            }
        }
    }

    /// Guest memory. It is as long as what of it is mapped, so nothing of it can fail.
    fn move_ram(&mut self, at: u64, bytes: &mut [u8], to_bus: bool) {
        let Some(ram) = &self.ram else {
            return;
        };
        let moved = if to_bus { ram.write_all_at(bytes, at) } else { ram.read_exact_at(bytes, at) };
        debug_assert!(moved.is_ok(), "{moved:?}");
    }

    /// What a read that the function answers gives.
    pub fn bar_read(&self, device: usize, bar: u8, offset: u64, bytes: &mut [u8]) {
        match &self.holdings[device] {
            Holding::Memory { bar: own, memory } if *own == bar => memory.read(offset, bytes),
            Holding::Engine(engine) if bar == 0 => engine.read(offset, bytes),
            // Registers that hold nothing.
            Holding::Memory { .. } => bytes.fill(0),
            Holding::Engine(_) => bytes.fill(0xff),
        }
    }

    /// A write that the function takes.
    pub fn bar_write(&mut self, device: usize, bar: u8, offset: u64, bytes: &[u8], now: u64) {
        match &mut self.holdings[device] {
            Holding::Memory { bar: own, memory } if *own == bar => memory.write(offset, bytes),
            Holding::Engine(engine) if bar == 0 => engine.write(offset, bytes, now),
            Holding::Memory { .. } | Holding::Engine(_) => {}
        }
    }

    /// A CPU's read that ends at `target`.
    pub fn read_target(&self, target: CpuTarget, bytes: &mut [u8]) {
        match target {
            CpuTarget::Bar { device, bar, offset } => self.bar_read(device, bar, offset, bytes),
            CpuTarget::Nobody => bytes.fill(0xff),
        }
    }

    /// A CPU's write that ends at `target`.
    pub fn write_target(&mut self, target: CpuTarget, bytes: &[u8], now: u64) {
        match target {
            CpuTarget::Bar { device, bar, offset } => self.bar_write(device, bar, offset, bytes, now),
            CpuTarget::Nobody => {}
        }
    }
}
