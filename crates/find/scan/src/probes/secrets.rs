//! How a secret is known in what a service answers, and what only looks like one.

use crate::Jwt;
use serde_json::Value;

/// What kind of secret it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A token of a Kubernetes service account.
    ServiceAccountToken,
    /// An access key of Amazon with its secret part.
    CloudKey,
    /// A private key in PEM (RFC 7468).
    PrivateKey,
    /// The credentials of a registry, in the format of the Docker command line.
    RegistryCredentials,
    /// A password within the URL of a database or queue.
    ConnectionString,
    /// A variable whose name says that it is a secret.
    Variable,
    /// The password of an account, plain or hashed, in a list of accounts.
    AccountPassword,
}

impl Kind {
    /// What reports call it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Kind::ServiceAccountToken => "a Kubernetes service-account token",
            Kind::CloudKey => "a cloud access key with its secret",
            Kind::PrivateKey => "a private key",
            Kind::RegistryCredentials => "the credentials of a registry",
            Kind::ConnectionString => "a connection string with its password",
            Kind::Variable => "a variable that holds a secret",
            Kind::AccountPassword => "the password of an account",
        }
    }
}

/// A secret in an answer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leak {
    /// What kind it is.
    pub(crate) kind: Kind,
    /// Where it stands: the member or the variable.
    pub(crate) name: String,
    /// The secret itself. It must not leave the check.
    pub(crate) value: String,
}

impl Leak {
    /// What may be shown of it: kind, length, and the first four characters of a long one.
    pub(crate) fn redacted(&self) -> String {
        let count = self.value.chars().count();
        let start: String = match self.kind {
            // The beginning of these says something and gives nothing away.
            Kind::ServiceAccountToken | Kind::CloudKey => self.value.chars().take(4).collect(),
            _ => String::new(),
        };
        format!(
            "[{}, {count} characters{}{start}]",
            self.kind.label(),
            if start.is_empty() { "" } else { ", begins " }
        )
    }
}

/// Every secret in an answer: in the members of a JSON document, else in its lines.
pub(crate) fn leaks(body: &str, json: Option<&Value>) -> Vec<Leak> {
    let mut found = Vec::new();
    match json {
        Some(json) => {
            registry(json, &mut found);
            passwords(json, &mut found);
            for (pointer, leaf) in super::leaves(json) {
                if let Value::String(text) = leaf {
                    let name = pointer
                        .rsplit('/')
                        .find(|part| part.parse::<usize>().is_err())
                        .unwrap_or_default();
                    in_text(name, text, &mut found);
                    member(name, text, &mut found);
                }
            }
        }
        None => in_text("", body, &mut found),
    }
    // The secret part of a cloud key is one only beside the key.
    if has_access_key(body) {
        for leak in &mut found {
            if leak.kind == Kind::Variable
                && super::words(&leak.name).iter().any(|word| word == "secret")
                && leak.value.len() == 40
            {
                leak.kind = Kind::CloudKey;
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn in_text(name: &str, text: &str, found: &mut Vec<Leak>) {
    private_key(name, text, found);
    tokens(name, text, found);
    connection_strings(name, text, found);
    if text.trim_start().starts_with('{')
        && let Ok(json) = serde_json::from_str::<Value>(text)
    {
        registry(&json, found);
    }
    for line in text.lines() {
        let line = line.trim().trim_start_matches("export ");
        if let Some((variable, value)) = line.split_once('=')
            && !variable.is_empty()
            && variable
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        {
            member(variable, value.trim_matches(['"', '\'']), found);
        }
    }
}

/// A member or variable whose name says what it is.
fn member(name: &str, value: &str, found: &mut Vec<Leak>) {
    let plain =
        !value.contains("://") && !value.contains("-----BEGIN") && !value.contains([' ', '\n']);
    if is_secret_name(name) && plain && is_real(value) && Jwt::read(value).is_none() {
        found.push(Leak {
            kind: Kind::Variable,
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
}

/// Whether a name says that its value is a secret of a system, not of a form.
fn is_secret_name(name: &str) -> bool {
    let words = super::words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(&[
        "public", "file", "path", "url", "expires", "expiry", "ttl", "hash", "id", "name", "type",
    ]) {
        return false;
    }
    // A lone word is a member of a form or of an answer to a login; a system's has a subject.
    words.len() >= 2
        && (has(&[
            "password",
            "passwd",
            "secret",
            "secrets",
            "credential",
            "credentials",
            "apikey",
        ]) || has(&["key"])
            && has(&[
                "private",
                "secret",
                "signing",
                "access",
                "encryption",
                "api",
                "master",
            ])
            || has(&["token"]) && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

/// Whether a value looks like a secret that somebody made, and like no placeholder.
fn is_real(value: &str) -> bool {
    let lower = value.to_lowercase();
    let placeholder = [
        "change",
        "example",
        "placeholder",
        "redacted",
        "your",
        "secret-here",
        "xxx",
        "***",
        "...",
        "todo",
        "dummy",
        "insert",
        "replace",
        "hidden",
        "masked",
        "sample",
        "undefined",
        "password1",
    ]
    .iter()
    .any(|word| lower.contains(word));
    let template = value.starts_with(['<', '$', '{', '[']) || value.starts_with("{{");
    let mut different: Vec<char> = value.chars().collect();
    different.sort_unstable();
    different.dedup();
    value.len() >= 8 && value.len() <= 4096 && different.len() >= 6 && !placeholder && !template
}

fn private_key(name: &str, text: &str, found: &mut Vec<Leak>) {
    for (at, _) in text.match_indices("-----BEGIN ") {
        let rest = &text[at..];
        let Some(head) = rest[11..].find("-----").map(|end| &rest[11..11 + end]) else {
            continue;
        };
        if !head.ends_with("PRIVATE KEY") || head.len() > 30 {
            continue;
        }
        let tail = format!("-----END {head}-----");
        let Some(end) = rest.find(&tail) else {
            continue;
        };
        let body = rest[11 + head.len() + 5..end].replace("\\n", "");
        let packed: String = body.split_whitespace().collect();
        let base64 = packed
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        if packed.len() >= 60 && base64 && is_varied(&packed) {
            let value = rest[..end + tail.len()].to_owned();
            found.push(Leak {
                kind: Kind::PrivateKey,
                name: name.to_owned(),
                value,
            });
        }
    }
}

/// Whether a long text has the many different characters of random bytes.
fn is_varied(text: &str) -> bool {
    let mut different: Vec<u8> = text.bytes().collect();
    different.sort_unstable();
    different.dedup();
    different.len() >= 20
}

fn tokens(name: &str, text: &str, found: &mut Vec<Leak>) {
    let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    for word in text.split(part).filter(|word| word.starts_with("eyJ")) {
        let Some(jwt) = Jwt::read(word) else { continue };
        let of_account = jwt
            .text("sub")
            .is_some_and(|sub| sub.starts_with("system:serviceaccount:"))
            || jwt.claims.contains_key("kubernetes.io")
            || jwt.text("iss") == Some("kubernetes/serviceaccount");
        if of_account && jwt.signature_length >= 16 {
            let value = word.to_owned();
            found.push(Leak {
                kind: Kind::ServiceAccountToken,
                name: name.to_owned(),
                value,
            });
        }
    }
}

/// Whether the identifier of a long-lived or a temporary access key of Amazon is there.
fn has_access_key(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| {
            word.len() == 20
                && (word.starts_with("AKIA") || word.starts_with("ASIA"))
                && word
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
                && !word.contains("EXAMPLE")
        })
}

fn connection_strings(name: &str, text: &str, found: &mut Vec<Leak>) {
    const SCHEMES: [&str; 8] = [
        "postgres",
        "postgresql",
        "mysql",
        "mongodb",
        "mongodb+srv",
        "redis",
        "amqp",
        "amqps",
    ];
    for (at, _) in text.match_indices("://") {
        let start = text[..at]
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '+'))
            .map_or(0, |before| before + 1);
        if !text.is_char_boundary(start) || !SCHEMES.contains(&&text[start..at]) {
            continue;
        }
        let rest = text[at + 3..]
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '/'))
            .next()
            .unwrap_or_default();
        if let Some((user, _)) = rest.rsplit_once('@')
            && let Some((_, password)) = user.split_once(':')
            && password.len() >= 6
            && ![
                "password", "secret", "<", "$", "*", "pass", "example", "change", "postgres",
            ]
            .iter()
            .any(|word| password.to_lowercase().starts_with(word))
        {
            let value = password.to_owned();
            found.push(Leak {
                kind: Kind::ConnectionString,
                name: name.to_owned(),
                value,
            });
        }
    }
}

/// `auths` as the Docker command line keeps them, and as Kubernetes wraps them.
fn registry(json: &Value, found: &mut Vec<Leak>) {
    match json {
        Value::Object(map) => {
            if let Some(Value::Object(hosts)) = map.get("auths") {
                for (host, entry) in hosts {
                    let secret = entry["auth"]
                        .as_str()
                        .or_else(|| entry["password"].as_str());
                    if let Some(value) = secret.filter(|value| is_real(value)) {
                        let (name, value) = (format!("auths.{host}"), value.to_owned());
                        found.push(Leak {
                            kind: Kind::RegistryCredentials,
                            name,
                            value,
                        });
                    }
                }
            }
            map.values().for_each(|value| registry(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| registry(value, found)),
        _ => {}
    }
}

/// Passwords in a list of accounts: objects that have a name beside it, at least two of them.
fn passwords(json: &Value, found: &mut Vec<Leak>) {
    match json {
        Value::Array(list) => {
            let accounts: Vec<(&str, &str)> = list.iter().filter_map(account).collect();
            if accounts.len() >= 2 {
                found.extend(accounts.into_iter().map(|(name, value)| Leak {
                    kind: Kind::AccountPassword,
                    name: format!("password of {name}"),
                    value: value.to_owned(),
                }));
            }
            list.iter().for_each(|value| passwords(value, found));
        }
        Value::Object(map) => map.values().for_each(|value| passwords(value, found)),
        _ => {}
    }
}

/// The name and the password of an account, where both are there and not masked.
fn account(value: &Value) -> Option<(&str, &str)> {
    let map = value.as_object()?;
    let member = |names: &[&str]| names.iter().find_map(|name| map.get(*name)?.as_str());
    let name = member(&["username", "user", "login", "email", "name"])?;
    let password = member(&["password", "passwd", "pwd", "password_hash", "passwordHash"])?;
    let masked = password.len() < 4
        || password.chars().all(|c| !c.is_alphanumeric())
        || password.to_lowercase().contains("redacted");
    (!masked).then_some((name, password))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;
    use serde_json::json;

    fn kinds(json: &Value) -> Vec<Kind> {
        leaks(&json.to_string(), Some(json))
            .into_iter()
            .map(|leak| leak.kind)
            .collect()
    }

    fn account_token() -> String {
        let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!(
            "{}.{}.{}",
            part(json!({ "alg": "RS256" })),
            part(
                json!({ "sub": "system:serviceaccount:prod:api", "iss": "https://kubernetes.default.svc" })
            ),
            URL_SAFE_NO_PAD.encode([7_u8; 256])
        )
    }

    #[test]
    fn each_kind_is_known_where_it_usually_stands() {
        assert_eq!(
            kinds(&json!({ "token": account_token() })),
            [Kind::ServiceAccountToken]
        );
        assert_eq!(
            kinds(&json!({ "env": ["PATH=/bin", "DB_PASSWORD=tr0ub4dor&3x"] })),
            [Kind::Variable]
        );
        assert_eq!(
            kinds(&json!({ "JWT_SECRET": "q9Zr7LmT2xVb" })),
            [Kind::Variable]
        );
        assert_eq!(
            kinds(&json!({ "AWS_ACCESS_KEY_ID": "AKIAQX7P4LMN2RST5UVW",
                           "AWS_SECRET_ACCESS_KEY": "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" })),
            [Kind::CloudKey]
        );
        assert_eq!(
            kinds(&json!({ "dsn": "postgres://app:Zk4-9qLw@db:5432/x" })),
            [Kind::ConnectionString]
        );
        assert_eq!(
            kinds(
                &json!({ ".dockerconfigjson": "{\"auths\":{\"r.io\":{\"auth\":\"dXNlcjpwNHNzdzByZA==\"}}}" })
            ),
            [Kind::RegistryCredentials]
        );
        assert_eq!(
            kinds(&json!({ "users": [
                { "username": "alice", "password": "pass1" }, { "username": "bob", "password": "pass2" }
            ] })),
            [Kind::AccountPassword, Kind::AccountPassword]
        );
        let text = "HOME=/root\nAPP_SIGNING_KEY=9fK2mPq7RsT4\n";
        assert_eq!(leaks(text, None).len(), 1);
    }

    #[test]
    fn what_only_looks_like_a_secret_is_none() {
        for fine in [
            json!({ "password": "correct horse" }),
            json!([{ "username": "a", "password": "****" }, { "username": "b", "password": "****" }]),
            json!({ "DB_PASSWORD": "changeme" }),
            json!({ "DB_PASSWORD": "********" }),
            json!({ "DB_PASSWORD": "<your password>" }),
            json!({ "DB_PASSWORD": "${DB_PASSWORD}" }),
            json!({ "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE" }),
            json!({ "next_page_token": "c2Vjb25kLXBhZ2UtMg" }),
            json!({ "publicKey": "MIIBIjANBgkqhkiG9w0BAQEF" }),
            json!({ "key": "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----" }),
            json!({ "key": "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----" }),
            json!({ "dsn": "postgres://app:password@db/x" }),
            json!({ "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2ln" }),
        ] {
            assert_eq!(kinds(&fine), [], "{fine}");
        }
    }

    #[test]
    fn what_is_shown_of_a_secret_is_not_the_secret() {
        let leak = Leak {
            kind: Kind::Variable,
            name: "A_SECRET".to_owned(),
            value: "q9Zr7LmT2xVb".to_owned(),
        };
        assert_eq!(
            leak.redacted(),
            "[a variable that holds a secret, 12 characters]"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_search_panic(text in "(?s).{0,300}") {
            let _ = leaks(&text, None);
            let _ = leaks("", Some(&json!({ "A_SECRET": text })));
        }
    }
}
