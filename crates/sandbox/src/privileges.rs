//! Privileges, given up for good.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

/// Takes all capabilities from this thread and from those it will start, and every way to new ones
/// (capabilities(7), `PR_SET_NO_NEW_PRIVS`). The ambient ones go with the inheritable ones.
pub(crate) fn drop_all() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}
