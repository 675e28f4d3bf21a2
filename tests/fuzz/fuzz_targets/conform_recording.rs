//! A recording of `barkeep conform`, held to the specification: one that is right with bytes of it
//! changed and any behind it, or any bytes.
#![no_main]

use barkeep_conform::recording::read;
use barkeep_conform::{Header, Writer, compare, generate, record};
use barkeep_model::hardware::{BusReset, Device, ResetMethod};
use barkeep_model::{Abilities, Hardware, Process, Profile};
use std::sync::LazyLock;

/// One device: PM, PCI Express with FLR, a 64-bit BAR of memory.
static HARDWARE: LazyLock<Hardware> = LazyLock::new(|| {
    let mut config = [0; 256];
    config[..8].copy_from_slice(&[0x36, 0x1b, 0x10, 0, 0x06, 0, 0x10, 0]);
    (config[0x18], config[0x34]) = (0xc, 0x60);
    config[0x60..0x68].copy_from_slice(&[0x01, 0x80, 0x03, 0, 0x08, 0, 0, 0]);
    config[0x80..0x8a].copy_from_slice(&[0x10, 0, 0x02, 0, 0, 0, 0, 0x10, 0x10, 0x28]);
    let device = Device {
        name: "nvme".to_owned(),
        config: Device::digits(&config),
        bar_sizes: [0, 0, 0x10_0000, 0, 0, 0],
        bar_addresses: [0; 6],
        mappable: [false, false, true, false, false, false],
        virtual_function: false,
        reset_methods: vec![ResetMethod::Flr],
        set: 0,
        bus_reset: BusReset::RootBus,
        memory_bar: Some(2),
        watched: vec![0, 0x1004],
        engine: false,
        no_d3: false,
        wakes_whole: false,
        extra_reset_ns: 0,
        reset_fails: false,
    };
    Hardware { devices: vec![device] }
});

/// Recordings of one episode each, as the specification answers it.
static RECORDINGS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| (0..32).map(recording).collect());

fn recording(number: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let abilities = Abilities { importer: true, mmap: true, ranges: true };
    let header = Header { seed: 1, kernel: "7.3.4".to_owned(), abilities, hardware: HARDWARE.clone() };
    let mut writer = Writer::new(&mut file, &header).expect("memory can be written");
    let machine = header.machine().expect("the device can be one");
    let specification = Process::new(&HARDWARE, Profile::V7_3).expect("the device can be one");
    let mut specification = specification.able(abilities);
    let episode = (number, generate::episode(1, number, &machine));
    record(&mut specification, [episode], &mut writer).expect("memory can be written");
    file
}

libfuzzer_sys::fuzz_target!(|input: (Option<u8>, Vec<(u16, u8)>, &[u8])| {
    let (number, changes, behind) = input;
    let right = number.map(|number| &RECORDINGS[usize::from(number) % RECORDINGS.len()]);
    let mut file = right.cloned().unwrap_or_default();
    for (at, byte) in changes {
        let length = file.len().max(1);
        if let Some(changed) = file.get_mut(usize::from(at) % length) {
            *changed = byte;
        }
    }
    file.extend(behind);
    let Ok((header, episodes)) = read(&file[..]) else { return };
    let machine = episodes.machine().clone();
    let Ok(specification) = Process::new(&header.hardware, Profile::V7_3) else { return };
    let mut specification = specification.able(header.abilities);
    for episode in episodes.flatten() {
        if let Some(divergence) = compare(&episode, &mut specification, &machine) {
            let _ = divergence.to_string();
        }
    }
});
