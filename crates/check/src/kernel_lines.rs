//! Which lines of a kernel's log are complaints about itself.
//!
//! Resets log "resetting" and "reset done", every dead DMA logs a DMAR line: those are what
//! was asked for. Upper and lower case are told apart: "ACPI BIOS Warning (bug)" and "MDS CPU
//! bug present" are about others.

/// What a line is a sign of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It begins a report of this.
    Headline(&'static str),
    /// It is the trace of a report.
    Trace,
    /// A report starts behind it, or has ended with it.
    Edge,
}

/// Where in a line a pattern stands.
#[derive(Clone, Copy)]
enum At {
    /// At its start, as printed by the kernel itself.
    Start,
    /// At the start of a word.
    Word,
}

use At::{Start, Word};

/// The first that fits names the report, so those that say more come first.
const HEADLINES: [(At, &str, &str); 45] = [
    (Word, "KASAN: ", "a KASAN error"),
    (Word, "KCSAN: ", "a data race (KCSAN)"),
    (Word, "KMSAN: ", "a KMSAN error"),
    (Word, "KFENCE: ", "a KFENCE error"),
    (Word, "UBSAN: ", "undefined behaviour (UBSAN)"),
    (Word, "possible circular locking", "a lock order (lockdep)"),
    (Word, "possible recursive locking", "a lock taken twice (lockdep)"),
    (Word, "possible irq lock inversion", "a lock order (lockdep)"),
    (Word, "inconsistent lock state", "an inconsistent lock state (lockdep)"),
    (Word, "inconsistent {", "an inconsistent lock state (lockdep)"),
    (Word, "irq-safe -> ", "a lock order (lockdep)"),
    (Word, "bad unlock balance", "an unlock without a lock (lockdep)"),
    (Word, "Invalid wait context", "an invalid wait context (lockdep)"),
    (Word, "lock held when returning to user space", "a lock kept (lockdep)"),
    (Word, "trying to register non-static key", "a lock that was not set up (lockdep)"),
    (Word, "suspicious RCU usage", "suspicious RCU usage"),
    (Word, "DEBUG_LOCKS_WARN_ON(", "a lockdep warning"),
    (Word, "refcount_t: ", "a reference count error"),
    (Word, "soft lockup", "a soft lockup"),
    (Word, "hard LOCKUP", "a hard lockup"),
    (Word, "workqueue lockup", "a workqueue lockup"),
    (Word, "blocked for more than", "a hung task"),
    (Word, "self-detected stall", "an RCU stall"),
    (Word, "detected stalls on", "an RCU stall"),
    (Word, "detected expedited stalls on", "an RCU stall"),
    (Word, "scheduling while atomic", "sleeping in atomic context"),
    (Word, "sleeping function called from invalid context", "sleeping in atomic context"),
    (Word, "NULL pointer dereference", "a NULL pointer dereference"),
    (Word, "unable to handle", "a page fault of its own"),
    (Word, "Unable to handle", "a page fault of its own"),
    (Word, "general protection", "a general protection fault"),
    (Word, "double fault", "a double fault"),
    (Word, "kernel BUG ", "a BUG"),
    (Word, "list_add corruption", "a corrupted list"),
    (Word, "list_del corruption", "a corrupted list"),
    (Word, "Bad page state", "a bad page"),
    (Word, "Bad rss-counter", "a bad memory count"),
    (Word, "suspected memory leaks", "memory leaks (kmemleak)"),
    (Word, "nobody cared", "an interrupt nobody handles"),
    (Word, "ODEBUG: ", "a misused object (debugobjects)"),
    (Word, "Kernel panic - not syncing", "a panic"),
    (Word, "BUG: ", "a BUG"),
    (Word, "Oops: ", "an oops"),
    (Start, "WARNING: ", "a WARN"),
    (Start, "Oops", "an oops"),
];

/// Lines between reports.
const EDGES: [&str; 3] = ["[ cut here ]", "---[ end trace", "</TASK>"];

/// What a line of the kernel's log is a sign of; `None` for nothing bad.
pub fn sign(line: &str) -> Option<Sign> {
    let line = without_caller(line.trim_start());
    let fits = |(at, pattern, _): &&(At, &str, &str)| match at {
        Start => line.starts_with(pattern),
        Word => has_word(line, pattern),
    };
    if EDGES.iter().any(|edge| line.contains(edge)) {
        return Some(Sign::Edge);
    }
    let headline = HEADLINES.iter().find(fits).map(|(_, _, what)| Sign::Headline(what));
    headline.or_else(|| line.starts_with("Call Trace:").then_some(Sign::Trace))
}

/// Whether a pattern is in a line and no letter or digit stands before it: DEBUG is no BUG.
fn has_word(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// A line without the `[ T123]` or `[ C0]` that `CONFIG_PRINTK_CALLER` puts before it.
fn without_caller(line: &str) -> &str {
    let caller = |inside: &str| {
        let inside = inside.trim();
        inside.starts_with(['T', 'C']) && inside.len() > 1 && inside[1..].bytes().all(|b| b.is_ascii_digit())
    };
    match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, rest)) if caller(inside) => rest.trim_start(),
        _ => line,
    }
}

#[cfg(test)]
#[path = "kernel_lines_test.rs"]
mod tests;
