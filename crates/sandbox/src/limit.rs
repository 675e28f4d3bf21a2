//! What this process may pin for DMA.
//!
//! iommufd counts each page it pins for the user, not for the process, against `RLIMIT_MEMLOCK` of the process
//! that maps (`incr_user_locked_vm` of drivers/iommu/iommufd/pages.c); for who has `CAP_IPC_LOCK` when it maps it
//! counts none (`iopt_alloc_pages`). A page that is in two I/O address spaces counts twice. BARs are not counted.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// The limit is too low.
#[derive(Debug, thiserror::Error)]
#[error(
    "{needed} bytes are to be pinned for DMA (the guest's memory, once for each I/O address space), and the \
     memory-lock limit is {limit}; as root `ulimit -l {}` in the shell that starts barkeep; for good: memlock in \
     /etc/security/limits.conf, LimitMEMLOCK= of systemd; or take less --memory",
    needed.div_ceil(1024)
)]
pub struct TooLow {
    /// Bytes to be pinned.
    pub needed: u64,
    /// Bytes that may be.
    pub limit: u64,
}

/// Sees to it that so many bytes may be pinned: raises the soft limit as far as the hard one allows. What else this
/// user has pinned is not known here; the kernel counts it, and refuses by ENOMEM.
///
/// # Errors
/// [`TooLow`].
pub fn ensure(needed: u64) -> Result<(), TooLow> {
    let has_ipc_lock = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    let Rlimit { current, maximum } = getrlimit(Resource::Memlock);
    if has_ipc_lock || current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit { current: maximum, maximum };
    let enough = maximum.is_none_or(|maximum| maximum >= needed);
    if enough && setrlimit(Resource::Memlock, raised).is_ok() {
        return Ok(());
    }
    Err(TooLow { needed, limit: maximum.or(current).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_and_how_to_get_it_is_told() {
        let told = TooLow { needed: 512 << 20, limit: 8 << 20 }.to_string();
        assert!(told.contains("ulimit -l 524288") && told.contains("8388608"), "{told}");
    }

    #[test]
    fn nothing_may_always_be_pinned() {
        assert!(ensure(0).is_ok());
    }
}
