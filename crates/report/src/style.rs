//! Plain or coloured lines of bounded width.

/// Columns a line takes at the most.
pub const WIDTH: usize = 110;

/// How lines are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    #[default]
    Plain,
    /// With the colours of a terminal.
    Ansi,
}

/// What a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Quiet,
    /// Worth a look.
    Notice,
    /// Wrong.
    Bad,
    /// Right.
    Good,
}

impl Style {
    /// A line of this meaning.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let colour = match (self, tone) {
            (Self::Plain, _) | (Self::Ansi, Tone::Quiet) => return text.to_owned(),
            (Self::Ansi, Tone::Notice) => 33,
            (Self::Ansi, Tone::Bad) => 31,
            (Self::Ansi, Tone::Good) => 32,
        };
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

/// A text in one line of at most so many columns; what was cut shows as `…`. Control
/// characters (of a kernel's log, of a guest) do not reach the terminal.
pub fn fit(text: &str, width: usize) -> String {
    let mut clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(width + 1).collect();
    if clean.chars().count() > width {
        clean = clean.chars().take(width.saturating_sub(1)).collect();
        clean.push('…');
    }
    clean
}

/// A text in lines of at most so many columns, cut between words where there are any.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = fit(word, width.max(1) * 8);
        loop {
            let line = lines.last_mut().expect("never empty");
            let space = usize::from(!line.is_empty());
            let room = width.saturating_sub(line.chars().count() + space);
            if word.chars().count() <= room {
                line.push_str(&" "[..space]);
                line.push_str(&word);
                break;
            }
            if line.is_empty() {
                let rest =
                    word.split_off(word.char_indices().nth(width.max(1)).map_or(word.len(), |(at, _)| at));
                line.push_str(&word);
                word = rest;
            }
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_shows_that_it_was_cut() {
        assert_eq!((fit("ab\x1b[31m\ncd", 20), fit("abcdef", 4)), ("ab [31m cd".into(), "abc…".into()));
    }

    #[test]
    fn words_are_wrapped_and_long_ones_cut() {
        assert_eq!(wrap("one two  three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn colours_only_if_asked() {
        assert_eq!(Style::Plain.paint(Tone::Bad, "x"), "x");
        assert_eq!(Style::Ansi.paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
