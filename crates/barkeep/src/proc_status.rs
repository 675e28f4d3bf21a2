//! What the kernel says of this process's memory.

/// A field of `/proc/self/status` that is an amount of memory (proc_pid_status(5)), KiB; `None` where
/// the kernel does not tell it.
pub fn kib(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::kib;

    #[test]
    fn a_process_has_memory_and_nothing_that_is_no_field() {
        assert!(kib("VmHWM").is_some_and(|kib| kib > 0));
        assert_eq!(kib("VmH"), None);
        assert_eq!(kib("Name"), None, "no amount of memory");
    }
}
