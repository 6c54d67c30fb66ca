//! `POST /containers/create`: the container itself. What it gets of the host is in `host_config`.

use super::exec::working_directory;
use super::prelude::*;
use super::{endpoint, host_config};
use crate::container::{ContainerCreate, Health, HealthTest, Process};
use crate::image::{ImageRef, Platform};
use crate::json::{Default, Members, Never, Value};
use crate::name::{ContainerName, Hostname};
use crate::path::ContainerPath;
use crate::value::{EnvVar, Labels, Port, Signal, UserSpec};

const NEVER: &[Never] = &[
    Never {
        name: "MacAddress",
        rule: Rule::NetworkAddress,
        why: "a chosen address takes a neighbour's place",
        default: Default::Any,
    },
    Never {
        name: "OnBuild",
        rule: Rule::JsonUnknown,
        why: "it belongs to image builds",
        default: Default::Any,
    },
    Never {
        name: "Shell",
        rule: Rule::JsonUnknown,
        why: "it belongs to image builds",
        default: Default::Any,
    },
    Never {
        name: "ArgsEscaped",
        rule: Rule::JsonUnknown,
        why: "it belongs to Windows",
        default: Default::Any,
    },
];

pub(super) fn create(call: Call<'_>) -> Result<Action, Refusal> {
    let mut members = call.members()?;
    let image = members.required("Image", Rule::JsonType, ImageRef::parse)?;
    let mut container = ContainerCreate::new(image);
    container.name = call.query.parsed("name", ContainerName::parse)?;
    container.platform = call.query.parsed("platform", Platform::parse)?;
    // dockerode writes them into the query and again into the body, where the engine has no such
    // members. What stands in the body alone would not be what is made.
    for name in ["name", "platform"] {
        let why = format!("the query key `{name}` does not say the same; write it there");
        members.repeats(name, call.query.text(name), &why)?;
    }
    container.labels = Labels(members.text_map("Labels")?.into_iter().collect());
    container.process = process(&mut members)?;

    container.storage.anonymous_volumes = members
        .key_set("Volumes")?
        .iter()
        .map(|path| anonymous_volume(path))
        .collect::<Result<_, _>>()?;
    container.network.exposed_ports = members
        .key_set("ExposedPorts")?
        .iter()
        .map(|port| Port::parse(port).map_err(|refusal| refusal.at("ExposedPorts")))
        .collect::<Result<_, _>>()?;
    container.network.disabled = members.flag("NetworkDisabled")?;

    let host = members.object("HostConfig")?;
    let networking = members.object("NetworkingConfig")?;
    members.never(NEVER)?;
    members.finish()?;

    if let Some(host) = host {
        host_config::read(host, &mut container)?;
    }
    container.network.endpoint = endpoint::of_create(networking, &container.network.mode)?;
    Ok(Action::ContainerCreate(Box::new(container)))
}

fn process(members: &mut Members) -> Result<Process, Refusal> {
    let stop_timeout = match members.integer("StopTimeout")? {
        None => None,
        Some(seconds) => Some(u32::try_from(seconds).map_err(|_| {
            Refusal::new(
                Rule::StopTimeout,
                "a stop that waits for ever; give seconds",
            )
            .at("StopTimeout")
        })?),
    };
    Ok(Process {
        hostname: members.parsed("Hostname", Hostname::parse)?,
        domainname: members.parsed("Domainname", Hostname::parse)?,
        user: members.parsed("User", UserSpec::parse)?,
        // An empty command is none: the engine then takes the image's.
        command: command(members, "Cmd")?.filter(|command| !command.is_empty()),
        entrypoint: command(members, "Entrypoint")?,
        environment: members.parsed_list("Env", EnvVar::parse)?,
        working_directory: working_directory(members)?,
        attach_stdin: members.flag("AttachStdin")?,
        attach_stdout: members.flag("AttachStdout")?,
        attach_stderr: members.flag("AttachStderr")?,
        tty: members.flag("Tty")?,
        open_stdin: members.flag("OpenStdin")?,
        stdin_once: members.flag("StdinOnce")?,
        stop_signal: members.parsed("StopSignal", Signal::folded)?,
        stop_timeout,
        health: members.object("Healthcheck")?.map(health).transpose()?,
    })
}

/// A command: a list of words, or one word (the engine's `strslice` takes both).
fn command(members: &mut Members, name: &'static str) -> Result<Option<Vec<String>>, Refusal> {
    let field = members.field(name);
    match members.take(name) {
        None => Ok(None),
        Some(Value::Text(word)) => Ok(Some(word)
            .filter(|word| !word.is_empty())
            .map(|word| vec![word])),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::Text(word) => Ok(word),
                other => Err(Refusal::new(
                    Rule::JsonType,
                    format!("a string is expected, not {}", other.kind()),
                )
                .at(field.clone())),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        Some(other) => Err(Refusal::new(
            Rule::JsonType,
            format!("an array is expected, not {}", other.kind()),
        )
        .at(field)),
    }
}

fn health(mut members: Members) -> Result<Health, Refusal> {
    let mut words = members.texts("Test")?;
    let kind = if words.is_empty() {
        String::new()
    } else {
        words.remove(0)
    };
    let test = match (kind.as_str(), words.len()) {
        ("", 0) => HealthTest::Inherit,
        ("NONE", 0) => HealthTest::None,
        ("CMD", 1..) => HealthTest::Command(words),
        ("CMD-SHELL", 1) => HealthTest::Shell(words.remove(0)),
        _ => {
            return Err(Refusal::new(
                Rule::JsonType,
                "a health test is `NONE`, `CMD` with words, or `CMD-SHELL` with one line",
            )
            .at(members.field("Test")));
        }
    };
    let retries = members.limit("Retries", Rule::JsonType)?.unwrap_or(0);
    let field = members.field("Retries");
    let health = Health {
        test,
        interval: members.limit("Interval", Rule::JsonType)?.unwrap_or(0),
        timeout: members.limit("Timeout", Rule::JsonType)?.unwrap_or(0),
        start_period: members.limit("StartPeriod", Rule::JsonType)?.unwrap_or(0),
        retries: u32::try_from(retries)
            .map_err(|_| Refusal::new(Rule::JsonType, "too many retries").at(field))?,
    };
    members.finish()?;
    Ok(health)
}

/// A key of `Volumes`. With a colon the engine once took it for a bind.
fn anonymous_volume(path: &str) -> Result<ContainerPath, Refusal> {
    if path.contains(':') {
        return Err(Refusal::new(
            Rule::HostPath,
            format!(
                "{} is a mount of the host in the place of a volume",
                quote(path)
            ),
        )
        .at("Volumes"));
    }
    ContainerPath::normal(path, Rule::MountTarget).map_err(|refusal| refusal.at("Volumes"))
}

#[cfg(test)]
mod tests {
    use crate::action::Action;
    use crate::container::ContainerCreate;
    use crate::docker::post;
    use crate::refusal::Rule;

    fn create(query: &str, members: &str) -> Result<Box<ContainerCreate>, Rule> {
        let target = format!("/v1.41/containers/create{query}");
        let body = format!("{{\"Image\":\"app:1\"{members}}}");
        match post(&target, &body) {
            Ok(Action::ContainerCreate(create)) => Ok(create),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.rule),
        }
    }

    #[test]
    fn the_body_may_repeat_name_and_platform_of_the_query_and_say_nothing_else() {
        let both = r#","name":"web","platform":"linux/amd64""#;
        let made = create("?name=web&platform=linux/amd64&Image=app", both).unwrap();
        assert_eq!(made.name.unwrap().as_str(), "web");
        assert_eq!(made.platform.unwrap().as_str(), "linux/amd64");
        assert!(create("?name=web", r#","name":"""#).is_ok());
        for (query, members) in [
            ("", r#","name":"web""#),
            ("?name=other", r#","name":"web""#),
            ("?platform=linux/amd64", r#","platform":"linux/arm64""#),
            ("", r#","platform":"linux/amd64""#),
        ] {
            assert_eq!(
                create(query, members).unwrap_err(),
                Rule::JsonUnknown,
                "{query} {members}"
            );
        }
        assert_eq!(
            create("?name=web", r#","Name":"web""#).unwrap_err(),
            Rule::JsonCase
        );
    }

    #[test]
    fn a_signal_is_read_in_either_case_as_the_engine_does() {
        for text in ["sigint", "SIGINT", "SigInt"] {
            let made = create("", &format!(",\"StopSignal\":\"{text}\"")).unwrap();
            assert_eq!(made.process.stop_signal.unwrap().as_str(), "SIGINT");
        }
        assert!(create("", r#","StopSignal":"sigfoo""#).is_err());
    }
}
