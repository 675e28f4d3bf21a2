//! What is said of the triggers, as text: what `docs/semantics.md` shows is printed from here.

use crate::trigger::{Trigger, Words};
use std::fmt::Write;

/// One heading and one table for each trigger.
pub fn markdown() -> String {
    let mut text = String::new();
    for trigger in Trigger::ALL {
        let Words { name, what, kernel, guest, barkeep } = trigger.words();
        let _ = write!(
            text,
            "\n### {name}: {what}\n\n\
             | | |\n|---|---|\n\
             | the kernel | {kernel} |\n\
             | the guest sees | {guest} |\n\
             | Barkeep | {barkeep} |\n\
             | shown by | `barkeep matrix --trigger {name}` |\n"
        );
    }
    text
}

/// A line for each, for the command line.
pub fn list() -> String {
    Trigger::ALL.into_iter().fold(String::new(), |mut text, trigger| {
        let Words { name, what, .. } = trigger.words();
        let _ = writeln!(text, "{name:<17}{what}");
        text
    })
}
