//! Words that name devices.

use barkeep_journal::DeviceAddress;
use barkeep_scenario::nearest::nearest;
use barkeep_sim::SimOption;
use std::str::FromStr;

/// A passed-through device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceOption {
    /// What scenarios call it.
    pub name: String,
    /// Where it is.
    pub address: DeviceAddress,
    /// The descriptor by which this process has it open already.
    pub fd: Option<i32>,
}

/// What a device's descriptor is named by.
const DESCRIPTOR: &str = "fd:";

impl FromStr for DeviceOption {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The `=` of a key is no name's.
        let split = text.find('=').filter(|at| !text[..*at].contains(','));
        let (name, device) = split.map_or((None, text), |at| (Some(&text[..at]), &text[at + 1..]));
        if let Some((_, keys)) = device.split_once(',') {
            let key = keys.split('=').next().unwrap_or(keys);
            let what = format!("no key `{key}`: only simulated devices have keys");
            let known = barkeep_sim::options::keys();
            return Err(match nearest(key, known) {
                Some(near) => format!("{what}; of those, `{near}` is the nearest (NAME=sim:memory,{near}=…)"),
                None => what,
            }
            .into());
        }
        let (address, fd) = match device.strip_prefix(DESCRIPTOR) {
            Some(number) => {
                let fd = number.parse().map_err(|_| format!("`{number}` is no file descriptor's number"))?;
                (barkeep_vfio::inherited::device_of(fd)?, Some(fd))
            }
            None => (device.parse()?, None),
        };
        let name = name
            .map_or_else(|| if fd.is_some() { address.to_string() } else { text.to_owned() }, str::to_owned);
        Ok(Self { name, address, fd })
    }
}

/// What `--device` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceWord {
    /// A device of this machine.
    Real(DeviceOption),
    /// One that is simulated.
    Simulated(SimOption),
}

impl FromStr for DeviceWord {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if barkeep_sim::options::is_simulated(text) {
            return Ok(Self::Simulated(text.parse()?));
        }
        Ok(Self::Real(text.parse()?))
    }
}
