//! The control socket of a VM that runs: requests come in on the event loop, which never waits for one. What may
//! take its time (a reset takes up to a minute) is done by a thread for each device.

mod desk;
mod endpoint;
mod hands;
mod listing;

pub use desk::Desk;
pub use endpoint::Endpoint;

use crate::exit::UsageExt;
use std::path::Path;

/// The socket at this path, if one was asked for. To be made before anything is opened: where another VMM
/// listens, nothing has been done yet.
///
/// # Errors
/// Another VMM listens there, something else is there, or the path cannot be had.
pub fn listen(path: Option<&Path>) -> anyhow::Result<Option<Endpoint>> {
    let Some(path) = path else { return Ok(None) };
    let listening = Endpoint::listen(path);
    listening.map(Some).usage(format!("no control socket at {}", path.display()))
}
