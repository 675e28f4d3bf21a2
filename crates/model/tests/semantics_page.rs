//! The page and the specification say the same.

const PAGE: &str = include_str!("../../../docs/semantics.md");
const BEGIN: &str = "<!-- printed by `cargo run -p barkeep-model --example semantics` -->\n";
const END: &str = "<!-- end of what is printed -->\n";

#[test]
fn the_page_shows_the_table_as_it_is() {
    let (_, rest) = PAGE.split_once(BEGIN).expect("the beginning is marked");
    let (table, _) = rest.split_once(END).expect("the end is marked");
    assert!(
        table == barkeep_model::semantics::markdown(),
        "docs/semantics.md is behind: put the output of `cargo run -p barkeep-model --example semantics` \
         between its marks"
    );
}
