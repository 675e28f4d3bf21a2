//! The filters, and when which is put on.

use crate::calls::{self, Call};
use crate::{descriptors, privileges, violation};
use libc::c_long;
use rustix::io::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, apply_filter_all_threads,
};
use std::collections::BTreeMap;

/// What becomes of a system call that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is not carried out, and ends the process, which says what it was.
    Trap,
    /// It is carried out, and the kernel's audit log has it.
    Log,
    /// It is carried out: nothing is confined, and privileges stay.
    Off,
}

/// What a thread is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// All of the process; what its main thread does.
    Process,
    /// A vCPU: runs the guest, and sees the events through that the guest causes.
    Vcpu,
    /// Sees events of devices through that others cause: the kernel's notices, the control socket's commands.
    Device,
    /// Passes on what is typed.
    Console,
}

impl Role {
    const ALL: [Self; 4] = [Self::Process, Self::Vcpu, Self::Device, Self::Console];
}

/// What cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A filter is none.
    #[error("a system call filter cannot be made")]
    Compile(#[source] seccompiler::BackendError),
    /// The kernel takes none: it has no CONFIG_SECCOMP_FILTER.
    #[error("the kernel takes no system call filter; --seccomp off goes without")]
    Apply(#[source] seccompiler::Error),
    /// Privileges cannot be given up.
    #[error("privileges cannot be given up")]
    Privileges(#[source] Errno),
    /// Descriptors cannot be marked.
    #[error("descriptors cannot be made close-on-exec (Linux 5.11)")]
    Descriptors(#[source] std::io::Error),
    /// A signal handler cannot be set.
    #[error("SIGSYS cannot be handled")]
    Handler(#[source] std::io::Error),
}

/// Filters that are ready to be put on.
pub struct Sandbox {
    /// `None` where nothing is confined.
    filters: Option<BTreeMap<Role, BpfProgram>>,
    mode: Mode,
}

impl Sandbox {
    /// Makes all filters, and puts none on.
    ///
    /// # Errors
    /// [`SandboxError::Compile`].
    pub fn prepare(mode: Mode) -> Result<Self, SandboxError> {
        let filters = match mode {
            Mode::Off => None,
            Mode::Trap => Some(compile_all(&SeccompAction::Trap)?),
            Mode::Log => Some(compile_all(&SeccompAction::Log)?),
        };
        Ok(Self { filters, mode })
    }

    /// Takes all privileges from this thread and those it will start, and puts the process's filter on all
    /// threads there are. What has to be opened is open by now.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn confine_process(&self) -> Result<(), SandboxError> {
        let Some(filters) = &self.filters else { return Ok(()) };
        descriptors::close_on_exec().map_err(SandboxError::Descriptors)?;
        privileges::drop_all().map_err(SandboxError::Privileges)?;
        if self.mode == Mode::Trap {
            violation::handle().map_err(SandboxError::Handler)?;
        }
        apply_filter_all_threads(&filters[&Role::Process]).map_err(SandboxError::Apply)
    }

    /// Puts the filter of a role on this thread, after the process's.
    ///
    /// # Errors
    /// [`SandboxError::Apply`].
    pub fn confine_thread(&self, role: Role) -> Result<(), SandboxError> {
        let Some(filters) = &self.filters else { return Ok(()) };
        apply_filter(&filters[&role]).map_err(SandboxError::Apply)
    }
}

/// Takes all privileges from a thread that was there before the process was confined.
///
/// # Errors
/// [`SandboxError::Privileges`].
pub fn shed_privileges() -> Result<(), SandboxError> {
    privileges::drop_all().map_err(SandboxError::Privileges)
}

fn compile_all(otherwise: &SeccompAction) -> Result<BTreeMap<Role, BpfProgram>, SandboxError> {
    let compile = |role| Ok((role, compile(role, otherwise).map_err(SandboxError::Compile)?));
    Role::ALL.into_iter().map(compile).collect()
}

fn compile(role: Role, otherwise: &SeccompAction) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    for call in calls::of(role) {
        match call {
            Call::Any(number) => drop(rules.entry(number).or_default()),
            Call::Ioctl(number) => {
                let is = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number)?;
                rules.entry(libc::SYS_ioctl).or_default().push(SeccompRule::new(vec![is])?);
            }
            Call::OpenToRead => {
                let writes = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u64;
                let op = SeccompCmpOp::MaskedEq(writes);
                let reads = SeccompCondition::new(2, SeccompCmpArgLen::Dword, op, libc::O_RDONLY as u64)?;
                rules.entry(libc::SYS_openat).or_default().push(SeccompRule::new(vec![reads])?);
            }
        }
    }
    SeccompFilter::new(rules, otherwise.clone(), SeccompAction::Allow, TargetArch::x86_64)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_filter_the_kernel_takes() {
        let filters = compile_all(&SeccompAction::Trap).unwrap();
        assert_eq!(filters.len(), Role::ALL.len());
        for (role, filter) in filters {
            // BPF_MAXINSNS of include/uapi/linux/bpf_common.h.
            assert!((10..=4096).contains(&filter.len()), "{role:?}: {}", filter.len());
        }
    }
}
