//! Bodies read as dockerd reads them, with everything that makes that dangerous for whoever checks a
//! request in front of an engine.
//!
//! dockerd reads with Go's `encoding/json`: member names match in any case and under Unicode's
//! simple folding, a member that comes twice is merged into what the first left, `null` clears some
//! kinds of member and leaves others, unknown members and all that follows the first value are
//! ignored. The rules are those that were measured on dockerd 20.10.24; one test holds each.

mod create;
mod json;
mod shape;

pub(crate) use create::Created;
pub(crate) use shape::{
    CONNECT, DISCONNECT, EXEC_CREATE, EXEC_START, NETWORK_CREATE, Shape, VOLUME_CREATE,
};

use crate::answer::Refusal;
use json::Json;
use serde_json::{Map, Value};

/// Reads the first value of `bytes` as `shape`; its members have the names of the reference.
pub(crate) fn read(bytes: &[u8], shape: &Shape) -> Result<Value, Refusal> {
    let given = json::parse(bytes).map_err(|problem| Refusal::bad(problem.to_string()))?;
    let mut value = shape.zero();
    apply(&mut value, shape, given, "").map_err(Refusal::bad)?;
    Ok(value)
}

/// Decodes `given` into `value`, which may hold what an earlier member of the same name left.
fn apply(value: &mut Value, shape: &Shape, given: Json, place: &str) -> Result<(), String> {
    match (shape, given) {
        // A pointer, list or map becomes nil, whatever it held; a scalar or struct stays.
        (Shape::Pointer(_) | Shape::List(_) | Shape::Words | Shape::Map(_), Json::Null) => {
            *value = Value::Null;
        }
        (_, Json::Null) => {}
        (Shape::Pointer(inner), given) => {
            if value.is_null() {
                *value = inner.zero();
            }
            apply(value, inner, given, place)?;
        }
        (Shape::Text, Json::Text(text)) => *value = Value::String(text),
        (Shape::Bool, Json::Bool(flag)) => *value = Value::Bool(flag),
        (Shape::Number, Json::Number(number)) => {
            let number: i64 = number
                .parse()
                .map_err(|_| mismatch(&format!("number {number}"), place, "int64"))?;
            *value = number.into();
        }
        (Shape::Any, given) => *value = given.into_value(),
        // A type with a reader of its own: one text, or a list of texts, always anew.
        (Shape::Words, Json::Text(text)) => *value = Value::Array(vec![text.into()]),
        (Shape::Words, given @ Json::List(_)) => {
            *value = Value::Null;
            apply(value, &Shape::List(&Shape::Text), given, place)?;
        }
        (Shape::List(inner), Json::List(items)) => {
            let mut list = match std::mem::take(value) {
                Value::Array(list) => list,
                _ => Vec::new(),
            };
            list.truncate(items.len());
            for (index, item) in items.into_iter().enumerate() {
                // An element is decoded over the one that an earlier list left in its place.
                if index == list.len() {
                    list.push(inner.zero());
                }
                apply(&mut list[index], inner, item, place)?;
            }
            *value = Value::Array(list);
        }
        (Shape::Map(inner), Json::Object(members)) => {
            let mut map = object(value);
            for (name, item) in members {
                let mut entry = inner.zero();
                apply(&mut entry, inner, item, place)?;
                map.insert(name, entry);
            }
            *value = Value::Object(map);
        }
        (Shape::Struct(fields), Json::Object(members)) => {
            let mut map = object(value);
            for (name, item) in members {
                let Some((name, shape)) = field(fields, &name) else {
                    continue;
                };
                let entry = map.entry(name).or_insert_with(|| shape.zero());
                apply(entry, shape, item, &format!("{place}.{name}"))?;
            }
            *value = Value::Object(map);
        }
        (shape, given) => return Err(mismatch(given.kind(), place, shape.kind())),
    }
    Ok(())
}

fn object(value: &mut Value) -> Map<String, Value> {
    match std::mem::take(value) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn mismatch(given: &str, place: &str, wanted: &str) -> String {
    let place = place.trim_start_matches('.');
    format!("json: cannot unmarshal {given} into Go struct field {place} of type {wanted}")
}

/// The field that a member's name means: the one that is named exactly so, else the first that is
/// the same under folding.
fn field(
    fields: &'static [(&'static str, Shape)],
    name: &str,
) -> Option<(&'static str, &'static Shape)> {
    let exact = fields.iter().find(|(field, _)| *field == name);
    let folded = || {
        let name = fold(name);
        fields.iter().find(|(field, _)| fold(field) == name)
    };
    exact.or_else(folded).map(|(field, shape)| (*field, shape))
}

/// The letters that fold into ASCII are those of ASCII, the long s and the Kelvin sign.
fn fold(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            '\u{17f}' => 'S',
            '\u{212a}' => 'K',
            letter => letter.to_ascii_uppercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn create(text: &str) -> Created {
        Created::read(text.as_bytes()).unwrap()
    }

    fn host(text: &str) -> Value {
        Value::Object(create(text).host_config)
    }

    #[test]
    fn a_name_in_any_case_and_under_folding_takes_effect() {
        for text in [
            r#"{"HostConfig":{"Privileged":true}}"#,
            r#"{"hostconfig":{"PRIVILEGED":true}}"#,
            r#"{"HoſtConfig":{"privileged":true}}"#,
            r#"{"HostConfig":{"\u0050rivileged":true}}"#,
            r#"{"Ho\u017ftConfig":{"privileged":true}}"#,
        ] {
            assert_eq!(host(text)["Privileged"], true, "{text}");
        }
        let text = "{\"HostConfig\":{\"Networ\u{212a}Mode\":\"host\"}}";
        assert_eq!(host(text)["NetworkMode"], "host");
    }

    #[test]
    fn two_objects_of_one_name_are_merged_field_by_field() {
        let text =
            r#"{"HostConfig":{"Privileged":true,"PidMode":"host"},"hostConfig":{"PidMode":""}}"#;
        assert_eq!(host(text), json!({"Privileged": true, "PidMode": ""}));
    }

    #[test]
    fn null_leaves_a_scalar_and_clears_a_pointer_or_a_list() {
        let text = r#"{"HostConfig":{"Privileged":true,"Privileged":null}}"#;
        assert_eq!(host(text)["Privileged"], true);
        let text = r#"{"HostConfig":{"CapAdd":["ALL"],"CapAdd":null}}"#;
        assert_eq!(host(text)["CapAdd"], Value::Null);
        let text = r#"{"HostConfig":{"Privileged":true},"HostConfig":null}"#;
        assert_eq!(host(text), json!({}));
    }

    #[test]
    fn an_element_is_decoded_over_the_one_before_it() {
        let text = r#"{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/"}],"Mounts":[{"Target":"/x"}]}}"#;
        let mount = json!([{"Type": "bind", "Source": "/", "Target": "/x"}]);
        assert_eq!(host(text)["Mounts"], mount);
        let text =
            r#"{"HostConfig":{"Mounts":[{"Type":"bind"}],"Mounts":[],"Mounts":[{"Target":"/x"}]}}"#;
        assert_eq!(host(text)["Mounts"], json!([{"Target": "/x"}]));
    }

    #[test]
    fn maps_are_merged_key_by_key_and_their_keys_keep_their_case() {
        let text = r#"{"Labels":{"a":"1","A":"2"},"labels":{"b":"3"}}"#;
        let labels = json!({"a": "1", "A": "2", "b": "3"});
        assert_eq!(create(text).config["Labels"], labels);
    }

    #[test]
    fn members_of_the_host_configuration_at_the_top_take_effect_without_one() {
        assert_eq!(
            host(r#"{"Privileged":true,"binds":["/:/h"]}"#),
            json!({"Privileged": true, "Binds": ["/:/h"]})
        );
        // With one only these five do, where it leaves them at zero.
        let text = r#"{"Privileged":true,"Memory":5,"CpuShares":6,"HostConfig":{"CpuShares":7}}"#;
        assert_eq!(host(text), json!({"CpuShares": 7, "Memory": 5}));
        assert_eq!(
            host(r#"{"Privileged":true,"HostConfig":null}"#)["Privileged"],
            true
        );
    }

    #[test]
    fn what_follows_the_first_value_is_ignored() {
        for rest in [
            "}",
            "] {\"Image\":\"b\"}",
            "{\"Image\":\"b\"}",
            "\0\0",
            " x",
        ] {
            assert_eq!(
                create(&format!("{{\"Image\":\"a\"}}{rest}")).config["Image"],
                "a",
                "{rest}"
            );
        }
    }

    #[test]
    fn broken_text_unknown_members_and_deep_nesting_are_taken() {
        let bytes = b"{\"Image\":\"a\",\"Labels\":{\"x\":\"\xff\"},\"Other\":[{}]}";
        assert_eq!(
            Created::read(bytes).unwrap().config["Labels"]["x"],
            "\u{fffd}"
        );
        let lone = r#"{"Image":"a\ud800b"}"#;
        assert_eq!(create(lone).config["Image"], "a\u{fffd}b");
        let pair = r#"{"Image":"\ud83d\ude00"}"#;
        assert_eq!(create(pair).config["Image"], "\u{1f600}");
        let deep = format!(
            "{{\"Image\":\"a\",\"X\":{}{}}}",
            "[".repeat(9000),
            "]".repeat(9000)
        );
        assert_eq!(create(&deep).config["Image"], "a");
        let deeper = format!("{}{}", "[".repeat(10_001), "]".repeat(10_001));
        assert!(Created::read(deeper.as_bytes()).is_err());
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "\u{feff}{}",
            "[]",
            "\"x\"",
            "",
            r#"{"Tty":"true"}"#,
            r#"{"Tty":1}"#,
            r#"{"HostConfig":[]}"#,
            r#"{"HostConfig":{"Memory":1.5}}"#,
            r#"{"HostConfig":{"Memory":"1"}}"#,
            r#"{"Labels":{"a":1}}"#,
            r#"{"Image":"a",}"#,
            r#"{"Image":"a" "b"}"#,
            "{\"Image\":\"a\nb\"}",
            r#"{"Image":01}"#,
            r#"{"X":[[[1,]]]}"#,
            r#"{"Image":"a""#,
        ] {
            assert!(Created::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_command_is_one_text_or_a_list_and_never_merged() {
        assert_eq!(
            create(r#"{"Cmd":["a","b"],"Cmd":"c"}"#).config["Cmd"],
            json!(["c"])
        );
        assert_eq!(
            create(r#"{"Entrypoint":["a"],"Entrypoint":null}"#).config["Entrypoint"],
            Value::Null
        );
    }
}
