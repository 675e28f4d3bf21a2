//! What the machine would lose with a function.

use super::{blocks, links};
use crate::function::Function;
use crate::roots::Roots;
use std::fmt;
use std::path::PathBuf;

/// One thing it would lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// A mounted filesystem.
    Mounted {
        /// Where.
        at: String,
        /// By which block device.
        device: String,
    },
    /// Swap space.
    Swap {
        /// Which block device.
        device: String,
    },
    /// The last way out to the network.
    OnlyLink {
        /// The network interface.
        interface: String,
    },
    /// Virtual functions, which go with its driver.
    VirtualFunctions {
        /// How many.
        count: usize,
    },
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { at, device } => write!(f, "holds the filesystem at {at} (on {device})"),
            Self::Swap { device } => write!(f, "holds swap space ({device})"),
            Self::OnlyLink { interface } => {
                write!(f, "has the only network link with a default route ({interface})")
            }
            Self::VirtualFunctions { count } => {
                write!(f, "has {count} virtual functions, which go with its driver and do not come back")
            }
        }
    }
}

/// All of it. What vfio-pci has, the machine does not use.
#[must_use]
pub fn uses(roots: &Roots, function: &Function) -> Vec<Use> {
    if function.is_passed_through() {
        return Vec::new();
    }
    let virtual_functions = function.virtual_functions();
    let names: Vec<String> =
        virtual_functions.iter().chain([&function.address]).map(ToString::to_string).collect();
    // What a virtual function carries goes with the physical one. A device that is several functions
    // deep, a disk at a USB controller say, has the function's name on its path.
    let is_on_it = |path: &PathBuf| path.iter().any(|part| names.iter().any(|name| part == name.as_str()));
    let mut uses = blocks::uses(roots, &is_on_it);
    uses.extend(links::only_link(roots, &is_on_it));
    if !virtual_functions.is_empty() {
        uses.push(Use::VirtualFunctions { count: virtual_functions.len() });
    }
    uses
}

#[cfg(test)]
#[path = "holds_test.rs"]
mod tests;
