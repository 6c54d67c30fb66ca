//! Cutting text without cutting a character in two.

/// The last place in `text` at or before `at` where a character begins, or its end.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// At most `limit` bytes of the beginning of `text`.
pub(crate) fn head(text: &str, limit: usize) -> &str {
    &text[..boundary(text, limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut_in_two() {
        for (limit, kept) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aé"),
            (4, "aéz"),
            (99, "aéz"),
        ] {
            assert_eq!(head("aéz", limit), kept);
        }
    }
}
