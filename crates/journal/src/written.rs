//! Where somebody outside of the machine stops it: after an event was written, and before anything else is done.

/// Is come to after an event whose place the journal's header names ([`crate::layout::header::STOP_AFTER`]), in the
/// thread that wrote it. It does nothing: a debugger that has a breakpoint here stops the run there. Whether to come
/// here is asked after each event, in every run: up to there it is the same run, to the nanosecond of counted
/// instructions.
#[inline(never)]
pub fn stopped(number: u64) {
    std::hint::black_box(number);
}

/// Where [`stopped`] is in this process.
pub fn address() -> u64 {
    stopped as fn(u64) as usize as u64
}
