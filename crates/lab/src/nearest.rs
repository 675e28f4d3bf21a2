//! "Did you mean": the known word nearest to a mistyped one.

/// The candidate nearest to `word`, `None` where nothing is near enough to be meant.
pub(crate) fn nearest<S: AsRef<str>>(word: &str, candidates: impl IntoIterator<Item = S>) -> Option<String> {
    let measured = candidates.into_iter().map(|c| (strsim::damerau_levenshtein(word, c.as_ref()), c));
    let (distance, candidate) = measured.min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.len() / 3).max(2)).then(|| candidate.as_ref().to_owned())
}

/// `message`, with the suggestion if there is one.
pub(crate) fn with_suggestion(message: String, suggestion: Option<String>) -> String {
    match suggestion {
        Some(word) => format!("{message}; did you mean `{word}`?"),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("modle", ["name", "model"]).as_deref(), Some("model"));
        assert_eq!(nearest("zzzzzz", ["name", "model"]), None);
        assert_eq!(nearest("x", Vec::<String>::new()), None);
    }
}
