//! What the whole-system tests share. None of it uses a crate of Barkeep: what they write is
//! read here by eyes of its own.
#![allow(dead_code, reason = "every test uses a part of it")]

pub mod bench;
pub mod dummies;
pub mod gate;
pub mod inner;
pub mod journal;
pub mod main_job;
pub mod protobuf;
pub mod scenario;
pub mod storms;
pub mod tally;
pub mod traced;

/// Where the topology `nvme-edu` has its devices.
pub const NVME: &str = "0000:00:03.0";
pub const EDU: &str = "0000:00:04.0";
