//! Where in a process of the machine it stops, before that process is there.

use barkeep_journal::written;
use std::io;

/// Where Linux maps a static position-independent program that nothing moves (`norandmaps`): right below this address
/// (`mmap_base` of arch/x86/mm/mmap.c: the user half less a page, less the least gap for a stack, 128 MiB).
const TOP: u64 = 0x7fff_f7ff_f000;
const PAGE: u64 = 4096;

/// The address of `stopped` in a machine's processes, all of which are this very program. The machine's journal
/// says it once it is there: where a kernel does it otherwise, that counts.
///
/// # Errors
/// This process's own mappings cannot be read.
pub(super) fn predicted() -> io::Result<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let own = written::address();
    let (begin, end) =
        span(&maps, own).ok_or_else(|| io::Error::other("this program is not in /proc/self/maps"))?;
    Ok(TOP - (end - begin) + (own - begin))
}

/// From the first to the last page of the file that holds an address. What it has beside the file's pages (`.bss`)
/// follows the last of them without a name.
fn span(maps: &str, address: u64) -> Option<(u64, u64)> {
    let line = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (begin, end) = range.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let name = rest.split_whitespace().nth(4).unwrap_or("").to_owned();
        Some((hex(begin)?, hex(end)?, name))
    };
    let lines: Vec<(u64, u64, String)> = maps.lines().filter_map(line).collect();
    let name = &lines.iter().find(|(begin, end, _)| (*begin..*end).contains(&address))?.2;
    let first = lines.iter().position(|(_, _, other)| other == name)?;
    let begin = lines[first].0;
    let mut end = lines[first].1;
    for (next, last, other) in &lines[first + 1..] {
        if *next != end || !(other == name || other.is_empty()) {
            break;
        }
        end = *last;
    }
    Some((begin, end.next_multiple_of(PAGE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_from_its_first_page_to_its_last() {
        let maps = "1000-2000 r--p 00000000 00:01 7 /a/program\n2000-3000 r-xp 00001000 00:01 7 /a/program\n\
            3000-4000 rw-p 00002000 00:01 7 /a/program\n4000-5000 rw-p 00000000 00:00 0 \n\
            5000-6000 rw-p 00000000 00:00 0 [heap]\n9000-a000 r-xp 00000000 00:00 0 [vdso]\n";
        assert_eq!(span(maps, 0x2abc), Some((0x1000, 0x5000)));
        assert_eq!(span(maps, 0xabc), None);
        assert!(predicted().is_ok());
    }
}
