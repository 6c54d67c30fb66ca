//! What an operation could reach and destroy, judged by names and descriptions alone.

use crate::{Operation, ParamIn, Reach};
use hyper::Method;
use serde_json::Value;
use std::collections::BTreeSet;

/// Words in names, and what an operation with such a name could reach.
const WORDS: [(Reach, &[&str]); 6] = [
    (
        Reach::Runtime,
        &[
            "container",
            "containers",
            "image",
            "images",
            "docker",
            "exec",
            "pod",
            "pods",
            "deployment",
            "runtime",
            "volume",
            "volumes",
            "registry",
            "sandbox",
            "kubernetes",
        ],
    ),
    (
        Reach::File,
        &[
            "path",
            "file",
            "filename",
            "filepath",
            "files",
            "dir",
            "directory",
            "folder",
            "download",
            "document",
            "template",
            "attachment",
            "logfile",
        ],
    ),
    (
        Reach::Process,
        &[
            "cmd",
            "command",
            "host",
            "hostname",
            "target",
            "ping",
            "traceroute",
            "nslookup",
            "dns",
            "exec",
            "shell",
            "script",
            "diagnostic",
            "diagnostics",
            "expr",
            "expression",
            "args",
            "run",
        ],
    ),
    (
        Reach::Outbound,
        &[
            "url", "uri", "callback", "webhook", "webhooks", "endpoint", "fetch", "proxy", "link",
            "href", "src", "feed", "remote", "upstream", "redirect", "preview", "import",
        ],
    ),
    (
        Reach::Agent,
        &[
            "prompt",
            "message",
            "messages",
            "chat",
            "assistant",
            "agent",
            "completion",
            "completions",
            "ask",
            "copilot",
            "chatbot",
            "llm",
            "conversation",
        ],
    ),
    (
        Reach::Admin,
        &[
            "admin",
            "administrator",
            "root",
            "manage",
            "management",
            "superuser",
            "internal",
            "debug",
            "actuator",
        ],
    ),
];

/// Words of the path that mean what they mean in a parameter too weakly to count there.
const ONLY_PARAMETERS: [&str; 9] = [
    "path", "target", "host", "message", "messages", "run", "link", "src", "args",
];

/// Verbs that destroy, end a session or take a right away, whatever the method.
const DESTROY: [&str; 33] = [
    "reset",
    "purge",
    "delete",
    "destroy",
    "drop",
    "wipe",
    "createdb",
    "seed",
    "reseed",
    "shutdown",
    "reboot",
    "logout",
    "signout",
    "logoff",
    "revoke",
    "deactivate",
    "kill",
    "terminate",
    "prune",
    "truncate",
    "flush",
    "rotate",
    "regenerate",
    "unregister",
    "unsubscribe",
    "cleanup",
    "clear",
    "erase",
    "remove",
    "uninstall",
    "cancel",
    "suspend",
    "poweroff",
];

/// Nouns of credentials and rights: an unsafe method on them may lock the scan's own identity out.
const CREDENTIALS: [&str; 17] = [
    "password",
    "passwd",
    "credential",
    "credentials",
    "mfa",
    "otp",
    "totp",
    "2fa",
    "email",
    "role",
    "roles",
    "permission",
    "permissions",
    "apikey",
    "apikeys",
    "pin",
    "passphrase",
];

/// Fills in `reach` and `destructive`.
pub(super) fn tag(operation: &mut Operation) {
    operation.reach = reach(operation);
    operation.destructive = destructive(operation);
}

fn reach(operation: &Operation) -> BTreeSet<Reach> {
    let mut reach = BTreeSet::new();
    let mut take = |words: &[String], parameters: bool| {
        for (kind, known) in WORDS {
            let meant = |word: &String| {
                known.contains(&word.as_str())
                    && (parameters || !ONLY_PARAMETERS.contains(&word.as_str()))
            };
            if words.iter().any(meant) {
                reach.insert(kind);
            }
        }
    };
    take(&static_words(&operation.path), false);
    for param in &operation.params {
        take(&words(&param.name), true);
    }
    if let Some(body) = &operation.body {
        let mut names = Vec::new();
        member_names(&body.schema, &mut names, 3);
        if let Some(example) = &body.example {
            keys(example, &mut names, 3);
        }
        for name in names {
            take(&words(&name), true);
        }
    }
    let has_uri = operation
        .params
        .iter()
        .any(|param| matches!(param.schema["format"].as_str(), Some("uri" | "url")));
    if has_uri {
        reach.insert(Reach::Outbound);
    }
    if operation
        .params
        .iter()
        .any(|param| param.place == ParamIn::Path)
    {
        reach.insert(Reach::Object);
    }
    reach
}

fn destructive(operation: &Operation) -> bool {
    if operation.method == Method::DELETE {
        return true;
    }
    let words = static_words(&operation.path);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    has(&DESTROY) || (!operation.is_safe() && has(&CREDENTIALS))
}

/// The words of the segments that are no parameters.
fn static_words(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.starts_with('{'))
        .flat_map(words)
        .collect()
}

/// The words of a name in lower case: split at what is no letter or digit, and before a capital.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut lower_before = false;
    for character in name.chars() {
        let boundary = !character.is_alphanumeric();
        if (boundary || (character.is_uppercase() && lower_before)) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !boundary {
            word.extend(character.to_lowercase());
        }
        lower_before = character.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The names of the members that a schema describes, `depth` levels down.
pub(super) fn member_names(schema: &Value, names: &mut Vec<String>, depth: u32) {
    if depth == 0 {
        return;
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            names.push(name.clone());
            member_names(inner, names, depth - 1);
        }
    }
    member_names(&schema["items"], names, depth.saturating_sub(1));
    for list in ["allOf", "oneOf", "anyOf"] {
        for inner in schema[list].as_array().into_iter().flatten() {
            member_names(inner, names, depth - 1);
        }
    }
}

fn keys(value: &Value, names: &mut Vec<String>, depth: u32) {
    match value {
        Value::Object(map) if depth > 0 => {
            for (name, inner) in map {
                names.push(name.clone());
                keys(inner, names, depth - 1);
            }
        }
        Value::Array(list) => {
            for inner in list.iter().take(3) {
                keys(inner, names, depth.saturating_sub(1));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::operation;
    use serde_json::json;

    fn of(method: &str, path: &str) -> Operation {
        let mut operation = operation(method, path);
        tag(&mut operation);
        operation
    }

    #[test]
    fn destruction_is_seen_in_names_whatever_the_method() {
        for (method, path) in [
            ("GET", "/createdb"),
            ("GET", "/v1/reset-db"),
            ("POST", "/users/{id}/passwordReset"),
            ("GET", "/logout"),
            ("DELETE", "/x/{id}"),
            ("PUT", "/users/{name}/password"),
            ("POST", "/tokens/revoke"),
            ("GET", "/admin/purgeCache"),
            ("PUT", "/me/roles"),
        ] {
            assert!(of(method, path).destructive, "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/users/{reset}"),
            ("GET", "/password-policy"),
            ("GET", "/deleted-items"),
            ("POST", "/containers/{id}/stop"),
            ("GET", "/presets"),
            ("POST", "/login"),
        ] {
            assert!(!of(method, path).destructive, "{method} {path}");
        }
    }

    #[test]
    fn reach_comes_from_paths_parameters_and_members() {
        assert!(of("GET", "/v1/containers/{id}").reaches(Reach::Runtime));
        assert!(of("GET", "/v1/containers/{id}").reaches(Reach::Object));
        assert!(of("GET", "/admin/stats").reaches(Reach::Admin));
        assert!(!of("GET", "/notes").reaches(Reach::File));
        let mut hook = operation("POST", "/hooks");
        hook.body = Some(crate::BodySpec {
            content_type: "application/json".to_owned(),
            schema: json!({ "properties": { "callbackUrl": { "type": "string" } } }),
            example: None,
            required: true,
        });
        tag(&mut hook);
        assert!(hook.reaches(Reach::Outbound));
    }

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(words("callbackURL"), ["callback", "url"]);
        assert_eq!(words("db_reset-now.v2"), ["db", "reset", "now", "v2"]);
    }
}
