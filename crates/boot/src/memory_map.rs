//! Which guest physical addresses are RAM, as firmware tells it.

use barkeep_platform::{Ram, map};

/// What is at a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RAM, for anybody.
    Ram,
    /// Not RAM, or not to be touched.
    Reserved,
    /// ACPI tables: RAM again once they have been read.
    Tables,
}

impl Kind {
    /// As E820 and PVH number it (ACPI 6.5, 15.1).
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Ram => 1,
            Self::Reserved => 2,
            Self::Tables => 3,
        }
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Guest physical address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What is there.
    pub kind: Kind,
}

/// All of it, from low to high. With ACPI: what a PC has below 1 MiB, the tables, and the window to config
/// space, which Linux uses only if it is reserved.
#[must_use]
pub fn of(ram: &Ram, acpi: bool) -> Vec<Area> {
    let mut areas = Vec::new();
    for range in ram.ranges() {
        let (mut start, end) = (range.start, range.start + range.size);
        if acpi && start == 0 {
            areas.push(area(0, map::LEGACY.start, Kind::Ram));
            areas.push(area(map::LEGACY.start, map::ACPI.start, Kind::Reserved));
            areas.push(area(map::ACPI.start, map::ACPI.end, Kind::Tables));
            start = map::ACPI.end;
        }
        areas.push(area(start, end, Kind::Ram));
    }
    if acpi {
        areas.push(area(map::ECAM.start, map::ECAM.end, Kind::Reserved));
        areas.sort_by_key(|area| area.start);
    }
    areas
}

fn area(start: u64, end: u64, kind: Kind) -> Area {
    Area { start, size: end - start, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_in_order_and_none_overlaps_another() {
        for size in [64 << 20, map::LOW_RAM_END + (1 << 20)] {
            let ram = Ram::new(size).unwrap();
            for acpi in [false, true] {
                let areas = of(&ram, acpi);
                assert!(areas.windows(2).all(|two| two[0].start + two[0].size <= two[1].start), "{areas:?}");
                let usable: u64 = areas.iter().filter(|a| a.kind == Kind::Ram).map(|a| a.size).sum();
                let taken = if acpi { map::ACPI.end - map::LEGACY.start } else { 0 };
                assert_eq!(usable, size - taken);
            }
        }
    }
}
