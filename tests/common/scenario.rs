//! Scenarios made of lines: shorter than the shipped ones where a test needs only a part.

/// A scenario with these actions, each a line as `do = "flr", device = "nvme"`. It names no
/// topology.
pub fn of(name: &str, actions: &[&str]) -> String {
    let actions: String =
        actions.iter().map(|action| format!("[[action]]\n{}\n", action.replace("; ", "\n"))).collect();
    format!("version = 1\nname = \"{name}\"\n{actions}")
}

/// A DMA of `pattern` by edu into the NVMe's memory.
pub fn dma(pattern: u32, expect: &str) -> String {
    format!(
        "do = \"dma\"; engine = \"edu\"; to = {{ device = \"nvme\", bar = 2 }}; pattern = {pattern:#x}; \
         expect = \"{expect}\""
    )
}
