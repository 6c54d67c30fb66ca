//! Commands in a container that is there.

use super::containers::size;
use super::prelude::*;
use crate::container::ExecSpec;
use crate::json::{Default, Members, Never};
use crate::path::ContainerPath;
use crate::value::{DetachKeys, EnvVar, UserSpec};

const NEVER: &[Never] = &[Never {
    name: "Privileged",
    rule: Rule::Privileged,
    why: "a privileged exec has every capability of the host",
    default: Default::Any,
}];

pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("POST", [exec, "start"]) => Route::named(exec, &[], start).with(BodyKind::JsonThenHijack),
        ("GET", [exec, "json"]) => Route::named(exec, &[], |call| {
            Ok(Action::ExecInspect { exec: call.exec()? })
        }),
        ("POST", [exec, "resize"]) => Route::named(exec, &["h", "w"], |call| {
            Ok(Action::ExecResize {
                exec: call.exec()?,
                size: size(&call)?,
            })
        }),
        _ => return None,
    })
}

/// `POST /containers/{id}/exec`.
pub(super) fn create(call: Call<'_>) -> Result<Action, Refusal> {
    let mut members = call.members()?;
    // `Detach` says what `start` says again; the size follows by `resize`.
    members.flag("Detach")?;
    members.take("ConsoleSize");
    let exec = ExecSpec {
        command: members.texts("Cmd")?,
        environment: members.parsed_list("Env", EnvVar::parse)?,
        user: members.parsed("User", UserSpec::parse)?,
        working_directory: working_directory(&mut members)?,
        attach_stdin: members.flag("AttachStdin")?,
        attach_stdout: members.flag("AttachStdout")?,
        attach_stderr: members.flag("AttachStderr")?,
        tty: members.flag("Tty")?,
        detach_keys: members.parsed("DetachKeys", DetachKeys::parse)?,
    };
    members.never(NEVER)?;
    let container = call.container()?;
    // docker-py and docker-java say here again what the path has said.
    for name in ["Container", "containerId"] {
        let why = "the path names another container; leave it out";
        members.repeats(name, Some(container.as_str()), why)?;
    }
    members.finish()?;
    Ok(Action::ExecCreate { container, exec })
}

/// The `WorkingDir` of a container or an exec.
pub(super) fn working_directory(members: &mut Members) -> Result<Option<ContainerPath>, Refusal> {
    members.parsed("WorkingDir", |text| {
        ContainerPath::normal(text, Rule::WorkingDirectory)
    })
}

fn start(call: Call<'_>) -> Result<Action, Refusal> {
    let mut members = call.members()?;
    members.take("ConsoleSize");
    let (detach, tty) = (members.flag("Detach")?, members.flag("Tty")?);
    // What testcontainers-node, dockerode and Docker.DotNet say besides; the engine has no such
    // members here, since the exec itself says what is attached.
    for name in [
        "hijack",
        "stdin",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
    ] {
        members.flag(name)?;
    }
    members.finish()?;
    Ok(Action::ExecStart {
        exec: call.exec()?,
        detach,
        tty,
    })
}

#[cfg(test)]
mod tests {
    use crate::action::Action;
    use crate::docker::post;
    use crate::refusal::Rule;

    fn exec(again: &str) -> Option<Rule> {
        let body = format!("{{{again},\"Cmd\":[\"ls\"]}}");
        let refused = post("/v1.41/containers/web/exec", &body).err();
        refused.map(|refusal| refusal.rule)
    }

    fn start(body: &str) -> Result<(bool, bool), Rule> {
        let target = format!("/v1.41/exec/{}/start", "e".repeat(64));
        match post(&target, body) {
            Ok(Action::ExecStart { detach, tty, .. }) => Ok((detach, tty)),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.rule),
        }
    }

    #[test]
    fn the_container_may_be_named_again_but_no_other() {
        for name in ["Container", "containerId"] {
            assert_eq!(exec(&format!("\"{name}\":\"web\"")), None);
            assert_eq!(exec(&format!("\"{name}\":\"\"")), None);
            let other = exec(&format!("\"{name}\":\"other\""));
            assert_eq!(other, Some(Rule::JsonUnknown));
        }
        let both = r#""Container":"web","containerId":"other""#;
        assert_eq!(exec(both), Some(Rule::JsonUnknown));
        assert_eq!(exec(r#""ContainerId":"web""#), Some(Rule::JsonCase));
    }

    #[test]
    fn what_clients_add_to_a_start_is_dropped_where_it_is_a_boolean() {
        for (body, meant) in [
            // testcontainers-node, dockerode, Docker.DotNet.
            (r#"{"stdin":true,"Detach":false,"Tty":true}"#, (false, true)),
            (r#"{"hijack":true,"stdin":true}"#, (false, false)),
            (
                r#"{"AttachStdin":true,"AttachStdout":true,"AttachStderr":true,"Tty":false}"#,
                (false, false),
            ),
        ] {
            assert_eq!(start(body), Ok(meant), "{body}");
        }
        for (body, rule) in [
            (r#"{"hijack":"true"}"#, Rule::JsonType),
            (r#"{"Stdin":true}"#, Rule::JsonCase),
            (r#"{"attachstdin":true}"#, Rule::JsonCase),
            (r#"{"Privileged":true}"#, Rule::JsonUnknown),
            (r#"{"Cmd":["sh"]}"#, Rule::JsonUnknown),
        ] {
            assert_eq!(start(body), Err(rule), "{body}");
        }
    }
}
