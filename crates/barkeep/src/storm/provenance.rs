//! What exactly is tested: the commit, and the kernel.

use crate::cli::LaneName;
use std::path::Path;

/// The commit this program was built from, as `git describe` has it; `unknown` without git.
pub const COMMIT: &str = env!("BARKEEP_COMMIT");

/// The kernel a lane has, in its own words.
pub fn kernel(lane: LaneName, image: Option<&Path>) -> String {
    match lane {
        LaneName::Model | LaneName::Kvm => format!("the specification of Linux {}", barkeep_sim::PROFILE),
        LaneName::Lab => {
            let version = image.and_then(barkeep_lab::kernel::version);
            version.unwrap_or_else(|| "one that does not say which it is".to_owned())
        }
        LaneName::Host => rustix::system::uname().release().to_string_lossy().into_owned(),
    }
}
