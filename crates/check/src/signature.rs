//! What a finding is, without where and when it was: numbers, addresses and times are left out,
//! so that the same finding of another run reads the same.

use crate::verdict::Finding;
use barkeep_journal::DeviceAddress;

/// Stands for every number, address and time.
const NUMBER: char = '#';
/// Characters of `0000:00:03.0`.
const ADDRESS: usize = 12;
/// Hexadecimal digits from which on a word without an `0x` is an address.
const BARE_HEX: usize = 8;

impl Finding {
    /// Its invariant and its sentence, with `#` for what differs from run to run.
    pub fn signature(&self) -> String {
        format!("{}: {}", self.invariant, normalised(&self.what))
    }
}

/// A sentence with `#` for every number, address and time. Of a normalised one it is the same.
pub fn normalised(sentence: &str) -> String {
    let mut words = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(address) = rest.get(..ADDRESS).filter(|text| is_address(text)) {
            words.push(NUMBER);
            address.len()
        } else if is_part_of_word(first) {
            let end = rest.find(|c| !is_part_of_word(c)).unwrap_or(rest.len());
            word(&rest[..end], &mut words);
            end
        } else {
            words.push(first);
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    times_joined(&words)
}

fn is_address(text: &str) -> bool {
    text.as_bytes()[4] == b':' && text.parse::<DeviceAddress>().is_ok()
}

fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(word: &str, out: &mut String) {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = word.starts_with(|c: char| c.is_ascii_digit())
        || (word.len() >= BARE_HEX && hex(word) && word.contains(|c: char| c.is_ascii_digit()));
    if number {
        out.push(NUMBER);
        return;
    }
    // `vcpu3`, but not `d3hot`.
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    out.push_str(name);
    if name.len() < word.len() {
        out.push(NUMBER);
    }
}

/// Joins what was one number: `12.5`, `0x1000-0x2000`, and a number with its unit.
fn times_joined(text: &str) -> String {
    const JOINTS: [&str; 4] = [".", ":", "-", "/"];
    const UNITS: [&str; 4] = [" ns", " us", " ms", " s"];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(NUMBER) {
        let (before, from) = rest.split_at(at + NUMBER.len_utf8());
        out.push_str(before);
        rest = from;
        while let Some(further) = JOINTS
            .iter()
            .find_map(|joint| rest.strip_prefix(joint)?.strip_prefix(NUMBER))
            .or_else(|| UNITS.iter().find_map(|unit| after_unit(rest, unit)))
        {
            rest = further;
        }
    }
    out + rest
}

/// What follows a unit that is a word of its own.
fn after_unit<'a>(text: &'a str, unit: &str) -> Option<&'a str> {
    text.strip_prefix(unit).filter(|rest| !rest.starts_with(is_part_of_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        for (sentence, same) in [
            (
                "CPU access to BAR 2 of 0000:00:03.0 at 0xfe000000 is not back after d3hot",
                "CPU access to BAR # of # at # is not back after d3hot",
            ),
            ("BAR 0 of ffff:00:01.0 was back after 1.25 s, not 10 ms", "BAR # of # was back after #, not #"),
            (
                "KVM_RUN of vcpu12 gave EFAULT 5 times in a row",
                "KVM_RUN of vcpu# gave EFAULT # times in a row",
            ),
            (
                "BUG: KASAN: slab-use-after-free in vfio_pci_dma_buf_move+0x1c/0x90 [vfio_pci_core]",
                "BUG: KASAN: slab-use-after-free in vfio_pci_dma_buf_move+# [vfio_pci_core]",
            ),
            ("Read at ffff888012345678 by task 17/3", "Read at # by task #"),
            (
                "the action `DMA edu to nvme:2+0x0 in flight` was not met",
                "the action `DMA edu to nvme:#+# in flight` was not met",
            ),
            ("5 sentences, 100ms", "# sentences, #"),
            ("außer Ø 0000:00:03.", "außer Ø #."),
        ] {
            assert_eq!(normalised(sentence), same);
            assert_eq!(normalised(same), same);
        }
    }
}
