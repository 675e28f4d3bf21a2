//! A system call that a thread may not make: told, and the end.
#![allow(unsafe_code, reason = "a signal handler, and what the kernel hands it")]

use crate::names;
use std::io;

/// The status of a process that made a system call it may not make: 128 and the number of SIGSYS.
pub const STATUS: i32 = 128 + libc::SIGSYS;

/// Sets the handler of SIGSYS, which the kernel sends in place of the call (`SECCOMP_RET_TRAP`).
pub(crate) fn handle() -> io::Result<()> {
    // SAFETY: an all-zero sigaction is one; its handler is set below.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = tell as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    // SAFETY: `action` is whole and lives until the call returns; the handler does only what a handler may.
    match unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `si_syscall` of `struct siginfo`, in ints from its start (include/uapi/asm-generic/siginfo.h): behind three
/// ints, their padding and the address of the call.
const SYSCALL: usize = 6;

extern "C" fn tell(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a whole siginfo of 128 bytes to a handler with SA_SIGINFO.
    let number = unsafe { *info.cast::<i32>().add(SYSCALL) };
    // SAFETY: likewise a ucontext; what is read of it are plain integers.
    let arguments = unsafe {
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        [
            registers[libc::REG_RDI as usize],
            registers[libc::REG_RSI as usize],
            registers[libc::REG_RDX as usize],
        ]
    };
    let mut line = Line { bytes: [0; 256], length: 0 };
    line.text(b"barkeep: confined: thread ");
    line.thread();
    line.text(b" made the system call ");
    line.text(names::of(number.into()).as_bytes());
    line.text(b" (");
    line.number(number.unsigned_abs().into(), 10);
    line.text(b"), arguments");
    for argument in arguments {
        line.text(b" 0x");
        line.number(argument.cast_unsigned(), 16);
    }
    line.text(b", which it may not make; docs/interfaces.md, Confinement\n");
    // SAFETY: both are system calls on what lives here, and every filter has them.
    unsafe {
        libc::write(2, line.bytes.as_ptr().cast(), line.length);
        libc::_exit(STATUS)
    }
}

/// A line without an allocation: the thread may hold the allocator's lock.
struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn text(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn number(&mut self, mut number: u64, base: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdef"[(number % base) as usize];
            number /= base;
            if number == 0 || at == 0 {
                break;
            }
        }
        let digits = digits;
        self.text(&digits[at..]);
    }

    /// The thread's number: its name is asked for by a call that not every filter has.
    fn thread(&mut self) {
        // SAFETY: a system call without arguments, which every filter has.
        let number = unsafe { libc::syscall(libc::SYS_gettid) };
        self.number(number.unsigned_abs(), 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_out_and_a_line_never_overflows() {
        let mut line = Line { bytes: [0; 256], length: 0 };
        line.number(0, 10);
        line.text(b" ");
        line.number(u64::MAX, 16);
        line.text(b" ");
        line.number(u64::MAX, 10);
        assert_eq!(&line.bytes[..line.length], b"0 ffffffffffffffff 18446744073709551615");
        line.text(&[b'x'; 1000]);
        assert_eq!(line.length, 256);
    }
}
