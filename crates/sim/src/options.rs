//! `--device [NAME=]sim:KIND[,key=value…]`: the options of simulated devices, which
//! `docs/interfaces.md` lists.

use barkeep_scenario::nearest::{nearest, with_suggestion};
use barkeep_scenario::units::{Size, duration};
use std::str::FromStr;
use std::time::Duration;

/// What every simulated device's name begins with.
const PREFIX: &str = "sim:";
/// The kinds there are.
const KINDS: [&str; 2] = ["memory", "dma"];
/// The keys of `sim:memory`.
const MEMORY_KEYS: [&str; 12] =
    ["size", "bar", "registers", "flr", "af", "pm", "msix", "vf", "reset", "reset-time", "bus", "bus-reset"];
/// The keys of `sim:dma`.
const DMA_KEYS: [&str; 1] = ["delay"];

/// The keys of every kind.
pub fn keys() -> impl Iterator<Item = &'static str> {
    MEMORY_KEYS.into_iter().chain(DMA_KEYS)
}

/// The smallest BAR there can be, bytes.
pub const LEAST_SIZE: u64 = 512;
/// The biggest, bytes.
pub const MOST_SIZE: u64 = 64 << 30;
/// The smallest BAR that has room for an MSI-X table between two windows, bytes.
pub const LEAST_SIZE_WITH_MSIX: u64 = 16 << 10;
/// Bytes of the register BAR.
pub const REGISTERS_SIZE: u64 = 8 << 10;
/// The register BAR is a 64-bit one and takes two registers.
const FIRST_BAR_BESIDE_REGISTERS: u8 = 2;
/// The longest time an option may name: longer than the 60 s the kernel waits for a reset.
pub const MOST_TIME: Duration = Duration::from_secs(600);

/// A simulated device as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimOption {
    /// What scenarios call it; `None`: the next name of the scenario its kind can play.
    pub name: Option<String>,
    /// What it is.
    pub kind: Kind,
}

/// What a simulated device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A BAR that is memory.
    Memory(MemoryOptions),
    /// A DMA engine with edu's programming interface.
    Dma(DmaOptions),
}

/// `sim:memory`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Bytes of the BAR, a power of two between [`LEAST_SIZE`] and [`MOST_SIZE`].
    pub size: u64,
    /// Index of the BAR, 0–4: it is a 64-bit one, whose upper half takes the next register.
    pub bar: u8,
    /// BAR 0 is [`REGISTERS_SIZE`] bytes of registers, all 0, beside the memory.
    pub registers: bool,
    /// It has the PCIe capability, and DEVCAP says FLR.
    pub flr: bool,
    /// It has the AF capability, with FLR and TP.
    pub af: bool,
    /// Its power management.
    pub pm: Pm,
    /// It has MSI-X, and the table is in the middle of the BAR.
    pub msix: bool,
    /// It is a virtual function: no memory decode bit of its own.
    pub vf: bool,
    /// Its resets fail (ENOTTY) although it says it can do them.
    pub reset_fails: bool,
    /// What a reset takes on top of what the kernel waits anyway.
    pub reset_time: Duration,
    /// The bus behind a port that it is on, together with whoever else says so: one IOMMU group, and a
    /// hot reset takes all of them. `None`: on the root bus.
    pub bus: Option<String>,
    /// The bus does not come back from a reset (ENOTTY).
    pub bus_reset_fails: bool,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            size: 16 << 20,
            bar: 2,
            registers: false,
            flr: true,
            af: false,
            pm: Pm::NoSoftReset,
            msix: false,
            vf: false,
            reset_fails: false,
            reset_time: Duration::ZERO,
            bus: None,
            bus_reset_fails: false,
        }
    }
}

/// Power management of a simulated device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pm {
    /// None.
    Off,
    /// With No_Soft_Reset clear: going from D3hot to D0 resets the function.
    SoftReset,
    /// With No_Soft_Reset set.
    NoSoftReset,
}

/// `sim:dma`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmaOptions {
    /// How long after its command a DMA is carried out.
    pub delay: Duration,
}

impl Default for DmaOptions {
    /// As edu.
    fn default() -> Self {
        Self { delay: Duration::from_millis(100) }
    }
}

/// Why a text names no simulated device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No such kind.
    #[error("{}", with_suggestion(format!("no simulated device `sim:{kind}`; there are sim:memory and sim:dma"), nearest(kind, KINDS)))]
    Kind {
        /// What was written.
        kind: String,
    },
    /// No such key.
    #[error("{}", with_suggestion(format!("sim:{kind} has no option `{key}`; it has {}", keys.join(", ")), nearest(key, keys.iter())))]
    Key {
        /// The kind.
        kind: &'static str,
        /// What was written.
        key: String,
        /// What it knows.
        keys: &'static [&'static str],
    },
    /// A key without a value.
    #[error("the option `{0}` of a simulated device has no value; write {0}=VALUE")]
    NoValue(String),
    /// A key given again.
    #[error("the option `{0}` of a simulated device is given twice")]
    Twice(String),
    /// A value the key cannot have.
    #[error("{key}={value}: {key} is {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// A table that has no room.
    #[error("msix=on needs a BAR of at least 16K: the table's pages lie in its middle")]
    NoRoomForMsix,
    /// Registers where the memory is.
    #[error("registers=on takes BAR 0 and its upper half, so bar={0} is not free; give bar=2 to 4")]
    NoRoomForRegisters(u8),
    /// A bus reset where there is no port to do it.
    #[error("bus-reset=fails is about a bus: give bus=NAME too")]
    NoBus,
    /// A name that is none.
    #[error("the name before `=sim:` is empty")]
    Name,
}

/// Whether a text of `--device` is about a simulated device at all.
#[must_use]
pub fn is_simulated(text: &str) -> bool {
    split_name(text).is_some()
}

/// The name, if any, and what follows `sim:`. The name ends at the first `=`, if `sim:` follows:
/// options have one too.
fn split_name(text: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = text.strip_prefix(PREFIX) {
        return Some((None, rest));
    }
    let (name, rest) = text.split_once('=')?;
    Some((Some(name), rest.strip_prefix(PREFIX)?))
}

impl FromStr for SimOption {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let (name, rest) = split_name(text).ok_or_else(|| OptionError::Kind { kind: text.to_owned() })?;
        if name == Some("") {
            return Err(OptionError::Name);
        }
        let mut words = rest.split(',');
        let kind = match words.next().unwrap_or_default() {
            "memory" => Kind::Memory(memory(words)?),
            "dma" => Kind::Dma(dma(words)?),
            kind => return Err(OptionError::Kind { kind: kind.to_owned() }),
        };
        Ok(Self { name: name.map(str::to_owned), kind })
    }
}

fn memory<'a>(words: impl Iterator<Item = &'a str>) -> Result<MemoryOptions, OptionError> {
    let mut options = MemoryOptions::default();
    for_each_pair("memory", &MEMORY_KEYS, words, |key, value| {
        match key {
            "size" => options.size = size(value)?,
            "bar" => options.bar = bar_index(value)?,
            "registers" => options.registers = switch("registers", value)?,
            "flr" => options.flr = switch("flr", value)?,
            "af" => options.af = switch("af", value)?,
            "pm" => options.pm = pm(value)?,
            "msix" => options.msix = switch("msix", value)?,
            "vf" => options.vf = switch("vf", value)?,
            "reset" => options.reset_fails = fails("reset", value)?,
            "bus" => options.bus = Some(bus(value)?),
            "bus-reset" => options.bus_reset_fails = fails("bus-reset", value)?,
            "reset-time" => options.reset_time = time("reset-time", value)?,
            _ => unreachable!("`for_each_pair` lets only known keys through"),
        }
        Ok(())
    })?;
    if options.msix && options.size < LEAST_SIZE_WITH_MSIX {
        return Err(OptionError::NoRoomForMsix);
    }
    if options.registers && options.bar < FIRST_BAR_BESIDE_REGISTERS {
        return Err(OptionError::NoRoomForRegisters(options.bar));
    }
    if options.bus_reset_fails && options.bus.is_none() {
        return Err(OptionError::NoBus);
    }
    Ok(options)
}

fn dma<'a>(words: impl Iterator<Item = &'a str>) -> Result<DmaOptions, OptionError> {
    let mut options = DmaOptions::default();
    for_each_pair("dma", &DMA_KEYS, words, |_, value| {
        options.delay = time("delay", value)?;
        Ok(())
    })?;
    Ok(options)
}

/// Takes `key=value` words apart; each key is one of `keys` and comes once.
fn for_each_pair<'a>(
    kind: &'static str,
    keys: &'static [&'static str],
    words: impl Iterator<Item = &'a str>,
    mut take: impl FnMut(&str, &str) -> Result<(), OptionError>,
) -> Result<(), OptionError> {
    let mut seen = Vec::new();
    for word in words {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (word, None),
        };
        if !keys.contains(&key) {
            return Err(OptionError::Key { kind, key: key.to_owned(), keys });
        }
        let value = value.ok_or_else(|| OptionError::NoValue(key.to_owned()))?;
        if seen.contains(&key) {
            return Err(OptionError::Twice(key.to_owned()));
        }
        seen.push(key);
        take(key, value)?;
    }
    Ok(())
}

fn size(value: &str) -> Result<u64, OptionError> {
    let size = value.parse().ok().map(|Size(size)| size);
    let fits = |size: &u64| size.is_power_of_two() && (LEAST_SIZE..=MOST_SIZE).contains(size);
    size.filter(fits).ok_or_else(|| refused("size", value, "a power of two from 512 to 64G"))
}

fn bus(value: &str) -> Result<String, OptionError> {
    let named = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if named {
        Ok(value.to_owned())
    } else {
        Err(refused("bus", value, "a name of letters, digits, - and _"))
    }
}

fn bar_index(value: &str) -> Result<u8, OptionError> {
    let wanted = "0 to 4: a 64-bit BAR takes the next register too, so 5 is none";
    value.parse().ok().filter(|bar| *bar <= 4).ok_or_else(|| refused("bar", value, wanted))
}

fn switch(key: &'static str, value: &str) -> Result<bool, OptionError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(refused(key, value, "on or off")),
    }
}

fn pm(value: &str) -> Result<Pm, OptionError> {
    match value {
        "off" => Ok(Pm::Off),
        "soft-reset" => Ok(Pm::SoftReset),
        "on" | "no-soft-reset" => Ok(Pm::NoSoftReset),
        _ => Err(refused("pm", value, "off, soft-reset, or no-soft-reset (also: on)")),
    }
}

fn fails(key: &'static str, value: &str) -> Result<bool, OptionError> {
    match value {
        "ok" => Ok(false),
        "fails" => Ok(true),
        _ => Err(refused(key, value, "ok or fails")),
    }
}

fn time(key: &'static str, value: &str) -> Result<Duration, OptionError> {
    let time = duration(value).ok().filter(|time| *time <= MOST_TIME);
    time.ok_or_else(|| refused(key, value, "a time like 100us, 50ms or 2s, at most 600s"))
}

fn refused(key: &'static str, value: &str, wanted: &'static str) -> OptionError {
    OptionError::Value { key, value: value.to_owned(), wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(text: &str) -> MemoryOptions {
        match text.parse::<SimOption>().unwrap().kind {
            Kind::Memory(options) => options,
            Kind::Dma(_) => panic!("{text}"),
        }
    }

    #[test]
    fn every_option_arrives() {
        assert_eq!(memory("sim:memory"), MemoryOptions::default());
        let text = "sim:memory,size=64G,bar=3,registers=on,flr=off,af=on,pm=soft-reset,msix=on,vf=on,reset=fails,\
                    reset-time=2s,bus=port-1,bus-reset=fails";
        let all = MemoryOptions {
            size: 64 << 30,
            bar: 3,
            registers: true,
            flr: false,
            af: true,
            pm: Pm::SoftReset,
            msix: true,
            vf: true,
            reset_fails: true,
            reset_time: Duration::from_secs(2),
            bus: Some("port-1".to_owned()),
            bus_reset_fails: true,
        };
        assert_eq!(memory(text), all);
        let named: SimOption = "edu=sim:dma,delay=5ms".parse().unwrap();
        assert_eq!(named.name.as_deref(), Some("edu"));
        assert_eq!(named.kind, Kind::Dma(DmaOptions { delay: Duration::from_millis(5) }));
    }

    #[test]
    fn a_name_is_told_from_an_option() {
        assert!(is_simulated("sim:memory,size=4K") && is_simulated("a=sim:dma"));
        assert!(!is_simulated("0000:01:00.0") && !is_simulated("nvme=0000:01:00.0"));
        assert_eq!("a=sim:memory,size=4K".parse::<SimOption>().unwrap().name.as_deref(), Some("a"));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_nearest_right_word() {
        for (text, words) in [
            ("sim:memroy", &["sim:memroy", "`memory`"][..]),
            ("sim:", &["sim:memory and sim:dma"]),
            ("sim:memory,sise=4K", &["`sise`", "`size`"]),
            ("sim:memory,delay=1s", &["no option `delay`", "reset-time"]),
            ("sim:dma,size=4K", &["sim:dma has no option `size`"]),
            ("sim:dma,delai=1s", &["`delay`"]),
            ("sim:memory,", &["no option ``"]),
            ("sim:memory,size", &["size=VALUE"]),
            ("sim:memory,size=4K,size=4K", &["given twice", "`size`"]),
            ("sim:memory,size=3M", &["size=3M", "power of two"]),
            ("sim:memory,size=256", &["power of two from 512"]),
            ("sim:memory,size=128G", &["to 64G"]),
            ("sim:memory,size=x", &["size=x"]),
            ("sim:memory,bar=5", &["bar=5", "0 to 4"]),
            ("sim:memory,bar=-1", &["bar=-1"]),
            ("sim:memory,flr=yes", &["flr=yes", "on or off"]),
            ("sim:memory,pm=maybe", &["pm=maybe", "no-soft-reset"]),
            ("sim:memory,reset=never", &["reset=never", "ok or fails"]),
            ("sim:memory,bus=", &["bus=", "a name"]),
            ("sim:memory,bus-reset=fails", &["bus=NAME"]),
            ("sim:memory,bus=a,bus-reset=x", &["bus-reset=x", "ok or fails"]),
            ("sim:memory,reset-time=1h", &["reset-time=1h", "50ms"]),
            ("sim:memory,reset-time=601s", &["at most 600s"]),
            ("sim:memory,msix=on,size=4K", &["at least 16K"]),
            ("sim:memory,registers=on,bar=1", &["bar=1", "bar=2 to 4"]),
            ("=sim:memory", &["name", "empty"]),
        ] {
            let error = text.parse::<SimOption>().unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{text}: `{word}` is not in: {error}");
            }
        }
    }
}
