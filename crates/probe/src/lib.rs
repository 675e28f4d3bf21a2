// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#![doc = "The bare-metal probe guest: its image, its commands and its replies."]
//!
//! The probe is a guest of a few KiB that boots in milliseconds by PVH and needs no driver, no
//! initramfs and no floating point: an instruction emulator can run it. Its source is C and
//! assembly, in `guest-kernel/probe`; [`IMAGE`] is that, built.
//!
//! It has two modes. **Served**, each vCPU takes a [`Command`] from its [`mailbox`] page, carries
//! it out, leaves a reply and rings; [`Command::decode_reply`] makes a [`Reply`] of it.
//! **Alone**, under any VMM, it finds a BAR and a DMA engine by itself and prints a verdict; see
//! [`image`] for both command lines.
//!
//! [`simulated`] carries the same commands out without a CPU, an access at a time.
//!
//! Nothing here knows of KVM. A VMM that serves a vCPU does, on an exit for a write of
//! [`mailbox::DOORBELL_NEXT`] to [`mailbox::DOORBELL_PORT`]:
//!
//! 1. read [`mailbox::REPLY_WORDS`] words at [`mailbox::reply_address`]: the last command's reply
//!    (the first time [`mailbox::STATUS_BOOTED`], see [`reply::is_booted`]);
//! 2. wait for the next command, and write [`Command::encode`] to [`mailbox::request_address`];
//! 3. let the vCPU go on.
//!
//! [`mailbox::DOORBELL_EXCEPTION`] needs no answer, [`mailbox::DOORBELL_PANIC`] means that this
//! vCPU is lost. On KVM, `KVM_RUN` of a vCPU that waits for its start message ends with `EAGAIN`
//! once it has come: run it again.

pub mod command;
pub mod image;
pub mod mailbox;
pub mod reply;
pub mod simulated;

pub use command::{Command, DmaDirection, NotACommand, Width};
pub use image::{IMAGE, ServedOptions};
pub use reply::{HammerCounts, HammerViolation, Refusal, Reply, ScribbleCounts, Seen};
