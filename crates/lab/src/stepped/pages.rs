//! What a process has mapped, by the page tables of the stopped machine
//! (AMD64 Architecture Programmer's Manual, volume 2, 5.3).

use super::bars::{Bar, bar_at};
use crate::gdb::{CR3, Gdb};
use std::io;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Entries of the top-level table that are the process's; the others are the kernel's.
const USER: usize = 256;
/// Tables that are read at the most.
const TABLES: usize = 4096;

/// Pages side by side that are mapped alike.
struct Range {
    begin: u64,
    end: u64,
    rights: String,
    what: String,
    /// Of a BAR: where in it.
    offset: Option<u64>,
}

/// A line for each stretch of the address space that the CPU is in, up to the kernel's half.
pub(super) fn mappings(gdb: &mut Gdb, bars: &[Bar]) -> io::Result<Vec<String>> {
    let top = gdb.register(CR3)? & ADDRESS;
    let mut walk = Walk { gdb, bars, ranges: Vec::new(), tables: 0 };
    walk.table(top, 4, 0)?;
    Ok(walk.ranges.iter().map(Range::told).collect())
}

struct Walk<'a> {
    gdb: &'a mut Gdb,
    bars: &'a [Bar],
    ranges: Vec<Range>,
    tables: usize,
}

impl Walk<'_> {
    fn table(&mut self, table: u64, level: u32, base: u64) -> io::Result<()> {
        self.tables += 1;
        if self.tables > TABLES {
            return Ok(());
        }
        let entries = self.gdb.physical(table, 4096)?;
        let many = if level == 4 { USER } else { 512 };
        for (n, entry) in entries.chunks(8).take(many).enumerate() {
            let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
            let size = 1u64 << (12 + 9 * (level - 1));
            let address = base + n as u64 * size;
            if entry & PRESENT == 0 {
                continue;
            }
            match level {
                2 | 3 if entry & LARGE != 0 => self.page(address, size, entry),
                1 => self.page(address, size, entry),
                _ => self.table(entry & ADDRESS, level - 1, address)?,
            }
        }
        Ok(())
    }

    fn page(&mut self, begin: u64, size: u64, entry: u64) {
        let physical = entry & ADDRESS & !(size - 1);
        let rights = format!(
            "r{}{}",
            if entry & WRITABLE != 0 { 'w' } else { '-' },
            if entry & NO_EXECUTE == 0 { 'x' } else { '-' }
        );
        let (what, offset) = match bar_at(self.bars, physical) {
            Some((bar, offset)) => (bar.to_string(), Some(offset)),
            None => ("memory".to_owned(), None),
        };
        let goes_on = |last: &&mut Range| {
            let next = last.offset.map(|offset| offset + (last.end - last.begin));
            last.end == begin && last.rights == rights && last.what == what && next == offset
        };
        match self.ranges.last_mut().filter(goes_on) {
            Some(last) => last.end = begin + size,
            None => self.ranges.push(Range { begin, end: begin + size, rights, what, offset }),
        }
    }
}

impl Range {
    fn told(&self) -> String {
        let offset = self.offset.map_or_else(String::new, |offset| format!(" +{offset:#x}"));
        format!("{:#014x}-{:#014x} {} {}{offset}", self.begin, self.end, self.rights, self.what)
    }
}
