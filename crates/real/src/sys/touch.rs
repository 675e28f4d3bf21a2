//! A CPU's access of 4 bytes, or a write of 8, that ends in an answer where the kernel sends SIGBUS.
//!
//! The kernel's own copies (a `read` or `write` with the BAR as its buffer) would answer EFAULT
//! without a handler, but they move 4 bytes one by one, which registers do not stand; and an
//! access by a CPU is what the operation is about. So the access is one known instruction, and
//! the handler of SIGBUS goes on behind it if it was that one.

use barkeep_model::Errno;
use libc::{REG_RIP, SIG_DFL, SIGBUS, c_int, c_void, siginfo_t, ucontext_t};
use std::arch::global_asm;
use std::sync::OnceLock;
use vmm_sys_util::signal::register_signal_handler;

// System V calling convention: the address is in rdi; 0 or 1 is returned in eax.
global_asm!(
    ".pushsection .text.barkeep_touch, \"ax\", @progbits",
    "barkeep_touch_read:",
    "    mov eax, dword ptr [rdi]",
    "    mov dword ptr [rsi], eax",
    "    xor eax, eax",
    "    ret",
    "barkeep_touch_write:",
    "    mov dword ptr [rdi], esi",
    "    xor eax, eax",
    "    ret",
    "barkeep_touch_write_wide:",
    "    mov qword ptr [rdi], rsi",
    "    xor eax, eax",
    "    ret",
    "barkeep_touch_failed:",
    "    mov eax, 1",
    "    ret",
    ".popsection",
);

unsafe extern "C" {
    fn barkeep_touch_read(address: usize, value: *mut u32) -> u32;
    fn barkeep_touch_write(address: usize, value: u32) -> u32;
    fn barkeep_touch_write_wide(address: usize, value: u64) -> u32;
    fn barkeep_touch_failed();
}

/// Reads 4 bytes.
///
/// # Safety
/// `address` to `address + 4` is mapped, readable, and no memory Rust knows of.
pub(super) unsafe fn read(address: usize) -> Result<u32, Errno> {
    watch()?;
    let mut value = 0;
    // SAFETY: the caller's; a SIGBUS is answered by `on_bus_error`, which `watch` put there.
    match unsafe { barkeep_touch_read(address, &raw mut value) } {
        0 => Ok(value),
        _ => Err(Errno::EFAULT),
    }
}

/// Writes 4 bytes.
///
/// # Safety
/// As [`read`], and writeable.
pub(super) unsafe fn write(address: usize, value: u32) -> Result<(), Errno> {
    watch()?;
    // SAFETY: as in `read`.
    match unsafe { barkeep_touch_write(address, value) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Writes 8 bytes at once, as a register of 64 bits wants it.
///
/// # Safety
/// `address` to `address + 8` is mapped, writeable, and no memory Rust knows of.
pub(super) unsafe fn write_wide(address: usize, value: u64) -> Result<(), Errno> {
    watch()?;
    // SAFETY: as in `read`.
    match unsafe { barkeep_touch_write_wide(address, value) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Has SIGBUS come to [`on_bus_error`], once for the process.
fn watch() -> Result<(), Errno> {
    static WATCHED: OnceLock<Result<(), Errno>> = OnceLock::new();
    *WATCHED.get_or_init(|| {
        register_signal_handler(SIGBUS, on_bus_error).map_err(|error| Errno::from_number(error.errno()))
    })
}

/// Goes on at `barkeep_touch_failed` if one of the three accesses was it; they are the first
/// instruction of their function, so nothing of a frame is to be undone.
extern "C" fn on_bus_error(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    let accesses = [
        barkeep_touch_read as *const () as i64,
        barkeep_touch_write as *const () as i64,
        barkeep_touch_write_wide as *const () as i64,
    ];
    // SAFETY: with SA_SIGINFO the kernel passes a `ucontext_t` that is the handler's alone.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let at = &mut registers[REG_RIP as usize];
    if accesses.contains(at) {
        *at = barkeep_touch_failed as *const () as i64;
    } else {
        // Somebody else's: the access is repeated on return, and ends the process as ever.
        // SAFETY: `signal` may be called in a handler.
        unsafe { libc::signal(SIGBUS, SIG_DFL) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memory::Mapping;
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use std::fs::File;

    /// A file that is shorter than its mapping: an access behind its end is SIGBUS.
    #[test]
    fn an_access_behind_the_end_is_an_answer() {
        let file = File::from(memfd_create("touch", MemfdFlags::CLOEXEC).unwrap());
        ftruncate(&file, 0x1000).unwrap();
        let mapping = Mapping::new(&file, 0, 0x2000).unwrap();
        for _ in 0..2 {
            assert_eq!(mapping.read(0x1000), Err(Errno::EFAULT));
            assert_eq!(mapping.write(0x1ffc, 1), Err(Errno::EFAULT));
            assert_eq!(mapping.write_wide(0x1ff8, 1), Err(Errno::EFAULT));
        }
        mapping.write(0xffc, 0x1234_5678).unwrap();
        assert_eq!(mapping.read(0xffc), Ok(0x1234_5678));
        assert_eq!(mapping.read(0xffa), Ok(0x5678_0000));
        mapping.write_wide(0xff8, 0x1122_3344_5566_7788).unwrap();
        assert_eq!((mapping.read(0xff8), mapping.read(0xffc)), (Ok(0x5566_7788), Ok(0x1122_3344)));
        ftruncate(&file, 0x2000).unwrap();
        assert_eq!(mapping.read(0x1000), Ok(0));
    }
}
