//! The semantics table as text: what `docs/semantics.md` shows is printed from the rules.

use crate::rule::{Area, Rule};
use std::fmt::Write;

/// The table, one heading and one Markdown table an area.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    let mut area: Option<Area> = None;
    for rule in Rule::ALL {
        if area != Some(rule.area()) {
            area = Some(rule.area());
            let _ = write!(text, "\n### {}\n\n", rule.area().title());
            text.push_str("| when | what happens | decided in | seen in | rule |\n|---|---|---|---|---|\n");
        }
        let (when, then, source) = (rule.when(), rule.then(), rule.source());
        let _ =
            writeln!(text, "| {when} | {then} | `{source}` | {} | {} |", rule.reach().words(), rule.name());
    }
    text
}
