//! What looks like a secret, whoever's it is.

/// Parts of a member's or field's name, without separators and case, that say its value is secret.
const NAMES: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "credential",
    "authorization",
    "cookie",
    "sessionid",
    "connectionstring",
    "databaseurl",
    "jwt",
];

/// Names that contain one of [`NAMES`] and say nothing secret.
const HARMLESS: [&str; 14] = [
    "tokentype",
    "tokenendpoint",
    "tokenurl",
    "maxtokens",
    "tokencount",
    "tokenformat",
    "tokensused",
    "totaltokens",
    "prompttokens",
    "completiontokens",
    "passwordpolicy",
    "tokenexpires",
    "tokenexpiry",
    "tokenlifetime",
];

/// Beginnings of keys that issuers made recognizable, and how many characters follow at least.
const PREFIXES: [(&str, usize); 12] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("AIza", 30),
    ("sk-", 24),
    ("hvs.", 20),
];

/// Whether a member or header field of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let bare: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    NAMES.iter().any(|part| bare.contains(part)) && !HARMLESS.iter().any(|part| bare.contains(part))
}

/// Replaces private keys, JWTs, bearer credentials, known kinds of keys, password hashes, and the
/// values of members whose name says that they are secret.
pub(super) fn replace(text: &str) -> String {
    let text = private_keys(text);
    let text = words(&text);
    members(&text)
}

fn private_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let (before, block) = rest.split_at(start);
        out.push_str(before);
        let label_end = block["-----BEGIN ".len()..]
            .find("-----")
            .map_or(block.len(), |at| at + 11);
        if !block[..label_end].contains("PRIVATE KEY") {
            out.push_str(&block[..label_end]);
            rest = &block[label_end..];
            continue;
        }
        out.push_str("[private key]");
        // Without an end everything that follows may be the key.
        rest = match block.find("-----END ") {
            Some(end) => {
                let tail = &block[end + "-----END ".len()..];
                tail.find("-----").map_or("", |at| &tail[at + 5..])
            }
            None => "",
        };
    }
    out.push_str(rest);
    out
}

/// Replaces single words: JWTs, keys with a known beginning, crypt(3) hashes, what follows
/// `Bearer`.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_scheme = false;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if after_scheme && word.len() >= 8 {
            out.push_str("[redacted]");
        } else {
            out.push_str(&word_without_secrets(word));
        }
        after_scheme = word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic");
        let skip = after.find(is_word).unwrap_or(after.len());
        let gap = &after[..skip];
        after_scheme &= !gap.is_empty() && gap.chars().all(|c| matches!(c, ' ' | '+'));
        out.push_str(gap);
        rest = &after[skip..];
    }
    out
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | '$' | '/' | '~')
}

fn word_without_secrets(word: &str) -> String {
    if let Some(at) = word.find("eyJ") {
        let tail = &word[at..];
        let length = tail.find(['/', '$', '~']).unwrap_or(tail.len());
        if length >= 12 {
            return format!("{}[jwt]{}", &word[..at], &tail[length..]);
        }
    }
    for (prefix, least) in PREFIXES {
        if let Some(at) = word.find(prefix)
            && (at == 0 || !word.as_bytes()[at - 1].is_ascii_alphanumeric())
            && word.len() - at - prefix.len() >= least
        {
            return format!("{}{prefix}[redacted]", &word[..at]);
        }
    }
    // `$6$salt$hash`, RFC-less but universal: crypt(5).
    let mut parts = word.split('$');
    if let (Some(_), Some(kind), Some(_), Some(hash)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
        && !kind.is_empty()
        && hash.len() >= 8
        && let Some(at) = word.find('$')
    {
        return format!("{}${kind}$[redacted]", &word[..at]);
    }
    word.to_owned()
}

/// Replaces the values of members with a secret name: `"password": "x"`, `password=x`, and
/// `password: x` at the beginning of a line.
fn members(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut line_start = true;
    while let Some(start) = rest.find(is_name) {
        let gap = &rest[..start];
        out.push_str(gap);
        if gap.contains('\n') {
            line_start = true;
        }
        line_start &= gap
            .rsplit('\n')
            .next()
            .is_some_and(|indent| indent.chars().all(|c| matches!(c, ' ' | '\t' | '-')));
        let tail = &rest[start..];
        let end = tail.find(|c| !is_name(c)).unwrap_or(tail.len());
        let (name, after) = tail.split_at(end);
        out.push_str(name);
        rest = after;
        if is_secret_name(name)
            && let Some((gap, value)) = value_of(after, line_start)
        {
            out.push_str(&after[..gap]);
            let value_text = &after[gap..gap + value];
            if value_text.starts_with('[') && !value_text.starts_with("[\"") {
                // A placeholder stands there already.
                out.push_str(value_text);
            } else {
                out.push_str("[redacted]");
            }
            rest = &after[gap + value..];
        }
        line_start = false;
    }
    out.push_str(rest);
    out
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.')
}

/// Where the value of a member begins and how long it is, `after` being what follows its name.
fn value_of(after: &str, line_start: bool) -> Option<(usize, usize)> {
    let bytes = after.as_bytes();
    let mut at = 0;
    let skip = |at: &mut usize, set: &[u8]| {
        let from = *at;
        while bytes.get(*at).is_some_and(|byte| set.contains(byte)) {
            *at += 1;
        }
        *at - from
    };
    // The quote that closes the name, escaped when the JSON stands in a JSON string.
    let closed = skip(&mut at, b"\\\"'") > 0;
    skip(&mut at, b" \t");
    let equals = match bytes.get(at)? {
        b'=' => true,
        b':' => false,
        // A query member in a text that was encoded once more.
        b'%' if after[at..].starts_with("%3D") || after[at..].starts_with("%3d") => {
            at += 2;
            true
        }
        _ => return None,
    };
    at += 1;
    skip(&mut at, b" \t\r\n");
    if bytes.get(at) == Some(&b'[') {
        // A list of secrets goes as a whole; a placeholder is one, too.
        let end = after[at..].find(']')? + 1;
        return Some((at, end));
    }
    let quote_start = at;
    skip(&mut at, b"\\");
    if let Some(quote @ (b'"' | b'\'')) = bytes.get(at) {
        let escapes = at - quote_start;
        at += 1;
        let from = at;
        while let Some(byte) = bytes.get(at) {
            if byte == quote {
                let backslashes = after[from..at]
                    .bytes()
                    .rev()
                    .take_while(|b| *b == b'\\')
                    .count();
                if backslashes <= escapes {
                    let end = at - backslashes;
                    return (end > from).then_some((from, end - from));
                }
            }
            at += 1;
        }
        return (at > from).then_some((from, at - from));
    }
    if !equals && !line_start && !closed {
        // `invalid token: expired` is prose.
        return None;
    }
    let from = quote_start;
    let length = after[from..]
        .find(|c: char| {
            c.is_whitespace() || matches!(c, '&' | ',' | ';' | '"' | '\'' | '}' | '<' | '\\')
        })
        .unwrap_or(after.len() - from);
    let value = &after[from..from + length];
    let says_nothing = matches!(value, "" | "null" | "true" | "false" | "{" | "|" | ">");
    (!says_nothing && !value.starts_with('{')).then_some((from, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_members_go_and_the_rest_stays() {
        for (text, clean) in [
            (
                r#"{"password": "hunter2", "a": "b"}"#,
                r#"{"password": "[redacted]", "a": "b"}"#,
            ),
            (
                r#"{"Env":["DB_PASSWORD=hunter2","PATH=/bin"]}"#,
                r#"{"Env":["DB_PASSWORD=[redacted]","PATH=/bin"]}"#,
            ),
            (
                r#"{"x":"{\"api_key\":\"k1\",\"b\":1}"}"#,
                r#"{"x":"{\"api_key\":\"[redacted]\",\"b\":1}"}"#,
            ),
            (
                "password: hunter2\nuser: x",
                "password: [redacted]\nuser: x",
            ),
            ("/x?access_token=abc&b=c", "/x?access_token=[redacted]&b=c"),
            (
                r#"{"token": null, "max_tokens": 5}"#,
                r#"{"token": null, "max_tokens": 5}"#,
            ),
            (
                r#"{"tokens": ["a","b"], "c": 1}"#,
                r#"{"tokens": [redacted], "c": 1}"#,
            ),
            (
                r#"{"error": "invalid token: expired"}"#,
                r#"{"error": "invalid token: expired"}"#,
            ),
            (
                "Authorization: Bearer abcdefgh",
                "Authorization: [redacted] [redacted]",
            ),
            ("a Bearer abcdefghijk b", "a Bearer [redacted] b"),
            ("x eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.abc y", "x [jwt] y"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA[redacted]"),
            ("root:$6$salt$abcdefghijkl:1:", "root:$6$[redacted]:1:"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nz",
                "[private key]\nz",
            ),
            (
                "-----BEGIN PUBLIC KEY-----\nabc",
                "-----BEGIN PUBLIC KEY-----\nabc",
            ),
        ] {
            assert_eq!(replace(text), clean);
        }
    }

    #[test]
    fn names_are_judged_without_case_and_separators() {
        for name in [
            "X-Api-Key",
            "client_secret",
            "userPassword",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["name", "token_type", "key", "author"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
