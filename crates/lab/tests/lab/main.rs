//! The lab from outside: the smoke program, which is both its halves, run as a user runs it.

mod boot;
mod refusals;
mod support;
mod ward;
