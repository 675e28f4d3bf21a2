//! What is true, seen by asking.

use crate::device_file::DeviceFile;
use crate::hands::{Hands, Site};
use crate::importer::Attachment;
use barkeep_model::op::Imported;
use barkeep_model::{Errno, Seen};

const COMMAND: u16 = 4;
/// Memory and bus master.
const COMMAND_BITS: u32 = 0b110;
/// PMCSR in the power management capability, and the power state in it.
const PMCSR: u16 = 4;
const POWER_STATE: u32 = 0b11;

/// Where config space, or an attachment's state, cannot be read: the errno's number beside bits no state has.
const UNREADABLE: u16 = 0x8000;

impl Hands {
    /// See [`Seen`]. Every look goes through a system call that changes nothing, apart from
    /// waking a device that sleeps.
    pub(crate) fn look(&self) -> Seen {
        let files =
            || self.files.full().filter_map(|(number, file)| Some((number, file, self.site(file.device)?)));
        Seen {
            buffers: self
                .buffers
                .full()
                .map(|(number, buffer)| (number, Seen::outcome(self.probe.try_all_of(buffer))))
                .collect(),
            maps: self
                .maps
                .full()
                .map(|(number, map)| (number, Seen::outcome(map.mapping.read(0))))
                .collect(),
            registers: files().map(|(number, file, site)| (number, registers(file, site))).collect(),
            words: files()
                .filter_map(|(number, file, site)| Some((number, words(file, site, site.facts.memory_bar?))))
                .collect(),
            imports: self.imports.full().map(|(number, import)| (number, imported(import))).collect(),
        }
    }
}

fn registers(file: &DeviceFile, site: &Site) -> u16 {
    let both = || {
        let command = file.config_read(COMMAND, 2)? & COMMAND_BITS;
        let power = match site.power {
            Some(capability) => file.config_read(capability + PMCSR, 2)? & POWER_STATE,
            None => 0,
        };
        Ok((command | power << 8) as u16)
    };
    both().unwrap_or_else(|errno: Errno| UNREADABLE | errno.number() as u16)
}

fn imported(attachment: &Attachment) -> Imported {
    match attachment.state() {
        Ok(state) => Imported {
            mapped: state.mapped,
            notices: state.notices,
            released: state.released,
            faults: state.faults,
            in_notice: Seen::outcome(state.in_notice),
        },
        Err(errno) => Imported { in_notice: UNREADABLE | errno.number() as u16, ..Imported::default() },
    }
}

fn words(file: &DeviceFile, site: &Site, bar: u8) -> Vec<u64> {
    let word = |offset: &u64| Seen::word(file.region_read(bar, *offset));
    site.facts.watched.iter().map(word).collect()
}
