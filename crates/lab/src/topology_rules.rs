//! What a topology may not say, beyond what its types rule out.

use crate::topology::{Device, Topology, VERSION};
use std::collections::BTreeSet;

/// Drivers that make no virtual functions: none, and the one that leaves them to its user.
const MAKE_NO_FUNCTIONS: [&str; 2] = ["none", "vfio-pci"];

/// Slots of the root complex that are taken: the results parcel, the journal, and the
/// chipset's own functions.
const RESERVED: [(u8, &str); 4] =
    [(0x00, "the host bridge"), (0x1d, "the results"), (0x1e, "the journal"), (0x1f, "the chipset")];

/// The first rule `topology` breaks, in words.
pub(crate) fn broken_by(topology: &Topology) -> Option<String> {
    if topology.version != VERSION {
        return Some(format!("version {} is not known here, only {VERSION}", topology.version));
    }
    let memory = topology.memory.strip_suffix(['M', 'G']).and_then(|n| n.parse::<u32>().ok());
    if memory.is_none_or(|n| n == 0) {
        return Some(format!("memory `{}` is not of the form 512M or 1G", topology.memory));
    }
    let mut names = BTreeSet::new();
    let mut buses = BTreeSet::new();
    let mut places = BTreeSet::new();
    topology.devices.iter().find_map(|device| {
        let problem = name_problem(&device.name, &mut names)
            .or_else(|| device_problem(device, &buses))
            .or_else(|| functions_problem(device, &mut names))
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
    fn names_memory_and_version_are_looked_at() {
        assert!(problem(&[("0a", "03.0", None)]).unwrap().contains("letters"));
        assert!(problem(&[("a,b", "03.0", None)]).unwrap().contains("letters"));
        let with = |text: &str| broken_by(&toml::from_str(text).unwrap());
        assert!(with("version = 2\nname = 'x'").unwrap().contains("version 2"));
        assert!(with("version = 1\nname = 'x'\nmemory = '1 TB'").unwrap().contains("memory"));
    }
}
