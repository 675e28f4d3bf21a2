//! Two devices like those of topology nvme-edu, for tests that need no kernel.

use crate::spec::Spec;
use crate::window::Window;
use barkeep_model::hardware::{BusReset, Device, Hardware, ResetMethod};
use barkeep_model::{Kernel, Profile, Rule};

fn device(name: &str, ids: u32, number: u8) -> Device {
    let mut image = [0; 256];
    image[..4].copy_from_slice(&ids.to_le_bytes());
    Device {
        name: name.into(),
        config: Device::digits(&image),
        bar_sizes: [0x1000, 0, 0, 0, 0, 0],
        bar_addresses: [0xfe00_0000, 0, 0, 0, 0, 0],
        mappable: [true, false, false, false, false, false],
        virtual_function: false,
        reset_methods: vec![],
        set: number,
        bus_reset: BusReset::RootBus,
        memory_bar: None,
        watched: vec![],
        engine: false,
        no_d3: false,
        wakes_whole: false,
        extra_reset_ns: 0,
        reset_fails: false,
    }
}

pub(crate) fn hardware() -> Hardware {
    let mut memory = device("nvme", 0x0010_1b36, 0);
    let mut image = memory.image();
    // The capabilities bit of Status; PCI Express at 0x40, an endpoint with FLR in DEVCAP.
    image[0x06] = 0x10;
    image[0x34] = 0x40;
    image[0x40..0x44].copy_from_slice(&[0x10, 0, 0x02, 0]);
    image[0x44..0x48].copy_from_slice(&(1_u32 << 28).to_le_bytes());
    // BAR 2: memory, 64 bits, prefetchable.
    image[0x18] = 0x0c;
    memory.config = Device::digits(&image);
    memory.bar_sizes[2] = 0x100_0000;
    memory.bar_addresses[2] = 0x20_0000_0000;
    memory.mappable[2] = true;
    memory.memory_bar = Some(2);
    memory.reset_methods = vec![ResetMethod::Flr];
    let mut engine = device("edu", 0x11e8_1234, 1);
    engine.engine = true;
    Hardware { devices: vec![memory, engine] }
}

pub(crate) fn start() -> Spec {
    start_planted(None)
}

pub(crate) fn start_planted(rule: Option<Rule>) -> Spec {
    let hardware = hardware();
    let kernel = Kernel::new(&hardware, Profile::V7_3).unwrap();
    let kernel = match rule {
        Some(rule) => kernel.with_planted(rule),
        None => kernel,
    };
    Spec::on(kernel, Window::of(&hardware).unwrap()).unwrap()
}
