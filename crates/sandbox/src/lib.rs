//! What a VMM keeps once it is set up, and before its guest's first instruction.
//!
//! 1. **No capability, and none to be had** ([`Sandbox::confine_process`]): what needs one (RAM that is pinned
//!    past the memory-lock limit, a thread's real-time priority) is done by then.
//! 2. **The process's filter**: system calls that nothing here makes are taken from all threads at once, those
//!    to come included.
//! 3. **The filter of a thread** on top of it ([`Sandbox::confine_thread`]): what runs on behalf of the guest
//!    is left the calls of its own work, ioctls by their numbers.
//!
//! A call that is not on the list ends the process, and the last line says which it was ([`violation`]).

mod calls;
mod descriptors;
mod filter;
pub mod limit;
mod names;
mod privileges;
pub mod violation;

pub use filter::{Mode, Role, Sandbox, SandboxError, shed_privileges};
