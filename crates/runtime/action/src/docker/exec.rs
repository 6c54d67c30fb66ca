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
    // docker-py says here again what the path has said.
    let again = members.text("Container")?;
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
    let place = members.field("Container");
    members.finish()?;
    let container = call.container()?;
    if again.is_some_and(|again| !again.is_empty() && again != container.as_str()) {
        let why = "the path names another container; leave it out";
        return Err(Refusal::new(Rule::JsonUnknown, why).at(place));
    }
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
    members.finish()?;
    Ok(Action::ExecStart {
        exec: call.exec()?,
        detach,
        tty,
    })
}

#[cfg(test)]
mod tests {
    use crate::refusal::Rule;
    use crate::request::Head;

    fn exec(container: &str) -> Option<Rule> {
        let body = format!("{{\"Container\":\"{container}\",\"Cmd\":[\"ls\"]}}");
        let head = Head {
            method: "POST",
            target: "/v1.41/containers/web/exec",
            headers: &[("Content-Type", b"application/json")],
        };
        let refused = crate::docker::parse(head, body.as_bytes()).err();
        refused.map(|refusal| refusal.rule)
    }

    #[test]
    fn the_container_may_be_named_again_but_no_other() {
        assert_eq!(exec("web"), None);
        assert_eq!(exec(""), None);
        assert_eq!(exec("other"), Some(Rule::JsonUnknown));
    }
}
