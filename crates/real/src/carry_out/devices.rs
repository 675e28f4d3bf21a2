//! What is done to a device from outside, through sysfs.

use crate::hands::{Done, Hands};
use crate::presence::Presence;
use barkeep_model::Answer;

/// What takes all methods: `reset_method` compares up to a newline, and a write of no bytes
/// never gets there.
const NONE: &str = "\n";
pub(crate) const DEFAULT: &str = "default";

impl Hands {
    pub(super) fn sysfs_reset(&mut self, device: u8) -> Answer {
        let Some(site) = self.site(device) else { return Answer::Idle };
        let folder = site.folder.clone();
        // With a removal under way the kernel waits for it, in `pci_reset_function`, holding
        // nothing that the removal needs but its own open file.
        self.late.call(move || folder.write("reset", "1"))
    }

    pub(super) fn reset_methods(&mut self, device: u8, present: bool) -> Answer {
        let Some(site) = self.site_mut(device) else { return Answer::Idle };
        site.methods_taken |= !present;
        let folder = site.folder.clone();
        self.late.call(move || folder.write("reset_method", if present { DEFAULT } else { NONE }))
    }

    /// One removal at a time: the next would wait for the first one's lock and change nothing.
    /// A virtual function is never removed: it would not come back by a rescan.
    pub(super) fn remove(&mut self, device: u8) -> Done {
        if self.is_removing() {
            return None;
        }
        let site = self.site_mut(device).filter(|site| !site.facts.virtual_function)?;
        match site.presence {
            Presence::There => Some(site.presence.remove(&site.folder)),
            Presence::Leaving(_) | Presence::Gone => None,
        }
    }

    /// A rescan takes the lock a removal has, so it is not tried while there is one.
    pub(super) fn rescan(&mut self, device: u8) -> Answer {
        let is_removing = self.is_removing();
        let Some(site) = self.site_mut(device) else { return Answer::Idle };
        if is_removing || !matches!(site.presence, Presence::Gone) {
            return Answer::Idle;
        }
        let folder = site.folder.clone();
        let answer = self.late.call(move || folder.bring_back());
        if let (Answer::Ok(_), Some(site)) = (answer, self.site_mut(device)) {
            site.presence = Presence::There;
            site.methods_taken = false;
        }
        answer
    }
}
