//! Where the machine's BARs are now: QEMU's `info pci`.

use barkeep_journal::DeviceAddress;
use std::fmt;

/// A BAR that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub device: DeviceAddress,
    pub bar: u8,
    pub begin: u64,
    /// Its last byte.
    pub end: u64,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} BAR {}", self.device, self.bar)
    }
}

/// The BAR an address is in, and how far.
pub(super) fn bar_at(bars: &[Bar], address: u64) -> Option<(&Bar, u64)> {
    let bar = bars.iter().find(|bar| (bar.begin..=bar.end).contains(&address))?;
    Some((bar, address - bar.begin))
}

/// Reads what `info pci` says. A BAR that does not decode has no address there, and is left out.
pub(super) fn parse(said: &str) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut device = None;
    for line in said.lines().map(str::trim) {
        if let Some(found) = device_of(line) {
            device = Some(found);
        } else if let (Some(device), Some((bar, begin, end))) = (device, bar_of(line)) {
            bars.push(Bar { device, bar, begin, end });
        }
    }
    bars
}

/// `Bus  0, device   3, function 0:`
fn device_of(line: &str) -> Option<DeviceAddress> {
    let mut numbers = line.strip_prefix("Bus")?.trim_end_matches(':').split(',');
    let number =
        |word: Option<&str>, name: &str| word?.trim().trim_start_matches(name).trim().parse::<u8>().ok();
    let bus = number(numbers.next(), "")?;
    let slot = number(numbers.next(), "device")?;
    let function = number(numbers.next(), "function")?;
    Some(DeviceAddress { domain: 0, bus, devfn: slot << 3 | function })
}

/// `BAR2: 64 bit prefetchable memory at 0x380000000000 [0x380000ffffff].`
fn bar_of(line: &str) -> Option<(u8, u64, u64)> {
    let (bar, rest) = line.strip_prefix("BAR")?.split_once(':')?;
    let (_, addresses) = rest.split_once("memory at ")?;
    let (begin, end) = addresses.split_once(" [")?;
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let (begin, end) = (hex(begin)?, hex(end.split(']').next()?)?);
    // `PCI_BAR_UNMAPPED`.
    (begin != u64::MAX && begin < end).then_some((bar.parse().ok()?, begin, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "  Bus  0, device   0, function 0:\n    Host bridge: PCI device 8086:29c0\n      id \"\"\n\
        \x20 Bus  0, device   3, function 1:\n    Class 0264: PCI device 1b36:0010\n      IRQ 0, pin A\n\
        \x20     BAR0: 64 bit memory at 0xfebd0000 [0xfebd3fff].\n\
        \x20     BAR2: 64 bit prefetchable memory at 0x380000000000 [0x380000ffffff].\n\
        \x20     BAR4: 64 bit memory at 0xffffffffffffffff [0x00003ffe].\n\
        \x20     BAR5: I/O at 0xc000 [0xc00f].\n      id \"lab-nvme\"\n";

    #[test]
    fn bars_that_answer_are_found() {
        let bars = parse(SAID);
        let told: Vec<_> = bars.iter().map(|bar| (bar.to_string(), bar.begin)).collect();
        assert_eq!(
            told,
            [
                ("0000:00:03.1 BAR 0".to_owned(), 0xfebd_0000),
                ("0000:00:03.1 BAR 2".to_owned(), 0x3800_0000_0000)
            ]
        );
        assert_eq!(bar_at(&bars, 0x3800_0000_1000).map(|(bar, offset)| (bar.bar, offset)), Some((2, 0x1000)));
        assert_eq!(bar_at(&bars, 0x3800_0100_0000), None);
        assert_eq!(parse("nonsense\nBus x, device y\nBAR1: memory at q [z"), []);
    }
}
