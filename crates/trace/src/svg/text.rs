//! Text inside of XML.

/// Units of a character, of the fonts there may be the widest.
const CHARACTER: f64 = 5.4;

/// As XML wants it. Characters that XML has no place for are gone.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            // https://www.w3.org/TR/xml/#charsets
            '\u{fffe}' | '\u{ffff}' => {}
            c if c < ' ' => {}
            c => out.push(c),
        }
    }
    out
}

/// As much of a text as there is room for; nothing where that would say nothing.
pub(super) fn fitting(text: &str, width: f64) -> String {
    let room = (width / CHARACTER).max(0.0) as usize;
    let length = text.chars().count();
    match (length <= room, room) {
        (true, _) => text.to_owned(),
        (false, 0..4) => String::new(),
        (false, _) => text.chars().take(room - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(escaped("a<b>&\"\u{1}\n\u{ffff}c"), "a&lt;b&gt;&amp;&quot; c");
    }

    #[test]
    fn what_does_not_fit_shows_that_it_was_cut() {
        assert_eq!(fitting("withdraw", 100.0), "withdraw");
        assert_eq!(fitting("withdraw slot", 42.0), "withdr…");
        assert_eq!((fitting("withdraw", 20.0), fitting("map", 18.0)), (String::new(), "map".to_owned()));
    }
}
