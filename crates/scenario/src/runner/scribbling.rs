//! vCPUs that read and write config space at random: a guest that means harm, or has lost its mind.
//!
//! Which places they meet, and how often, is here; what they do there is drawn by the guest. A reset is
//! rare among them, for whoever meets one waits for it.

use super::{RunError, Runner};
use barkeep_export::Function;
use barkeep_journal::{Actor, Event, Kind};
use barkeep_pci::header;
use barkeep_pci::layout::Layout;
use barkeep_platform::Board;
use barkeep_platform::map::{ECAM, SCRATCH};
use barkeep_platform::pci_root::PciRoot;
use barkeep_probe::{Command, Reply, ScribbleCounts};
use vm_memory::{Bytes, GuestAddress};

/// Dwords of MSI's capability at the most, of PCIe's, of one entry of MSI-X's table.
const MSI_DWORDS: u16 = header::MSI_MOST_SIZE / 4;
const PCIE_DWORDS: u16 = 15;
const ENTRY_DWORDS: u64 = 4;
/// Entries of MSI-X's table that are met.
const ENTRIES: u64 = 8;
/// Bytes of the config space of a function, as ECAM has it.
const FUNCTION: u64 = header::EXTENDED_CONFIG_SIZE as u64;
/// Bytes from one device's config space to the next one's.
const DEVICE: u64 = 8 * FUNCTION;
/// Bytes of a bus's.
const BUS: u64 = 32 * DEVICE;

impl Runner<'_, '_> {
    /// Has the first `vcpus` vCPUs do `accesses` of them together, and waits for their end.
    pub(super) fn scribble(&mut self, vcpus: usize, accesses: u64) -> Result<(), RunError> {
        let board = self.world.board();
        let places = places(board);
        let places: Vec<[u64; 2]> = places.into_iter().map(|place| [place, self.known(place)]).collect();
        for (at, place) in (0..).zip(&places) {
            let stored = board.ram().memory().write_obj(*place, GuestAddress(SCRATCH.start + 16 * at));
            stored.map_err(RunError::Ram)?;
        }
        for vcpu in 0..vcpus {
            self.free(vcpu)?;
        }
        let share =
            |vcpu: usize| accesses / vcpus as u64 + u64::from((vcpu as u64) < accesses % vcpus as u64);
        for vcpu in 0..vcpus {
            let command = Command::Scribble {
                table: SCRATCH.start,
                entries: places.len() as u64,
                accesses: share(vcpu),
                seed: self.draw.any(),
                ecam: ECAM.start,
                stop_word: 0,
            };
            self.world.send(vcpu, command)?;
        }
        for vcpu in 0..vcpus {
            match self.world.receive(vcpu)? {
                Reply::Scribbled(counts) => self.scribbled(vcpu, &counts),
                other => return Err(RunError::Confused(other)),
            }
        }
        // Nobody knows any more what registers hold, or where BARs are.
        self.written.forget();
        Ok(())
    }

    /// What a register holds, where that can be told: so that what was turned off or has moved is now and
    /// then turned on and put back.
    fn known(&self, place: u64) -> u64 {
        let mut bytes = [0; 8];
        let (device, register) = ((place.wrapping_sub(ECAM.start)) / DEVICE, place % FUNCTION);
        let devices = self.world.board().driver().devices();
        let index = device.checked_sub(1).and_then(|index| u16::try_from(index).ok());
        if let Some(index) = index.filter(|index| *index < devices && place >= ECAM.start)
            && place % DEVICE < FUNCTION
        {
            let function = self.world.board().function(index);
            for (at, dword) in (register as u16..).step_by(4).zip(bytes.chunks_mut(4)) {
                if at + 4 <= header::EXTENDED_CONFIG_SIZE {
                    // A device without extended config space has nothing there.
                    let _ = function.config_read(at, dword);
                }
            }
        }
        u64::from_le_bytes(bytes)
    }

    fn scribbled(&self, vcpu: usize, counts: &ScribbleCounts) {
        let ScribbleCounts { accesses: _, reads, writes, ports, ones, stopped: _ } = *counts;
        let sorts = [
            ("config reads", reads),
            ("config reads, all ones", ones),
            ("config writes", writes),
            ("config accesses by ports", ports),
        ];
        for (sort, number) in sorts {
            let event = Event::new(Kind::AccessCount, Actor::Guest).index(vcpu as u16);
            self.world.board().journal().emit(event.text(sort).value(number));
        }
    }
}

/// Where the accesses go, each place as often as it is to be met.
fn places(board: &Board) -> Vec<u64> {
    let devices = board.driver().devices();
    let mut places = Places(Vec::new());
    for device in 0..devices {
        let layout = board.function(device).layout();
        places.function(PciRoot::ecam_address(device, 0), layout);
        let Some(msix) = &layout.msix else { continue };
        // Where they are now; once the BAR has moved, whatever is there then.
        let table = board.bar_address(device, msix.table.bar, msix.table.offset);
        let entries = (msix.table.size / 16).min(ENTRIES);
        places.all(table, 4, entries * ENTRY_DWORDS);
        places.all(board.bar_address(device, msix.pba.bar, msix.pba.offset), 4, 2);
    }
    places.bridge_and_nobody(u64::from(devices));
    let Places(mut places) = places;
    // The guest reaches what is below 4 GiB.
    places.retain(|place| *place < 0xffff_0000);
    places
}

struct Places(Vec<u64>);

impl Places {
    fn often(&mut self, times: usize, place: u64) {
        self.0.extend(std::iter::repeat_n(place, times));
    }

    fn all(&mut self, from: Option<u64>, apart: u64, count: u64) {
        self.0.extend(from.into_iter().flat_map(|from| (0..count).map(move |n| from + apart * n)));
    }

    /// The config space of a passed-through function.
    fn function(&mut self, base: u64, layout: &Layout) {
        let dwords = |from: u16, count: u16| (0..count).map(move |n| base + u64::from(from + 4 * n));
        let at = |offset: u16| base + u64::from(offset);
        self.0.extend(dwords(0, header::CONFIG_SIZE / 4));
        self.all(Some(at(header::CONFIG_SIZE)), 64, (FUNCTION - u64::from(header::CONFIG_SIZE)) / 64);
        self.often(2, base + FUNCTION - 4);
        self.often(16, at(header::COMMAND));
        self.0.extend(dwords(header::BAR0, header::BAR_COUNT as u16));
        if let Some(pm) = &layout.pm {
            self.often(10, at(pm.offset + header::PM_PMCSR));
        }
        if let Some(msi) = &layout.msi {
            self.often(8, at(msi.offset));
            self.0.extend(dwords(msi.offset, MSI_DWORDS));
            self.0.extend(dwords(msi.offset, MSI_DWORDS));
        }
        if let Some(msix) = &layout.msix {
            self.often(10, at(msix.offset));
        }
        if let Some(pcie) = &layout.pcie {
            self.0.extend(dwords(pcie.offset, PCIE_DWORDS));
            self.often(1, at(pcie.offset + header::PCIE_DEVCTL));
        }
        if let Some(af) = &layout.af {
            self.often(2, at(af.offset + header::AF_CTRL));
        }
    }

    /// The host bridge, and where no function is: behind the last device, on other buses, at the very end.
    fn bridge_and_nobody(&mut self, devices: u64) {
        let ecam = ECAM.start;
        self.all(Some(ecam), 4, u64::from(header::HEADER_SIZE / 4));
        self.often(2, ecam + FUNCTION - 4);
        for device in 0..=devices {
            self.all(Some(ecam + device * DEVICE + FUNCTION), FUNCTION, 7);
        }
        self.all(Some(ecam + (devices + 1) * DEVICE), DEVICE, 31 - devices.min(31));
        self.all(Some(ecam + BUS), BUS + DEVICE, 4);
        self.often(4, ECAM.end - 4);
    }
}
