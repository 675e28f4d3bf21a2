//! What this process may pin, and pages larger than most.

use crate::roots::{self, Roots};
use crate::row::Row;
use std::fmt;

/// Who has it, pins without a limit (`pages.c` of iommufd, `iopt_alloc_pages`).
const CAP_IPC_LOCK: u32 = 14;
const WHAT: &str = "memory lock";

/// Bytes, as people write them.
pub(crate) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 >= 1 << shift && self.0.trailing_zeros() >= *shift) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// How much memory this process may lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    None,
    Bytes(u64),
}

/// Guest memory is pinned whole, once for each I/O address space, and counts for the user, with whatever
/// else that user has pinned (`incr_user_locked_vm`).
pub(super) fn memory_lock(roots: &Roots, memory: u64) -> Row {
    if has_capability(roots, CAP_IPC_LOCK) {
        return Row::ok(WHAT, "without a limit (CAP_IPC_LOCK)");
    }
    match limit(roots) {
        None => Row::unknown(WHAT, "the limit cannot be read", "ulimit -l prints it, in KiB"),
        Some(Limit::None) => Row::ok(WHAT, "without a limit"),
        Some(Limit::Bytes(limit)) if limit >= memory => {
            Row::ok(WHAT, format!("{}, for a guest of {}", Bytes(limit), Bytes(memory)))
        }
        Some(Limit::Bytes(limit)) => Row::fail(
            WHAT,
            format!("{} may be locked, and a guest of {} is pinned whole", Bytes(limit), Bytes(memory)),
            format!(
                "as root `ulimit -l {}`; for good: memlock in /etc/security/limits.conf, LimitMEMLOCK= of systemd",
                memory.div_ceil(1024)
            ),
        ),
    }
}

fn limit(roots: &Roots) -> Option<Limit> {
    let limits = roots::text(&roots.proc.join("self/limits"))?;
    let rest = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(Limit::None),
        bytes => bytes.parse().ok().map(Limit::Bytes),
    }
}

fn has_capability(roots: &Roots, number: u32) -> bool {
    let status = roots::text(&roots.proc.join("self/status")).unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & 1 << number != 0)
}

/// Nothing needs them; a guest's memory on them has fewer translations to miss.
pub(super) fn huge_pages(roots: &Roots) -> Row {
    let pools = roots.sys.join("kernel/mm/hugepages");
    let pool = |name: &String| {
        let size = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok()? << 10;
        let count = |file| roots::number(&pools.join(name).join(file));
        Some((size, count("free_hugepages")?, count("nr_hugepages")?))
    };
    let mut found: Vec<_> = roots::names(&pools).iter().filter_map(pool).collect();
    found.sort_unstable();
    let pools = found.iter().map(|(size, free, all)| format!("{}: {free} of {all} free", Bytes(*size)));
    let transparent = roots::text(&roots.sys.join("kernel/mm/transparent_hugepage/enabled"));
    let chosen = transparent.as_deref().and_then(|modes| modes.split(['[', ']']).nth(1));
    let transparent = chosen.map(|mode| format!("transparent: {mode}"));
    let all: Vec<String> = pools.chain(transparent).collect();
    match all.is_empty() {
        true => Row::note("huge pages", "this kernel has none; nothing needs them"),
        false => Row::ok("huge pages", all.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::State;
    use crate::tree::Tree;

    #[test]
    fn the_limit_against_what_a_guest_needs() {
        let tree = Tree::new();
        let row = |memory| memory_lock(&tree.roots(), memory);
        assert_eq!(row(1).state, State::Unknown);
        tree.write("proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
        let limits =
            |limit| format!("Limit  Soft  Hard  Units\nMax locked memory         {limit}  {limit}  bytes\n");
        tree.write("proc/self/limits", limits("8388608"));
        assert_eq!(row(8 << 20).state, State::Ok);
        let short = row(512 << 20);
        assert_eq!(short.state, State::Fail);
        assert!(short.found.starts_with("8 MiB may be locked, and a guest of 512 MiB"), "{short:?}");
        assert!(short.cure.unwrap().contains("ulimit -l 524288"));
        tree.write("proc/self/limits", limits("unlimited"));
        assert_eq!(row(512 << 20).found, "without a limit");
        tree.write("proc/self/limits", limits("65536"));
        tree.write("proc/self/status", "CapEff:\t0000000000004000\n");
        assert_eq!(row(512 << 20).found, "without a limit (CAP_IPC_LOCK)");
    }

    #[test]
    fn pools_of_huge_pages() {
        let tree = Tree::new();
        assert_eq!(huge_pages(&tree.roots()).state, State::Note);
        for (size, all, free) in [("1048576", 2, 1), ("2048", 64, 60)] {
            tree.write(
                &format!("sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages"),
                format!("{all}\n"),
            );
            tree.write(
                &format!("sys/kernel/mm/hugepages/hugepages-{size}kB/free_hugepages"),
                format!("{free}\n"),
            );
        }
        tree.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
        let found = huge_pages(&tree.roots()).found;
        assert_eq!(found, "2 MiB: 60 of 64 free; 1 GiB: 1 of 2 free; transparent: madvise");
    }
}
