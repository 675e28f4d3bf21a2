//! `barkeep conform`: the specification held to a real kernel.

mod boot;
pub mod inside;
mod outside;

pub use outside::conform;
