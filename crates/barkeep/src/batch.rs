//! Several runs in one boot of the lab. Inside, each is a process and a VM of its own, one after the
//! other; outside, the one stream of events is parted again, and each run has its own journal,
//! checker and verdict.

pub mod inside;
pub mod list;
pub mod outside;
mod part;
