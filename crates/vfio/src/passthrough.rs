//! A device as an exporter: lets events through and reads what is true afterwards.

use crate::device::Device;
use barkeep_export::{Cause, Errno, Exporter, Found, Function, Passage, Window};
use barkeep_journal::{DeviceAddress, Trigger};
use barkeep_pci::bars;
use barkeep_pci::header;
use barkeep_pci::layout::Layout;
use barkeep_pci::write::{ConfigWrite, Effect, Effects, Registers};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is remembered of the registers between events.
struct Shadow {
    /// COMMAND as last written and PMCSR as last read: what the kernel goes by.
    registers: Registers,
    /// The six BAR registers as the guest reads them.
    bars: [u32; 6],
}

/// A device, its exported windows and the registers that decide about them.
pub struct Passthrough {
    device: Arc<Device>,
    windows: Vec<Window>,
    /// Guest physical addresses where a BAR may be; elsewhere it is not mapped.
    holes: Vec<Range<u64>>,
    shadow: Mutex<Shadow>,
    /// Makes others let go of the device file before it is closed (KVM's VFIO device).
    before_close: Box<dyn Fn(&Device) + Send + Sync>,
}

impl Passthrough {
    /// Takes a device whose BARs may be placed in `holes` only.
    ///
    /// # Errors
    /// The errno of the config reads.
    pub fn new(device: Arc<Device>, windows: Vec<Window>, holes: Vec<Range<u64>>) -> Result<Self, Errno> {
        let mut registers = Registers { command: read16(&device, header::COMMAND)?, pmcsr: 0 };
        if device.layout().is_virtual_function {
            registers.command |= header::COMMAND_MEMORY;
        }
        if let Some(at) = pmcsr(&device) {
            registers.pmcsr = read16(&device, at)?;
        }
        let bars = read_bars(&device)?;
        let shadow = Mutex::new(Shadow { registers, bars });
        Ok(Self { device, windows, holes, shadow, before_close: Box::new(|_| ()) })
    }

    /// Names what is to be done just before the device file is closed: whoever else holds it
    /// open has to let go first.
    pub fn before_close(&mut self, act: impl Fn(&Device) + Send + Sync + 'static) {
        self.before_close = Box::new(act);
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    fn decodes(&self) -> bool {
        self.device.layout().memory_enabled(&self.shadow().registers)
    }

    fn shadow(&self) -> MutexGuard<'_, Shadow> {
        self.shadow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address a BAR's registers give it, if all of it lies where BARs may be.
    fn placed(&self, index: u8, bars: &[u32; 6]) -> Option<u64> {
        let bar = self.device.layout().bars[usize::from(index)].as_ref()?;
        let low = bars[usize::from(index)];
        let high = bars.get(usize::from(index) + 1).copied().unwrap_or(0);
        let base = bars::address(bar, low, high)?;
        let end = base.checked_add(bar.size)?;
        self.holes.iter().any(|hole| hole.start <= base && end <= hole.end).then_some(base)
    }
}

impl Exporter for Passthrough {
    fn let_through(&self, passage: &Passage) -> Result<(), Errno> {
        match *passage {
            Passage::ConfigWrite(ref write) => self.plain_write(write),
            Passage::DeviceReset => {
                let result = self.device.reset();
                // A reset wakes the function up and restores its config space.
                self.shadow().registers.pmcsr &= !header::PM_PMCSR_STATE;
                result
            }
            Passage::Close => {
                (self.before_close)(&self.device);
                self.device.close();
                Ok(())
            }
            Passage::Nothing => Ok(()),
        }
    }

    /// Two config reads, COMMAND and PMCSR. The kernel decides by COMMAND as it was last
    /// *written*; the hardware's own bit must be set too, or nothing would answer.
    fn find_out(&self) -> Result<Found, Errno> {
        let command = read16(&self.device, header::COMMAND)?;
        let pmcsr = pmcsr(&self.device).map(|at| read16(&self.device, at)).transpose()?;
        let mut shadow = self.shadow();
        if let Some(pmcsr) = pmcsr {
            shadow.registers.pmcsr = pmcsr;
        }
        let bars = shadow.bars;
        let Registers { command: written, pmcsr } = shadow.registers;
        drop(shadow);
        let virtual_function = self.device.layout().is_virtual_function;
        Ok(Found {
            decode: virtual_function || command & written & header::COMMAND_MEMORY != 0,
            power: (pmcsr & header::PM_PMCSR_STATE) as u8,
            addresses: self.windows.iter().map(|w| Some(self.placed(w.bar, &bars)? + w.offset)).collect(),
        })
    }
}

impl Function for Passthrough {
    fn address(&self) -> DeviceAddress {
        self.device.address()
    }

    fn layout(&self) -> &Layout {
        self.device.layout()
    }

    fn windows(&self) -> &[Window] {
        &self.windows
    }

    fn bar_address(&self, bar: u8) -> Option<u64> {
        let bars = self.shadow().bars;
        self.placed(bar, &bars)
    }

    fn classify(&self, write: &ConfigWrite) -> Option<Cause> {
        let effects = self.device.layout().classify(&self.shadow().registers, write);
        let trigger = trigger(&effects, self.decodes())?;
        Some(Cause {
            trigger,
            passage: Passage::ConfigWrite(*write),
            revokes: effects.revokes(),
            resets: effects.resets(),
        })
    }

    fn plain_write(&self, write: &ConfigWrite) -> Result<(), Errno> {
        let layout = self.device.layout();
        let before = self.shadow().registers;
        self.device.config_write(write.offset, write.bytes.as_slice())?;
        let after = layout.after(&before, write);
        let touches_bars = write.iter().any(|(offset, _)| (header::BAR0..header::BARS_END).contains(&offset));
        let bars = if touches_bars { Some(read_bars(&self.device)?) } else { None };
        let mut shadow = self.shadow();
        shadow.registers = after;
        if let Some(bars) = bars {
            shadow.bars = bars;
        }
        Ok(())
    }

    fn config_read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), Errno> {
        self.device.config_read(offset, bytes)
    }

    fn region_read(&self, bar: u8, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.device.region_read(bar, offset, bytes)
    }

    fn region_write(&self, bar: u8, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.device.region_write(bar, offset, bytes)
    }
}

/// The journal's name for what a write does, `None` if it leaves mappings alone. The most
/// drastic effect names a write that has several.
fn trigger(effects: &Effects, decodes: bool) -> Option<Trigger> {
    let name = |effect| match effect {
        Effect::Flr => Some((5, Trigger::Flr)),
        Effect::AfFlr => Some((5, Trigger::AfFlr)),
        Effect::D3Hot => Some((4, Trigger::D3hot)),
        Effect::DecodeOff => Some((3, Trigger::DecodeOff)),
        Effect::DecodeOn => Some((2, Trigger::DecodeOn)),
        Effect::D0 | Effect::D1 | Effect::D2 | Effect::SoftReset => Some((2, Trigger::D0)),
        // Only a BAR that is decoded at this moment moves.
        Effect::BarWrite { .. } => decodes.then_some((1, Trigger::BarMove)),
        Effect::DecodeKept
        | Effect::DecodesAnyway
        | Effect::RomWrite
        | Effect::MsiControl
        | Effect::MsiMessage
        | Effect::MsiMask
        | Effect::MsixControl => None,
    };
    effects.iter().filter_map(name).max_by_key(|(weight, _)| *weight).map(|(_, trigger)| trigger)
}

fn pmcsr(device: &Device) -> Option<u16> {
    device.layout().pm.as_ref().map(|pm| pm.offset + header::PM_PMCSR)
}

fn read16(device: &Device, offset: u16) -> Result<u16, Errno> {
    let mut bytes = [0; 2];
    device.config_read(offset, &mut bytes)?;
    Ok(u16::from_le_bytes(bytes))
}

fn read_bars(device: &Device) -> Result<[u32; 6], Errno> {
    let mut bytes = [0; 24];
    device.config_read(header::BAR0, &mut bytes)?;
    Ok(std::array::from_fn(|n| u32::from_le_bytes(std::array::from_fn(|byte| bytes[n * 4 + byte]))))
}
