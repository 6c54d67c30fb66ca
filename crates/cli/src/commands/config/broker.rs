//! What a `broker.toml` means.

use super::{Told, issuer, listed, size};
use cofferdam_action::floor::Exception;
use cofferdam_broker::{BrokerConfig, PolicyMode, Streams};
use cofferdam_policy::PolicySet;

pub(super) fn explain(config: &BrokerConfig) -> Told {
    let examined = config.examine();
    let mut told = Told {
        lines: Vec::new(),
        warnings: config.warnings(),
        errors: examined.errors,
    };
    told.warnings.extend(examined.warnings);
    told.say(
        "broker",
        format!("the engine at {}", config.engine.display()),
    );
    let gate = match &config.gate_user {
        Some(user) => format!("the user `{user}`"),
        None => "the broker's own user".to_owned(),
    };
    told.say(
        "gate",
        format!(
            "{gate} alone is heard, at {} (mode {:03o})",
            config.socket.display(),
            config.socket_mode
        ),
    );
    let user = match &config.user {
        Some(user) => format!("becomes the user `{user}`"),
        None => "stays the user that starts it".to_owned(),
    };
    told.say(
        "process",
        format!("{user}; sandbox {}", super::sandbox(config.sandbox)),
    );
    told.say(
        "streams",
        match config.streams {
            Streams::OutliveToken => "go on to their own end when their token is over",
            Streams::EndWithToken => "end with their token",
        },
    );
    told.say(
        "records",
        format!(
            "in {}, signed by the key in {}",
            config.audit().display(),
            config.audit_key.display()
        ),
    );
    rotation(config, &mut told);
    for settings in &config.issuers {
        issuer::explain(settings, &mut told);
        issuer::explain_rights(settings, &mut told);
    }
    policy(config, &mut told);
    floor(config, &mut told);
    told
}

fn rotation(config: &BrokerConfig, told: &mut Told) {
    let Some(rotation) = &config.rotation else {
        told.say("records", "all of them stay there");
        return;
    };
    let archive = rotation.archive.display();
    let age = rotation.age.map(|age| {
        let hours = age.as_secs() / 3600;
        match (hours / 24, hours % 24) {
            (days, 0) if days > 0 => format!("what is older than {days} days"),
            _ => format!("what is older than {} hours", hours),
        }
    });
    let many = rotation
        .records
        .map(|records| format!("what is before the last {records}"));
    let what: Vec<String> = age.into_iter().chain(many).collect();
    told.say(
        "records",
        format!("{} moves to {archive} while it runs", what.join(", and ")),
    );
}

fn policy(config: &BrokerConfig, told: &mut Told) {
    let mode = match config.policy_mode {
        PolicyMode::Enforce => "what no policy permits is refused",
        PolicyMode::WouldDeny => {
            "what no policy permits is done and noted, since `policy_mode` is `would-deny`"
        }
    };
    let (set, place) = match &config.policy {
        None => (PolicySet::shipped(), "the shipped policies".to_owned()),
        Some(path) => (
            PolicySet::load(path),
            format!("those in {}", path.display()),
        ),
    };
    // What is wrong with them is among the errors.
    let count = set.map_or(String::new(), |set| {
        format!(", {} of them", set.policies().len())
    });
    told.say("policy", format!("{place}{count}; {mode}"));
}

fn floor(config: &BrokerConfig, told: &mut Told) {
    let images = match (config.images.local, config.images.allow.is_empty()) {
        (true, _) => "every image that the engine has".to_owned(),
        (false, true) => "none, so that no container can be made: set `images.allow`".to_owned(),
        (false, false) => String::new(),
    };
    told.say("images", listed(&config.images.allow, &images));
    if config.images.local && !config.images.allow.is_empty() {
        told.say("images", images);
    }
    let limits = &config.limits;
    told.say(
        "limits",
        format!(
            "memory {} where a container does not say, {} at most; {} processes, {} at most",
            size(limits.memory_default),
            size(limits.memory_max),
            limits.pids_default,
            limits.pids_max
        ),
    );
    told.say(
        "limits",
        format!(
            "/dev/shm {}, a tmpfs {}, log files {} at most",
            size(limits.shm_max),
            size(limits.tmpfs_max),
            size(limits.log_max)
        ),
    );
    let capabilities = &config.capabilities;
    let names = |set: &std::collections::BTreeSet<cofferdam_action::container::Capability>| {
        listed(set.iter().map(|it| it.as_str()), "none")
    };
    told.say(
        "capabilities",
        format!("kept: {}", names(&capabilities.keep)),
    );
    told.say(
        "capabilities",
        format!("may be asked for: {}", names(&capabilities.add)),
    );
    told.say(
        "health",
        format!("a health command takes the scope `{}`", config.exec_scope),
    );
    if config.exceptions.is_empty() {
        told.say("exceptions", "none: the floor refuses all that it can");
    }
    for exception in &config.exceptions {
        told.say("exceptions", except(exception));
    }
}

/// The exception as it is written, on one line.
fn except(exception: &Exception) -> String {
    let written = toml::to_string(exception).unwrap_or_default();
    let lines: Vec<&str> = written.lines().collect();
    lines.join(", ")
}
