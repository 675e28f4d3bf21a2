//! A device as an exporter: lets events through and reads what is true afterwards.

use crate::claims::Claims;
use crate::contract::{Cause, Errno, Exporter, Found, Function, Passage, RawDevice, Window};
use crate::shadow::Shadow;
use barkeep_journal::DeviceAddress;
use barkeep_pci::header;
use barkeep_pci::layout::{BarKind, Layout};
use barkeep_pci::write::ConfigWrite;
use barkeep_planted::{Fault, is_planted};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A device, its exported windows and the registers that decide about them.
pub struct Passthrough {
    device: Arc<dyn RawDevice>,
    windows: Vec<Window>,
    /// Guest physical addresses where a BAR may be; elsewhere it is not mapped.
    holes: Vec<Range<u64>>,
    shadow: Mutex<Shadow>,
    /// Where the VM's other BARs are, too.
    claims: OnceLock<Arc<Claims>>,
    /// Makes others let go of the device file before it is closed (KVM's VFIO device).
    before_close: Box<dyn Fn() + Send + Sync>,
}

impl Passthrough {
    /// Takes a device whose BARs may be placed in `holes` only.
    ///
    /// # Errors
    /// The errno of the config reads.
    pub fn new(
        device: Arc<dyn RawDevice>,
        windows: Vec<Window>,
        holes: Vec<Range<u64>>,
    ) -> Result<Self, Errno> {
        let command = read16(&*device, header::COMMAND)?;
        let pmcsr = pmcsr(&*device).map_or(Ok(0), |at| read16(&*device, at))?;
        let bars = read_bars(&*device)?;
        let shadow = Mutex::new(Shadow::new(device.layout(), command, pmcsr, bars));
        let (claims, before_close) = (OnceLock::new(), Box::new(|| ()));
        Ok(Self { device, windows, holes, shadow, claims, before_close })
    }

    /// Names what is to be done just before the device file is closed: whoever else holds it
    /// open has to let go first.
    pub fn before_close(&mut self, act: impl Fn() + Send + Sync + 'static) {
        self.before_close = Box::new(act);
    }

    /// Names the places of all BARs of the VM it is in. Before anything is mapped; without it, there is
    /// no other device.
    pub fn share_places(&self, claims: &Arc<Claims>) {
        // Said once, by whoever makes the VM.
        let _ = self.claims.set(Arc::clone(claims));
    }

    fn claims(&self) -> &Claims {
        self.claims.get_or_init(Arc::default)
    }

    /// The device.
    pub fn device(&self) -> &Arc<dyn RawDevice> {
        &self.device
    }

    fn found(&self, shadow: &Shadow, decode: bool, power: u8) -> Found {
        let layout = self.device.layout();
        let mut found = Found { decode, power, low_power: shadow.low_power(), addresses: Vec::new() };
        let memory = layout.bars.iter().flatten().filter(|bar| bar.kind != BarKind::Io && found.live());
        let wanted: Vec<_> = memory
            .filter_map(|bar| {
                let start = shadow.placed(layout, bar.index, &self.holes)?;
                Some((bar.index, start..start + bar.size))
            })
            .collect();
        let refused = self.claims().take(self.device.address(), &wanted);
        let place = |w: &Window| {
            let there = refused >> w.bar & 1 == 0;
            Some(shadow.placed(layout, w.bar, &self.holes).filter(|_| there)? + w.offset)
        };
        found.addresses = self.windows.iter().map(place).collect();
        found
    }

    fn shadow(&self) -> MutexGuard<'_, Shadow> {
        self.shadow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exporter for Passthrough {
    fn let_through(&self, passage: &Passage) -> Result<(), Errno> {
        match *passage {
            Passage::ConfigWrite(ref write) => self.plain_write(write),
            Passage::DeviceReset => {
                let result = self.device.reset();
                self.reset_along();
                result
            }
            Passage::HotReset => {
                let result = self.device.hot_reset();
                self.reset_along();
                result
            }
            Passage::LowPower(which) => {
                let result = self.device.low_power(which);
                self.shadow().went(which, result);
                result
            }
            Passage::Close => {
                if !is_planted(Fault::KvmKeepsFile) {
                    (self.before_close)();
                }
                self.device.close();
                self.claims().take(self.device.address(), &[]);
                Ok(())
            }
            Passage::Nothing => Ok(()),
        }
    }

    /// Two config reads, COMMAND and PMCSR; none in low power, which they would end.
    fn find_out(&self) -> Result<Found, Errno> {
        let layout = self.device.layout();
        let asleep = {
            let shadow = self.shadow();
            shadow.low_power().then(|| shadow.remembered(layout))
        };
        if let Some((decode, power)) = asleep {
            return Ok(self.found(&self.shadow(), decode, power));
        }
        let command = read16(&*self.device, header::COMMAND)?;
        let pmcsr = pmcsr(&*self.device).map(|at| read16(&*self.device, at)).transpose()?;
        let mut shadow = self.shadow();
        let (decode, power) = shadow.found(layout, command, pmcsr);
        Ok(self.found(&shadow, decode, power))
    }

    fn reset_along(&self) {
        self.shadow().reset();
    }

    fn waits(&self) -> bool {
        self.claims().waits(self.device.address())
    }
}

impl Function for Passthrough {
    fn address(&self) -> DeviceAddress {
        self.device.address()
    }

    fn layout(&self) -> &Layout {
        self.device.layout()
    }

    fn config_size(&self) -> u16 {
        self.device.config_size()
    }

    fn windows(&self) -> &[Window] {
        &self.windows
    }

    fn bar_address(&self, bar: u8) -> Option<u64> {
        self.shadow().placed(self.device.layout(), bar, &self.holes)
    }

    fn decodes_at(&self, address: u64) -> Option<(u8, u64)> {
        self.claims().find(self.device.address(), address)
    }

    fn classify(&self, write: &ConfigWrite) -> Option<Cause> {
        self.shadow().classify(self.device.layout(), write)
    }

    /// What is remembered is changed only after the write, and from what it is by then: another
    /// vCPU may have written to the same function meanwhile.
    fn plain_write(&self, write: &ConfigWrite) -> Result<(), Errno> {
        self.device.config_write(write.offset, write.bytes.as_slice())?;
        let bars = if Shadow::touches_bars(write) { Some(read_bars(&*self.device)?) } else { None };
        self.shadow().wrote(self.device.layout(), write, bars);
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

fn pmcsr(device: &dyn RawDevice) -> Option<u16> {
    device.layout().pm.as_ref().map(|pm| pm.offset + header::PM_PMCSR)
}

fn read16(device: &dyn RawDevice, offset: u16) -> Result<u16, Errno> {
    let mut bytes = [0; 2];
    device.config_read(offset, &mut bytes)?;
    Ok(u16::from_le_bytes(bytes))
}

fn read_bars(device: &dyn RawDevice) -> Result<[u32; 6], Errno> {
    let mut bytes = [0; 24];
    device.config_read(header::BAR0, &mut bytes)?;
    Ok(std::array::from_fn(|n| u32::from_le_bytes(std::array::from_fn(|byte| bytes[n * 4 + byte]))))
}
