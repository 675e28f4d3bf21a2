//! Config space of a device, and the writes of a guest to it: any bytes.
#![no_main]

use barkeep_pci::layout::Layout;
use barkeep_pci::write::{ConfigWrite, Registers};

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, [u64; 6], bool, Vec<(u16, [u8; 4], u8)>)| {
    let (config, sizes, virtual_function, writes) = input;
    let Ok(mut layout) = Layout::parse(&config, &sizes) else { return };
    layout.is_virtual_function = virtual_function;
    let mut registers = Registers::default();
    for (offset, bytes, length) in writes {
        let length = [1, 2, 4][usize::from(length) % 3];
        let Some(write) = ConfigWrite::new(offset, &bytes[..length]) else { continue };
        let effects = layout.classify(&registers, &write);
        registers = layout.after(&registers, &write);
        assert!(!effects.resets() || effects.revokes() || effects.iter().count() > 1);
    }
});
