//! The simulated kernel's own among the faults of `barkeep-planted`: the planted errors of its rules.

use barkeep_model::{Kernel, Rule};
use barkeep_planted::{Fault, is_planted};

/// Each with the rule that is not followed.
const RULES: [(Fault, Rule); 8] = [
    (Fault::KernelRevokeKillsNothing, Rule::RevokeKills),
    (Fault::KernelDecodeOffRevokesNothing, Rule::DecodeOff),
    (Fault::KernelFlrRevokesNothing, Rule::Flr),
    (Fault::KernelD3hotRevokesNothing, Rule::D3hot),
    (Fault::KernelMapsRevoked, Rule::MapFileWhileRevoked),
    (Fault::KernelNeverGivesBack, Rule::BackIfEnabled),
    (Fault::KernelDeadUnmapsNothing, Rule::DeadUnmapsInFull),
    (Fault::KernelCloseRevokesNothing, Rule::LastClose),
];

/// The kernel with the rule that a fault breaks; as it was without.
pub(crate) fn in_kernel(kernel: Kernel) -> Kernel {
    match RULES.iter().find(|(fault, _)| is_planted(*fault)) {
        Some((_, rule)) => kernel.with_planted(*rule),
        None => kernel,
    }
}
