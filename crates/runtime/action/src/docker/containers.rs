//! Containers that are there: looking at them, running them, copying, removing.

use super::prelude::*;
use super::system::{filters, moment};
use crate::action::{AttachQuery, ContainerListQuery, LogsQuery, TerminalSize, WaitCondition};
use crate::filter::{FilterKey, Filters};
use crate::name::ContainerName;
use crate::path::ArchivePath;
use crate::target::{missing, place};
use crate::value::{DetachKeys, ProcessColumns, Signal};

const LIST_FILTERS: &[FilterKey] = &[
    FilterKey::Ancestor,
    FilterKey::Before,
    FilterKey::Exited,
    FilterKey::Expose,
    FilterKey::Health,
    FilterKey::Id,
    FilterKey::IsTask,
    FilterKey::Isolation,
    FilterKey::Label,
    FilterKey::Name,
    FilterKey::Network,
    FilterKey::Publish,
    FilterKey::Since,
    FilterKey::Status,
    FilterKey::Volume,
];

const PRUNE_FILTERS: &[FilterKey] = &[FilterKey::Label, FilterKey::LabelNot, FilterKey::Until];

pub(crate) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    let copy = |container| {
        let keys = &["path", "noOverwriteDirNonDir", "copyUIDGID"];
        Route::named(container, keys, copy_in).with(BodyKind::Archive)
    };
    Some(match (method, path) {
        ("GET", ["json"]) => Route::plain(&["all", "limit", "size", "filters"], list),
        ("POST", ["create"]) => {
            Route::plain(&["name", "platform"], super::create::create).with(BodyKind::Json)
        }
        ("POST", ["prune"]) => Route::plain(&["filters"], prune),
        ("GET", [container, "json"]) => Route::named(container, &["size"], inspect),
        ("GET", [container, "logs"]) => Route::named(
            container,
            &[
                "stdout",
                "stderr",
                "follow",
                "timestamps",
                "since",
                "until",
                "tail",
            ],
            logs,
        ),
        ("GET", [container, "changes"]) => Route::named(container, &[], |call| {
            Ok(Action::ContainerChanges {
                container: call.container()?,
            })
        }),
        ("GET", [container, "stats"]) => Route::named(container, &["stream", "one-shot"], stats),
        ("GET", [container, "top"]) => Route::named(container, &["ps_args"], top),
        ("POST", [container, "wait"]) => Route::named(container, &["condition"], wait),
        ("POST", [container, "start"]) => {
            // `checkpoint` and `checkpoint-dir` would restore a process from a path of the host.
            Route::named(
                container,
                &["detachKeys", "checkpoint", "checkpoint-dir"],
                start,
            )
        }
        ("POST", [container, "stop"]) => Route::named(container, &["t", "signal"], |call| {
            let timeout = stop_timeout(&call)?;
            Ok(Action::ContainerStop {
                container: call.container()?,
                timeout,
            })
        }),
        ("POST", [container, "restart"]) => Route::named(container, &["t", "signal"], |call| {
            let timeout = stop_timeout(&call)?;
            Ok(Action::ContainerRestart {
                container: call.container()?,
                timeout,
            })
        }),
        ("POST", [container, "kill"]) => Route::named(container, &["signal"], |call| {
            let signal = call.query.parsed("signal", Signal::folded)?;
            Ok(Action::ContainerKill {
                container: call.container()?,
                signal,
            })
        }),
        ("POST", [container, "pause"]) => Route::named(container, &[], |call| {
            Ok(Action::ContainerPause {
                container: call.container()?,
            })
        }),
        ("POST", [container, "unpause"]) => Route::named(container, &[], |call| {
            Ok(Action::ContainerUnpause {
                container: call.container()?,
            })
        }),
        ("POST", [container, "rename"]) => Route::named(container, &["name"], |call| {
            let name = call.query.required("name", ContainerName::parse)?;
            Ok(Action::ContainerRename {
                container: call.container()?,
                name,
            })
        }),
        ("DELETE", [container]) => Route::named(container, &["force", "v", "link"], remove),
        ("POST", [container, "attach"]) => Route::named(
            container,
            &["stream", "logs", "stdin", "stdout", "stderr", "detachKeys"],
            attach,
        )
        .with(BodyKind::Hijack),
        ("POST", [container, "resize"]) => Route::named(container, &["h", "w"], |call| {
            Ok(Action::ContainerResize {
                container: call.container()?,
                size: size(&call)?,
            })
        }),
        ("POST", [container, "exec"]) => {
            Route::named(container, &[], super::exec::create).with(BodyKind::Json)
        }
        ("GET", [container, "archive"]) => Route::named(container, &["path"], |call| {
            let path = call.query.required("path", ArchivePath::parse)?;
            Ok(Action::ContainerCopyOut {
                container: call.container()?,
                path,
            })
        }),
        ("HEAD", [container, "archive"]) => Route::named(container, &["path"], |call| {
            let path = call.query.required("path", ArchivePath::parse)?;
            Ok(Action::ContainerPathStat {
                container: call.container()?,
                path,
            })
        }),
        ("PUT", [container, "archive"]) => copy(container),
        _ => return None,
    })
}

fn list(call: Call<'_>) -> Result<Action, Refusal> {
    let limit = call.query.number("limit", -1..=i64::from(u32::MAX))?;
    Ok(Action::ContainerList(ContainerListQuery {
        all: call.query.flag("all")?.unwrap_or(false),
        // -1 and 0 are how clients write "all of them".
        limit: limit
            .and_then(|limit| u32::try_from(limit).ok())
            .filter(|limit| *limit > 0),
        size: call.query.flag("size")?.unwrap_or(false),
        filters: filters(&call, LIST_FILTERS)?,
    }))
}

fn prune(call: Call<'_>) -> Result<Action, Refusal> {
    Ok(Action::ContainerPrune {
        filters: prune_filters(&call)?.of_own()?,
    })
}

/// Filters of a prune.
pub(crate) fn prune_filters(call: &Call<'_>) -> Result<Filters, Refusal> {
    filters(call, PRUNE_FILTERS)
}

fn inspect(call: Call<'_>) -> Result<Action, Refusal> {
    let size = call.query.flag("size")?.unwrap_or(false);
    Ok(Action::ContainerInspect {
        container: call.container()?,
        size,
    })
}

fn logs(call: Call<'_>) -> Result<Action, Refusal> {
    let flag = |key| Ok::<_, Refusal>(call.query.flag(key)?.unwrap_or(false));
    let tail = match call.query.text("tail") {
        Some("all" | "-1") => None,
        _ => call.query.number("tail", 0..=i64::from(u32::MAX))?,
    };
    Ok(Action::ContainerLogs(LogsQuery {
        container: call.container()?,
        stdout: flag("stdout")?,
        stderr: flag("stderr")?,
        follow: flag("follow")?,
        timestamps: flag("timestamps")?,
        since: moment(&call, "since")?,
        until: moment(&call, "until")?,
        tail: tail.and_then(|tail| u32::try_from(tail).ok()),
    }))
}

fn stats(call: Call<'_>) -> Result<Action, Refusal> {
    Ok(Action::ContainerStats {
        container: call.container()?,
        stream: call.query.flag("stream")?.unwrap_or(true),
        one_shot: call.query.flag("one-shot")?.unwrap_or(false),
    })
}

fn top(call: Call<'_>) -> Result<Action, Refusal> {
    let columns = call.query.parsed("ps_args", ProcessColumns::parse)?;
    Ok(Action::ContainerTop {
        container: call.container()?,
        columns,
    })
}

fn wait(call: Call<'_>) -> Result<Action, Refusal> {
    let condition = call.query.parsed("condition", |text| match text {
        "not-running" => Ok(WaitCondition::NotRunning),
        "next-exit" => Ok(WaitCondition::NextExit),
        "removed" => Ok(WaitCondition::Removed),
        _ => Err(Refusal::new(
            Rule::QueryValue,
            format!("{} is no condition", quote(text)),
        )),
    })?;
    Ok(Action::ContainerWait {
        container: call.container()?,
        condition,
    })
}

fn start(call: Call<'_>) -> Result<Action, Refusal> {
    if call
        .query
        .text("checkpoint")
        .or(call.query.text("checkpoint-dir"))
        .is_some()
    {
        return Err(Refusal::new(
            Rule::NotOffered,
            "not offered: checkpoints are read from paths of the host",
        )
        .at(place("checkpoint")));
    }
    let detach_keys = call.query.parsed("detachKeys", DetachKeys::parse)?;
    Ok(Action::ContainerStart {
        container: call.container()?,
        detach_keys,
    })
}

/// The seconds of a stop. Its signal came with API 1.42, and the engine is spoken to at 1.41.
fn stop_timeout(call: &Call<'_>) -> Result<Option<u32>, Refusal> {
    if call.query.text("signal").is_some() {
        return Err(Refusal::new(
            Rule::QueryValue,
            "a signal for one stop needs a newer engine API; make the container with `StopSignal`",
        )
        .at(place("signal")));
    }
    let timeout = call
        .query
        .number("t", i64::from(i32::MIN)..=i64::from(i32::MAX))?;
    timeout
        .map(|seconds| {
            u32::try_from(seconds).map_err(|_| {
                Refusal::new(
                    Rule::StopTimeout,
                    "a stop that waits for ever; give seconds",
                )
                .at(place("t"))
            })
        })
        .transpose()
}

fn remove(call: Call<'_>) -> Result<Action, Refusal> {
    if call.query.flag("link")?.unwrap_or(false) {
        return Err(Refusal::new(Rule::Link, "links are not offered").at(place("link")));
    }
    Ok(Action::ContainerRemove {
        container: call.container()?,
        force: call.query.flag("force")?.unwrap_or(false),
        volumes: call.query.flag("v")?.unwrap_or(false),
    })
}

fn attach(call: Call<'_>) -> Result<Action, Refusal> {
    let flag = |key| Ok::<_, Refusal>(call.query.flag(key)?.unwrap_or(false));
    Ok(Action::ContainerAttach(AttachQuery {
        container: call.container()?,
        stream: flag("stream")?,
        logs: flag("logs")?,
        stdin: flag("stdin")?,
        stdout: flag("stdout")?,
        stderr: flag("stderr")?,
        detach_keys: call.query.parsed("detachKeys", DetachKeys::parse)?,
    }))
}

fn copy_in(call: Call<'_>) -> Result<Action, Refusal> {
    Ok(Action::ContainerCopyIn {
        container: call.container()?,
        path: call.query.required("path", ArchivePath::parse)?,
        no_overwrite_dir_non_dir: call.query.flag("noOverwriteDirNonDir")?.unwrap_or(false),
        copy_uid_gid: call.query.flag("copyUIDGID")?.unwrap_or(false),
    })
}

/// The size of a terminal.
pub(super) fn size(call: &Call<'_>) -> Result<TerminalSize, Refusal> {
    let number = |key| {
        let number = call.query.number(key, 0..=i64::from(u16::MAX))?;
        number
            .and_then(|number| u16::try_from(number).ok())
            .ok_or_else(|| missing(key))
    };
    Ok(TerminalSize {
        height: number("h")?,
        width: number("w")?,
    })
}

#[cfg(test)]
mod tests {
    use crate::action::Action;
    use crate::docker::post;
    use crate::refusal::Rule;
    use crate::request::Head;

    #[test]
    fn an_attach_may_repeat_its_query_in_the_body_as_dockerode_does() {
        let target = "/containers/web/attach?stream=1&stdout=1&hijack=1";
        let again = r#"{"stream":true,"stdout":true,"hijack":true}"#;
        let Ok(Action::ContainerAttach(attach)) = post(target, again) else {
            panic!("it is an attach")
        };
        // What counts is the query.
        assert!(attach.stream && attach.stdout && !attach.stdin);
        for body in [
            r#"{"hijack":1}"#,
            r#"{"Cmd":["sh"]}"#,
            r#"{"hijack":true}}"#,
        ] {
            let refused = post(target, body).unwrap_err();
            assert!(
                matches!(refused.rule, Rule::Body | Rule::JsonSyntax),
                "{refused}"
            );
            assert_eq!(refused.field.as_deref(), Some("body"));
        }
    }

    #[test]
    fn a_signal_may_be_in_lower_case() {
        let head = Head {
            method: "POST",
            target: "/v1.41/containers/web/kill?signal=term",
            headers: &[],
        };
        let Ok(Action::ContainerKill { signal, .. }) = crate::docker::parse(head, b"") else {
            panic!("it is a kill")
        };
        assert_eq!(signal.unwrap().as_str(), "TERM");
    }
}
