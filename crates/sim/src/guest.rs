//! The guest without a CPU: the probe's commands, carried out access by access over a
//! [`barkeep_platform::Board`], in virtual time.
//!
//! There is one thread. Whoever waits (a reset's 100 ms in the kernel, a scenario's pause) waits
//! on the [`Timeline`], which meanwhile lets go on whatever else can: the other vCPUs, and what
//! was planned for then. Which of several comes next is drawn from a seed, so a run can be had
//! again, and another seed is another interleaving.
//!
//! * [`timeline`]: the clock, what is due when, and who goes on while others wait.
//! * [`slots`]: memory slots over whatever a window's memory is.
//! * [`vcpus`]: the CPUs: RAM, slots or the bus, and what they do when memory is not there.
//! * [`world`]: all of it as the world of a scenario.

pub mod slots;
pub mod timeline;
pub mod vcpus;
pub mod world;

pub use slots::{Mapping, Slots, WindowMemory};
pub use timeline::{Others, Timeline};
pub use vcpus::Guest;
pub use world::SimWorld;
