//! What Linux does on the vfio-pci dma-buf export path, as a specification that runs.
//!
//! | module | specifies |
//! |---|---|
//! | [`kernel`] | the kernel's state and calls; inside it one module for each C file, named after it |
//! | [`rule`] | every decision that user space can see: the rows of `docs/semantics.md` |
//! | [`profile`] | in what kernel versions differ |
//! | [`abilities`] | in what kernels of one version differ |
//! | [`hardware`] | the machine it runs on: facts that no call changes |
//! | [`op`] | the language in which it and a real kernel are asked the same |
//! | [`process`] | a process that owns descriptors, for that language |
//!
//! Nothing here does I/O or needs Linux. What is not specified: time beyond what the kernel sleeps,
//! memory that runs out, interrupts, what a device's own registers do.
//!
//! ```
//! use barkeep_model::{Answer, Errno, Hardware, Op, Process, Profile, Subject};
//! use barkeep_model::hardware::{BusReset, Device};
//!
//! let mut image = [0; 256];
//! image[..4].copy_from_slice(&[0x36, 0x1b, 0x10, 0x00]);
//! let device = Device {
//!     name: "memory".into(),
//!     config: Device::digits(&image),
//!     bar_sizes: [0x1000, 0, 0, 0, 0, 0],
//!     bar_addresses: [0xfe00_0000, 0, 0, 0, 0, 0],
//!     mappable: [true, false, false, false, false, false],
//!     virtual_function: false,
//!     reset_methods: vec![],
//!     set: 0,
//!     bus_reset: BusReset::RootBus,
//!     memory_bar: Some(0),
//!     watched: vec![0],
//!     engine: false,
//!     no_d3: false,
//!     wakes_whole: false,
//!     extra_reset_ns: 0,
//!     reset_fails: false,
//! };
//! let mut process = Process::new(&Hardware { devices: vec![device] }, Profile::V7_3)?;
//! let mut ask = |op| process.apply(&op);
//! ask(Op::Open { device: 0, context: 0, file: 0 });
//! ask(Op::Export { file: 0, region: 0, ranges: vec![(0, 0x1000)], flags: 0, buffer: 0 });
//! // Memory decode off: revoked, and whoever wants to import is refused.
//! ask(Op::ConfigWrite { file: 0, offset: 4, width: 2, value: 0 });
//! let source = barkeep_model::Source::Buffer(0);
//! let map = Op::Map { space: 0, source, start: 0, length: 0x1000, iova: 0x2000_0000 };
//! assert_eq!(ask(map), Answer::Failed(Errno::ENODEV));
//! # Ok::<(), barkeep_pci::layout::LayoutError>(())
//! ```

pub mod abilities;
pub mod errno;
pub mod hardware;
pub mod kernel;
pub mod op;
pub mod process;
pub mod profile;
pub mod rule;
pub mod semantics;

pub use abilities::Abilities;
pub use errno::Errno;
pub use hardware::Hardware;
pub use kernel::Kernel;
pub use op::{Answer, Op, Seen, Source, Subject};
pub use process::{Class, Process};
pub use profile::Profile;
pub use rule::{Rule, RuleSet};
