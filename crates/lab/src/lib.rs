//! The full-system emulator: boots the running executable as PID 1 on a real kernel inside
//! QEMU, and brings its journal and files out.
//!
//! Outside, [`run`] puts kernel, initramfs and topology together, starts QEMU and reads the
//! journal from shared memory while it is written. Inside, a `main` that finds
//! [`inner::is_lab_init`] true calls [`inner::init_main`], which binds the topology's devices
//! and runs the inner command as a child.
//!
//! In virtual time, the default, a run depends on nothing outside: two runs of the same
//! command give the same journal, byte for byte.

mod boot_drivers;
mod child;
mod command_line;
pub mod config;
mod console;
mod cpio;
pub mod disk;
mod elf;
pub mod emulator;
pub mod error;
mod gdb;
mod hang;
mod initramfs;
pub mod inner;
mod inside;
pub mod kernel;
mod listen;
pub mod noise;
mod outcome;
mod parcel;
mod payload;
pub mod results;
mod run;
mod scratch;
mod signals;
mod stepped;
mod symbols;
pub mod topology;
mod topology_rules;
pub mod ward;

pub use command_line::shell_quoted;
pub use config::{print_config, required_options};
pub use error::LabError;
pub use initramfs::{Carried, InitramfsError, guest_initrd};
pub use outcome::Outcome;
pub use run::{Request, dry_run, run};
pub use stepped::{StepError, Stepped};
pub use topology::{Topology, TopologyError};
