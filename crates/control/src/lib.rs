//! The control socket's protocol, without a socket: what a line asks for ([`Request`]), what is answered
//! ([`Answer`]), and whose turn it is on a connection ([`Connection`]).
//!
//! One JSON object is one line, either way. The VMM speaks first ([`Greeting`]); then each request has one
//! answer, in the order of the requests. Whatever else arrives is refused with an answer that says why
//! ([`Refusal`]), and costs a bounded amount of memory.

mod answer;
mod connection;
mod lines;
mod listing;
mod object;
mod refusal;
mod request;

pub use answer::{Answer, BadAnswer, Done, Greeting};
pub use connection::Connection;
pub use listing::{Device, DeviceState, GuestState, Listing, Window};
pub use refusal::{Refusal, RefusalKind};
pub use request::{Command, Request};

/// The protocol's version.
pub const VERSION: u64 = 1;
/// The longest request, in bytes, without its newline.
pub const LINE_LIMIT: usize = 4096;
/// The longest answer a client has to take, in bytes, without its newline.
pub const ANSWER_LIMIT: usize = 1 << 20;
/// Above the largest number a request may carry as its `id`: up to there every reader of JSON keeps it.
pub const ID_END: u64 = 1 << 53;
