//! The DMA engine of a simulated device: edu's programming interface (QEMU, docs/specs/edu.rst),
//! as far as identification, liveness check and DMA go. Factorials and interrupts are left out.

use barkeep_probe::command::{EDU_BUFFER, EDU_BUFFER_BYTES};
use std::ops::Range;

/// Identification: version 1.0, and edu's mark.
const IDENTIFICATION: u32 = 0x0100_00ed;
/// Register: identification, 4 bytes, read only.
const REGISTER_IDENTIFICATION: u64 = 0x00;
/// Register: liveness, 4 bytes; reads the inverse of what was written.
const REGISTER_LIVENESS: u64 = 0x04;
/// Register: DMA source, 8 bytes.
const REGISTER_SOURCE: u64 = 0x80;
/// Register: DMA destination, 8 bytes.
const REGISTER_DESTINATION: u64 = 0x88;
/// Register: DMA bytes, 8 bytes.
const REGISTER_COUNT: u64 = 0x90;
/// Register: DMA command, 8 bytes.
const REGISTER_COMMAND: u64 = 0x98;
/// Bit of an offset: the upper half of a register of 8 bytes.
const UPPER_HALF: u64 = 4;
/// Command: do it; reads 1 until it is done.
const COMMAND_RUN: u64 = 1;
/// Command: from the engine's buffer to the bus.
const COMMAND_TO_BUS: u64 = 2;

/// A DMA that was commanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// First bus address.
    pub bus: u64,
    /// Which bytes of the buffer.
    pub buffer: Range<usize>,
    /// Out of the buffer onto the bus, or into it.
    pub to_bus: bool,
}

/// The engine of one device.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    liveness: u32,
    source: u64,
    destination: u64,
    count: u64,
    command: u64,
    /// When the DMA under way is carried out, nanoseconds.
    due: Option<u64>,
    /// How long that is after its command, nanoseconds.
    delay: u64,
    /// The engine's own memory.
    pub buffer: Box<[u8; EDU_BUFFER_BYTES as usize]>,
}

impl Engine {
    /// An idle engine that carries a DMA out `delay` nanoseconds after its command.
    pub fn new(delay: u64) -> Self {
        let buffer = Box::new([0; EDU_BUFFER_BYTES as usize]);
        Self { liveness: 0, source: 0, destination: 0, count: 0, command: 0, due: None, delay, buffer }
    }

    /// When the DMA under way is to be carried out; `None` without one.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Reads registers. An access edu does not know of reads all ones.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) {
        let value = if accepted(offset, bytes.len()) { self.register(offset) } else { None };
        let Some(value) = value else {
            return bytes.fill(0xff);
        };
        bytes.copy_from_slice(&value.to_le_bytes()[..bytes.len()]);
    }

    /// What stands at an offset, the lowest byte first.
    fn register(&self, offset: u64) -> Option<u64> {
        if offset < REGISTER_SOURCE {
            return match offset {
                REGISTER_IDENTIFICATION => Some(IDENTIFICATION.into()),
                REGISTER_LIVENESS => Some(self.liveness.into()),
                _ => None,
            };
        }
        let whole = match offset & !UPPER_HALF {
            REGISTER_SOURCE => self.source,
            REGISTER_DESTINATION => self.destination,
            REGISTER_COUNT => self.count,
            REGISTER_COMMAND => self.command,
            _ => return None,
        };
        Some(whole >> (8 * (offset & UPPER_HALF)))
    }

    /// Writes registers at a time. While a DMA is under way its registers do not change.
    pub fn write(&mut self, offset: u64, bytes: &[u8], now: u64) {
        if !accepted(offset, bytes.len()) {
            return;
        }
        if offset == REGISTER_LIVENESS {
            self.liveness = !little_endian(bytes) as u32;
            return;
        }
        if self.command & COMMAND_RUN != 0 {
            return;
        }
        let register = match offset & !UPPER_HALF {
            REGISTER_SOURCE => &mut self.source,
            REGISTER_DESTINATION => &mut self.destination,
            REGISTER_COUNT => &mut self.count,
            REGISTER_COMMAND => &mut self.command,
            _ => return,
        };
        let shift = 8 * (offset & UPPER_HALF);
        let mask = if bytes.len() == 8 { u64::MAX } else { u64::from(u32::MAX) << shift };
        *register = *register & !mask | little_endian(bytes) << shift;
        if self.command & COMMAND_RUN != 0 {
            self.due = Some(now.saturating_add(self.delay));
        }
    }

    /// Ends the DMA under way and gives what it is; `None` if there is none, or one that would
    /// leave the buffer.
    pub fn finish(&mut self) -> Option<Transfer> {
        self.due.take()?;
        self.command &= !COMMAND_RUN;
        let to_bus = self.command & COMMAND_TO_BUS != 0;
        let (own, bus) =
            if to_bus { (self.source, self.destination) } else { (self.destination, self.source) };
        let start = own.checked_sub(EDU_BUFFER)?;
        let end = start.checked_add(self.count).filter(|end| *end <= EDU_BUFFER_BYTES)?;
        Some(Transfer { bus, buffer: start as usize..end as usize, to_bus })
    }
}

/// edu's registers have 4 bytes below 0x80, and take 4 or 8 from there on.
fn accepted(offset: u64, length: usize) -> bool {
    match length {
        4 => offset.is_multiple_of(4),
        8 => offset >= REGISTER_SOURCE && offset.is_multiple_of(8),
        _ => false,
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(engine: &mut Engine, values: [u64; 4], now: u64) {
        for (offset, value) in [0x80, 0x88, 0x90, 0x98].into_iter().zip(values) {
            engine.write(offset, &value.to_le_bytes(), now);
        }
    }

    fn read(engine: &Engine, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        engine.read(offset, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    #[test]
    fn a_command_is_due_after_the_delay_and_over_when_done() {
        let mut engine = Engine::new(100);
        command(&mut engine, [EDU_BUFFER + 16, 0x7000, 256, 3], 7);
        assert_eq!((engine.due(), read(&engine, 0x98)), (Some(107), 3));
        // Not to be changed any more.
        command(&mut engine, [1, 2, 3, 1], 8);
        assert_eq!(engine.due(), Some(107));
        let transfer = Transfer { bus: 0x7000, buffer: 16..272, to_bus: true };
        assert_eq!(engine.finish(), Some(transfer));
        assert_eq!((engine.due(), read(&engine, 0x98)), (None, 2));
        assert_eq!(engine.finish(), None);
    }

    #[test]
    fn a_dma_beyond_the_buffer_does_nothing() {
        for (own, count) in [(0, 4), (EDU_BUFFER, 4097), (EDU_BUFFER + 4096, 1), (EDU_BUFFER, u64::MAX)] {
            let mut engine = Engine::new(0);
            command(&mut engine, [own, 0x7000, count, 3], 0);
            assert_eq!(engine.finish(), None, "{own:#x} {count:#x}");
            assert_eq!(read(&engine, 0x98), 2);
        }
    }

    #[test]
    fn registers_read_as_edus() {
        let mut engine = Engine::new(0);
        let mut four = [0; 4];
        engine.read(0, &mut four);
        assert_eq!(u32::from_le_bytes(four), IDENTIFICATION);
        engine.write(4, &[0x0f, 0, 0, 0], 0);
        engine.read(4, &mut four);
        assert_eq!(u32::from_le_bytes(four), 0xffff_fff0);
        // In halves, as a 32-bit guest writes them.
        engine.write(0x80, &0x1111_2222u32.to_le_bytes(), 0);
        engine.write(0x84, &0x3333_4444u32.to_le_bytes(), 0);
        assert_eq!(read(&engine, 0x80), 0x3333_4444_1111_2222);
        engine.read(0x84, &mut four);
        assert_eq!(u32::from_le_bytes(four), 0x3333_4444);
        for (offset, length) in [(0, 8), (0, 2), (0x81, 4), (0x60, 4), (0xfff8, 8)] {
            let mut bytes = vec![0; length];
            engine.read(offset, &mut bytes);
            assert!(bytes.iter().all(|byte| *byte == 0xff), "{offset:#x}, {length} bytes");
        }
    }
}
