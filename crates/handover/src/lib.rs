//! Two processes: an exporter opens a device and hands a window of its BAR over a Unix socket as a
//! dma-buf; an importer maps it for a device of its own, in an I/O address space of its own. Then
//! each gives up what it holds, or dies, in every order; after each step the importer's device does
//! a DMA, and what is seen is held to the specification.
//!
//! * [`step`]: what either can be told to do; an order of such steps.
//! * [`spec`]: both on `barkeep-model`: what can be done next, what must be seen.
//! * [`orders`]: which orders there are, by way of [`graph`].
//! * [`process`]: a process, as it runs; [`talk`] is how it is asked, [`children`] the two from outside.
//! * [`conductor`]: carries an order out and looks; [`outcome`] is what it saw.
//! * [`run`]: all of them.
//! * [`second`]: the importer alone, beside a VMM.
//! * [`window`]: which BAR of which device, and where it is mapped.

pub mod children;
pub mod conductor;
pub mod graph;
pub mod orders;
pub mod outcome;
pub mod process;
pub mod run;
pub mod second;
pub mod spec;
pub mod step;
pub mod talk;
#[cfg(test)]
mod test_machine;
pub mod window;
