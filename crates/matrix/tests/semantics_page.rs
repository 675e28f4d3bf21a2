//! The page and the triggers say the same.

const PAGE: &str = include_str!("../../../docs/semantics.md");
const BEGIN: &str = "<!-- printed by `cargo run -p barkeep-matrix --example triggers` -->\n";
const END: &str = "<!-- end of the triggers -->\n";

#[test]
fn the_page_says_of_each_trigger_what_is_said_here() {
    let (_, rest) = PAGE.split_once(BEGIN).expect("the beginning is marked");
    let (triggers, _) = rest.split_once(END).expect("the end is marked");
    assert!(
        triggers == barkeep_matrix::semantics::markdown(),
        "docs/semantics.md is behind: put the output of `cargo run -p barkeep-matrix --example triggers` between \
         its marks"
    );
}
