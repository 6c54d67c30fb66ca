//! When a container starts again, and what is kept of its output.

use super::prelude::*;
use crate::container::{Lifecycle, LogDriver, LogFiles, LogMode, RestartPolicy};
use crate::json::Members;
use crate::value::bytes;

pub(super) fn read(members: &mut Members) -> Result<Lifecycle, Refusal> {
    Ok(Lifecycle {
        auto_remove: members.flag("AutoRemove")?,
        restart: match members.object("RestartPolicy")? {
            Some(policy) => restart_policy(policy)?,
            None => RestartPolicy::No,
        },
        init: members.optional_flag("Init")?,
        log: match members.object("LogConfig")? {
            Some(log) => log_files(log)?,
            None => None,
        },
    })
}

fn restart_policy(mut members: Members) -> Result<RestartPolicy, Refusal> {
    let retries = members
        .limit("MaximumRetryCount", Rule::JsonType)?
        .unwrap_or(0);
    let retries = u32::try_from(retries).map_err(|_| {
        Refusal::new(Rule::JsonType, "too many").at(members.field("MaximumRetryCount"))
    })?;
    let policy = members.parsed("Name", |name| match name {
        "no" => Ok(RestartPolicy::No),
        "always" => Ok(RestartPolicy::Always),
        "unless-stopped" => Ok(RestartPolicy::UnlessStopped),
        "on-failure" => Ok(RestartPolicy::OnFailure(retries)),
        _ => Err(Refusal::new(
            Rule::JsonType,
            format!("{} is no restart policy", quote(name)),
        )),
    })?;
    let policy = policy.unwrap_or_default();
    if retries > 0 && !matches!(policy, RestartPolicy::OnFailure(_)) {
        return Err(
            Refusal::new(Rule::JsonType, "only `on-failure` counts retries")
                .at(members.field("MaximumRetryCount")),
        );
    }
    members.finish().map(|()| policy)
}

/// Options of a log driver that is not named are those of `json-file`, as the engine has it where
/// nobody chose another default.
fn log_files(mut members: Members) -> Result<Option<LogFiles>, Refusal> {
    let driver = members.parsed("Type", |name| match name {
        "json-file" => Ok(LogDriver::JsonFile),
        "local" => Ok(LogDriver::Local),
        _ => Err(Refusal::new(
            Rule::Log,
            format!(
                "{} sends output off the host, reads its files or keeps nothing; write `json-file` or `local`",
                quote(name)
            ),
        )),
    })?;
    let field = members.field("Config");
    let options = members.text_map("Config")?;
    members.finish()?;
    if driver.is_none() && options.is_empty() {
        return Ok(None);
    }
    let mut log = LogFiles {
        driver: driver.unwrap_or(LogDriver::JsonFile),
        max_size: None,
        max_files: None,
        compress: None,
        mode: None,
        max_buffer_size: None,
    };
    for (key, value) in options {
        log_option(&mut log, &key, &value)
            .map_err(|refusal| refusal.at(format!("{field}[{}]", quote(&key))))?;
    }
    Ok(Some(log))
}

fn log_option(log: &mut LogFiles, key: &str, value: &str) -> Result<(), Refusal> {
    let bound = |bound: Option<u64>| {
        bound
            .filter(|bound| *bound > 0)
            .ok_or_else(|| Refusal::new(Rule::Log, format!("{} is no bound", quote(value))))
    };
    let unknown = || {
        Refusal::new(
            Rule::Log,
            format!("{} is no choice of this option", quote(value)),
        )
    };
    match key {
        "max-size" => log.max_size = Some(bound(bytes(value))?),
        "max-file" => {
            let plain = value.bytes().all(|byte| byte.is_ascii_digit());
            let files = value.parse::<u32>().ok().filter(|_| plain);
            bound(files.map(u64::from))?;
            log.max_files = files;
        }
        "compress" => log.compress = Some(value.parse().map_err(|_| unknown())?),
        "mode" => {
            log.mode = Some(match value {
                "blocking" => LogMode::Blocking,
                "non-blocking" => LogMode::NonBlocking,
                _ => return Err(unknown()),
            });
        }
        "max-buffer-size" => log.max_buffer_size = Some(bound(bytes(value))?),
        _ => {
            return Err(Refusal::new(
                Rule::Log,
                "the options here are `max-size`, `max-file`, `compress`, `mode` and `max-buffer-size`",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn log(config: Value) -> Result<Option<LogFiles>, Rule> {
        let host = json!({ "LogConfig": config }).to_string();
        let mut members = Members::of_body(host.as_bytes()).unwrap();
        let lifecycle = read(&mut members).map_err(|refusal| refusal.rule)?;
        Ok(lifecycle.log)
    }

    #[test]
    fn output_stays_in_files_of_the_host_with_bounds() {
        let options = json!({
            "max-size": "10m", "max-file": "3", "compress": "true", "mode": "non-blocking",
            "max-buffer-size": "4m",
        });
        let mut meant = LogFiles {
            driver: LogDriver::JsonFile,
            max_size: Some(10 << 20),
            max_files: Some(3),
            compress: Some(true),
            mode: Some(LogMode::NonBlocking),
            max_buffer_size: Some(4 << 20),
        };
        // Without a driver the options are those of the engine's own.
        for kind in ["", "json-file"] {
            let read = log(json!({ "Type": kind, "Config": options }));
            assert_eq!(read, Ok(Some(meant.clone())), "{kind}");
        }
        meant.driver = LogDriver::Local;
        let read = log(json!({ "Type": "local", "Config": options }));
        assert_eq!(read, Ok(Some(meant)));
        assert_eq!(log(json!({ "Type": "", "Config": {} })), Ok(None));
        assert_eq!(log(json!({ "Type": "", "Config": null })), Ok(None));
    }

    #[test]
    fn output_that_leaves_the_files_or_their_bounds_is_refused() {
        for driver in [
            "none",
            "syslog",
            "journald",
            "gelf",
            "JSON-FILE",
            "evil/plugin",
        ] {
            let refused = log(json!({ "Type": driver, "Config": {} }));
            assert_eq!(refused, Err(Rule::Log), "{driver}");
        }
        for (key, value) in [
            ("max-size", "-1"),
            ("max-size", "0"),
            ("max-size", ""),
            ("max-file", "0"),
            ("max-file", "+1"),
            ("max-file", "4294967296"),
            ("compress", "1"),
            ("mode", "Non-Blocking"),
            ("mode", ""),
            ("max-buffer-size", "-1"),
            ("max-buffer-size", "x"),
            ("labels", "a"),
            ("env", "SECRET"),
            ("env-regex", ".*"),
            ("tag", "x"),
            ("syslog-address", "udp://192.0.2.1:514"),
            ("Max-Size", "1m"),
        ] {
            for driver in ["", "json-file", "local"] {
                let refused = log(json!({ "Type": driver, "Config": { key: value } }));
                assert_eq!(refused, Err(Rule::Log), "{driver} {key}={value}");
            }
        }
    }
}
