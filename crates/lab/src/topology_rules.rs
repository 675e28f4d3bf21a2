//! What a topology may not say, beyond what its types rule out.

use crate::topology::{Device, Engine, Target, Topology, VERSION};
use std::collections::BTreeSet;

/// What `bind` says for no driver at all.
pub(crate) const NO_DRIVER: &str = "none";
/// The driver that exports, of what the guest gets.
pub(crate) const VFIO: &str = "vfio-pci";
/// The driver of `guest-kernel/importer`, which imports what the other exports.
pub(crate) const IMPORTER: &str = "barkeep-importer";
/// Drivers that make no virtual functions: none, and the one that leaves them to its user.
const MAKE_NO_FUNCTIONS: [&str; 3] = [NO_DRIVER, VFIO, IMPORTER];

const LAST_BAR: u8 = 5;

/// Slots of the root complex that are taken: the results parcel, the journal, and the
/// chipset's own functions.
const RESERVED: [(u8, &str); 4] =
    [(0x00, "the host bridge"), (0x1d, "the results"), (0x1e, "the journal"), (0x1f, "the chipset")];

/// The first rule `topology` breaks, in words.
pub(crate) fn broken_by(topology: &Topology) -> Option<String> {
    if topology.version != VERSION {
        return Some(format!("version {} is not known here, only {VERSION}", topology.version));
    }
    if bytes(&topology.memory).is_none() {
        return Some(format!("memory `{}` is not of the form 512M or 1G", topology.memory));
    }
    if topology.kernel_arguments.contains(char::is_control) {
        return Some("kernel_arguments are words, with blanks between them".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut buses = BTreeSet::new();
    let mut places = BTreeSet::new();
    topology.devices.iter().find_map(|device| {
        let problem = name_problem(&device.name, &mut names)
            .or_else(|| device_problem(device, &buses))
            .or_else(|| functions_problem(device, &mut names))
            .or_else(|| aim_problem(device))
            .or_else(|| {
                (!places.insert((device.bus.clone(), parse_slot(&device.slot))))
                    .then(|| "its slot is taken".to_owned())
            });
        buses.insert(device.name.as_str());
        problem.map(|problem| format!("device `{}` at {}: {problem}", device.name, device.slot))
    })
}

fn name_problem<'a>(name: &'a str, taken: &mut BTreeSet<&'a str>) -> Option<String> {
    if !is_word(name) {
        return Some("a name has letters, digits, - and _, a letter first".to_owned());
    }
    (!taken.insert(name)).then(|| format!("its name, `{name}`, is taken"))
}

fn functions_problem<'a>(device: &'a Device, names: &mut BTreeSet<&'a str>) -> Option<String> {
    let maker = device.bind.as_deref().filter(|driver| MAKE_NO_FUNCTIONS.contains(driver));
    if let (Some(driver), false) = (maker, device.virtual_functions.is_empty()) {
        return Some(format!("its virtual functions are made by its own driver, which `{driver}` is not"));
    }
    let mut functions = device.virtual_functions.iter();
    functions.find_map(|function| {
        let problem = name_problem(&function.name, names)?;
        Some(format!("a virtual function: {problem}"))
    })
}

fn device_problem(device: &Device, earlier: &BTreeSet<&str>) -> Option<String> {
    if !device.model.starts_with(|c: char| c.is_ascii_alphanumeric()) || device.model.contains(',') {
        return Some(format!("`{}` is no device model's name", device.model));
    }
    if let Some(disk) = &device.disk {
        if device.backend.is_some() {
            return Some("a disk and a backend: one drive is behind it".to_owned());
        }
        if bytes(&disk.size).is_none() {
            return Some(format!("a disk of `{}` is not of the form 16M or 1G", disk.size));
        }
    }
    let Some((number, _)) = parse_slot(&device.slot) else {
        return Some("a slot is device.function, as in 03.0".to_owned());
    };
    match &device.bus {
        Some(bus) if !earlier.contains(bus.as_str()) => {
            Some(format!("no device `{bus}` stands before it to sit behind"))
        }
        Some(_) => None,
        None => RESERVED
            .iter()
            .find(|(reserved, _)| *reserved == number)
            .map(|(reserved, owner)| format!("slot {reserved:02x} is reserved for {owner}")),
    }
}

/// `512M` or `1G` in bytes; more than none.
pub(crate) fn bytes(size: &str) -> Option<u64> {
    let (digits, unit) = match size.as_bytes() {
        [digits @ .., b'M'] => (digits, 20),
        [digits @ .., b'G'] => (digits, 30),
        _ => return None,
    };
    let count: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (count > 0).then_some(u64::from(count) << unit)
}

/// What is wrong with where others are to aim at it, and how it is to aim at others.
fn aim_problem(device: &Device) -> Option<String> {
    if let Some(ram) = &device.memory
        && !bytes(&ram.size).is_some_and(u64::is_power_of_two)
    {
        return Some(format!("memory of `{}`: a BAR is a power of two, 512M or 4G", ram.size));
    }
    let of = |engine| match engine {
        Engine::Edu => "edu",
        Engine::Nvme => "nvme",
    };
    if let Some(engine) = device.engine.map(of).filter(|model| *model != device.model) {
        return Some(format!("a device of model {} has not the engine of an {engine}", device.model));
    }
    if device.engine.is_some() && device.bind.as_deref() != Some(VFIO) {
        return Some(format!("an engine is the guest's to command, so its `bind` is `{VFIO}`"));
    }
    let functions = device.virtual_functions.iter();
    let mut targets = functions
        .map(|function| (&function.target, &function.bind))
        .chain([(&device.target, &device.bind)])
        .filter_map(|(target, bind)| target.map(|target| (target, bind.as_deref())));
    targets.find_map(|(target, bind)| target_problem(target, bind))
}

fn target_problem(target: Target, bind: Option<&str>) -> Option<String> {
    let Target { bar, offset, size, peers: _ } = target;
    if bind != Some(VFIO) {
        return Some(format!("a target is the guest's to write, so its `bind` is `{VFIO}`"));
    }
    if bar > LAST_BAR {
        return Some(format!("a target in BAR {bar}: the last is {LAST_BAR}"));
    }
    let whole = size > 0 && size % 4 == 0 && offset % 4 == 0 && offset.checked_add(size).is_some();
    (!whole).then(|| "a target's offset and size are multiples of 4, the size not 0".to_owned())
}

/// `03.0` as device 0–31 and function 0–7.
pub(crate) fn parse_slot(slot: &str) -> Option<(u8, u8)> {
    let (device, function) = slot.split_once('.')?;
    if device.is_empty() || device.len() > 2 || function.len() != 1 {
        return None;
    }
    let hex = |text: &str| {
        text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(text, 16).ok()).flatten()
    };
    let (device, function) = (hex(device)?, hex(function)?);
    (device <= 31 && function <= 7).then_some((device, function))
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(devices: &[(&str, &str, Option<&str>)]) -> Option<String> {
        let mut text = "version = 1\nname = 'x'\n".to_owned();
        for (name, slot, bus) in devices {
            text += &format!("[[device]]\nname = '{name}'\nmodel = 'edu'\nslot = '{slot}'\n");
            if let Some(bus) = bus {
                text += &format!("bus = '{bus}'\n");
            }
        }
        broken_by(&toml::from_str(&text).unwrap())
    }

    #[test]
    fn names_and_slots_are_given_once() {
        assert_eq!(problem(&[("a", "03.0", None), ("b", "03.1", None)]), None);
        assert!(problem(&[("a", "03.0", None), ("a", "04.0", None)]).unwrap().contains("`a`, is taken"));
        assert!(problem(&[("a", "03.0", None), ("b", "3.0", None)]).unwrap().contains("slot is taken"));
    }

    #[test]
    fn slots_are_slots_and_not_reserved() {
        for slot in ["00.0", "1d.0", "1e.0", "1f.7"] {
            assert!(problem(&[("a", slot, None)]).unwrap().contains("reserved"), "{slot}");
        }
        for slot in ["", "3", "20.0", "03.8", "003.0", "+3.0", "03.", "0x3.0"] {
            assert!(problem(&[("a", slot, None)]).unwrap().contains("device.function"), "{slot}");
        }
    }

    #[test]
    fn a_port_comes_before_what_is_behind_it() {
        assert_eq!(problem(&[("port", "05.0", None), ("a", "00.0", Some("port"))]), None);
        assert!(
            problem(&[("a", "00.0", Some("port")), ("port", "05.0", None)]).unwrap().contains("before it")
        );
    }

    #[test]
    fn virtual_functions_have_a_driver_that_makes_them_and_names_of_their_own() {
        let problem = |bind: &str, functions: &str, bus: &str| {
            let text = format!(
                "version = 1\nname = 'x'\n[[device]]\nname = 'pf'\nmodel = 'igb'\nslot = '03.0'\n{bind}\n\
                 virtual_functions = [{functions}]\n\
                 [[device]]\nname = 'other'\nmodel = 'edu'\nslot = '04.0'\n{bus}\n"
            );
            broken_by(&toml::from_str(&text).unwrap())
        };
        assert_eq!(problem("bind = 'igb'", "{ name = 'vf', bind = 'vfio-pci' }, { name = 'vg' }", ""), None);
        assert_eq!(problem("", "{ name = 'vf' }", ""), None);
        assert_eq!(problem("bind = 'vfio-pci'", "", ""), None);
        for driver in ["vfio-pci", "none"] {
            let said = problem(&format!("bind = '{driver}'"), "{ name = 'vf' }", "").unwrap();
            assert!(said.contains("made by its own driver") && said.contains(driver), "{said}");
        }
        for taken in ["{ name = 'pf' }", "{ name = 'vf' }, { name = 'vf' }", "{ name = 'other' }"] {
            assert!(problem("", taken, "").unwrap().contains("is taken"), "{taken}");
        }
        assert!(problem("", "{ name = '0f' }", "").unwrap().contains("letters"));
        assert!(problem("", "{ name = 'vf' }", "bus = 'vf'").unwrap().contains("before it"));
    }

    #[test]
    fn what_is_aimed_at_is_the_guests_and_lies_in_a_bar() {
        let problem = |keys: &str| {
            let text = format!(
                "version = 1\nname = 'x'\n[[device]]\nname = 'a'\nmodel = 'igb'\nslot = '03.0'\n{keys}\n"
            );
            broken_by(&toml::from_str(&text).unwrap())
        };
        let target = |at: &str| problem(&format!("bind = 'vfio-pci'\ntarget = {{ {at} }}"));
        assert_eq!(target("bar = 5, offset = 0x28, size = 8, peers = false"), None);
        assert!(target("bar = 6, offset = 0, size = 4").unwrap().contains("BAR 6"));
        for wrong in ["offset = 0, size = 0", "offset = 2, size = 4", "offset = 0, size = 6"] {
            assert!(target(&format!("bar = 0, {wrong}")).unwrap().contains("multiples of 4"), "{wrong}");
        }
        let place = "target = { bar = 0, offset = 0, size = 4 }";
        assert!(problem(place).unwrap().contains("`vfio-pci`"));
        assert!(problem(&format!("bind = 'igb'\n{place}")).unwrap().contains("`vfio-pci`"));
        let function =
            |bind: &str| problem(&format!("virtual_functions = [{{ name = 'vf', {bind}{place} }}]"));
        assert_eq!(function("bind = 'vfio-pci', "), None);
        assert!(function("").unwrap().contains("`vfio-pci`"));
    }

    #[test]
    fn an_engine_is_what_its_model_has() {
        let problem = |model: &str, keys: &str| {
            let text = format!(
                "version = 1\nname = 'x'\n[[device]]\nname = 'a'\nmodel = '{model}'\nslot = '03.0'\n{keys}\n"
            );
            broken_by(&toml::from_str(&text).unwrap())
        };
        for model in ["edu", "nvme"] {
            assert_eq!(problem(model, &format!("bind = 'vfio-pci'\nengine = '{model}'")), None);
            assert!(problem(model, &format!("engine = '{model}'")).unwrap().contains("`vfio-pci`"));
        }
        assert!(problem("igb", "bind = 'vfio-pci'\nengine = 'edu'").unwrap().contains("engine of an edu"));
        assert!(problem("edu", "bind = 'vfio-pci'\nengine = 'nvme'").unwrap().contains("engine of an nvme"));
    }

    #[test]
    fn memory_that_becomes_a_bar_is_a_power_of_two() {
        let problem = |size: &str| {
            let text = format!(
                "version = 1\nname = 'x'\n[[device]]\nname = 'a'\nmodel = 'ivshmem-plain'\nslot = '03.0'\n\
                 memory = {{ size = '{size}' }}\n"
            );
            broken_by(&toml::from_str(&text).unwrap())
        };
        assert!(["1M", "512M", "64G"].iter().all(|size| problem(size).is_none()));
        for wrong in ["3G", "0G", "4", "G", "4T", "-4G", "4 G"] {
            assert!(problem(wrong).unwrap().contains("power of two"), "{wrong}");
        }
    }

    #[test]
    fn a_disk_has_a_size_and_is_the_only_drive() {
        let problem = |keys: &str| {
            let text = format!(
                "version = 1\nname = 'x'\n[[device]]\nname = 'a'\nmodel = 'nvme'\nslot = '03.0'\n{keys}\n"
            );
            broken_by(&toml::from_str(&text).unwrap())
        };
        assert_eq!(problem("disk = { size = '16M' }"), None);
        assert!(problem("disk = { size = '16' }").unwrap().contains("16M or 1G"));
        let both = "disk = { size = '16M' }\nbackend = { driver = 'null-co' }";
        assert!(problem(both).unwrap().contains("one drive"));
    }

    #[test]
    fn names_memory_and_version_are_looked_at() {
        assert!(problem(&[("0a", "03.0", None)]).unwrap().contains("letters"));
        assert!(problem(&[("a,b", "03.0", None)]).unwrap().contains("letters"));
        let with = |text: &str| broken_by(&toml::from_str(text).unwrap());
        assert!(with("version = 2\nname = 'x'").unwrap().contains("version 2"));
        assert!(with("version = 1\nname = 'x'\nmemory = '1 TB'").unwrap().contains("memory"));
        let words = |words: &str| with(&format!("version = 1\nname = 'x'\nkernel_arguments = \"{words}\""));
        assert!(words(r"quiet\ninit=/x").unwrap().contains("kernel_arguments"));
        assert_eq!(words("hugepagesz=1G hugepages=1"), None);
    }
}
