//! Variables in compose files. Their values are not ours to know: neither the environment nor a
//! `.env` file is read, since the file is judged on one machine and run on another. A default in
//! the file counts; a variable without one stays as `${NAME}`, which everything downstream takes as
//! unknown.

/// How deep defaults may hold variables with defaults.
const MAX_DEPTH: usize = 16;

/// Replaces `${NAME:-default}` and `${NAME-default}` by the default, and `$$` by `$`; leaves
/// `${NAME}` for every other variable, `$NAME` and `${NAME:?message}` included.
pub(crate) fn interpolate(text: &str) -> String {
    if !text.contains('$') {
        return text.to_owned();
    }
    expand(text, 0)
}

fn expand(text: &str, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let Some(end) = closing(inner) else {
                out.push_str(&rest[start..]);
                return out;
            };
            out.push_str(&braced(&inner[..end], depth));
            rest = &inner[end + 1..];
        } else {
            let end = name_length(after);
            if end == 0 {
                out.push('$');
            } else {
                out.push_str(&format!("${{{}}}", &after[..end]));
            }
            rest = &after[end..];
        }
    }
    out.push_str(rest);
    out
}

/// What stands for `${inner}`.
fn braced(inner: &str, depth: usize) -> String {
    let (name, tail) = inner.split_at(name_length(inner));
    let default = tail.strip_prefix(":-").or_else(|| tail.strip_prefix('-'));
    match default {
        Some(default) if depth < MAX_DEPTH => expand(default, depth + 1),
        _ => format!("${{{name}}}"),
    }
}

/// Where the brace closes, counting nested ones.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(index),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn name_length(text: &str) -> usize {
    text.bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_taken_and_the_rest_stays_a_variable() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${A:-/run}", "/run"),
            ("${A-/run}:/x", "/run:/x"),
            ("${A:-${B:-/etc}}/x", "/etc/x"),
            ("${A}/x", "${A}/x"),
            ("$A/x", "${A}/x"),
            ("${A:?say where}", "${A}"),
            ("${A:+set}", "${A}"),
            ("$$A", "$A"),
            ("${A", "${A"),
            ("cost: 5$", "cost: 5$"),
            ("${A:-}", ""),
        ] {
            assert_eq!(interpolate(text), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_of_defaults_ends() {
        let text = format!("{}x{}", "${A:-".repeat(10_000), "}".repeat(10_000));
        assert!(interpolate(&text).len() <= text.len());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_interpolated_without_a_panic(text in "[${}:A-é]{0,40}") {
            let _ = interpolate(&text);
        }
    }
}
