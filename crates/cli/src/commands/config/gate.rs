//! What a `gate.toml` means.

use super::{Told, issuer, size};
use cofferdam_gate::GateConfig;
use cofferdam_gate::config::ClientCertificates;
use cofferdam_token::settings::KeyFile;
use std::io::ErrorKind;
use std::path::Path;

pub(super) fn explain(config: &GateConfig) -> Told {
    let mut told = Told {
        lines: Vec::new(),
        warnings: config.warnings(),
        errors: Vec::new(),
    };
    for (name, address) in [
        ("the Docker API", config.listen),
        ("the REST API", config.listen_rest),
    ] {
        if let Some(address) = address {
            told.say("gate", format!("{name} at {address}"));
        }
    }
    match &config.tls {
        Some(tls) => {
            told.say(
                "tls",
                format!("by the certificate in {}", tls.cert.display()),
            );
            let mut are_there = true;
            for file in [&tls.cert, &tls.key].into_iter().chain(&tls.client_ca) {
                are_there &= file_is_there(file, &mut told);
            }
            if are_there && let Err(error) = tls.check() {
                told.errors.push(error.to_string());
            }
            if let Some(authority) = &tls.client_ca {
                let must = match tls.client_certificates {
                    ClientCertificates::Required => "must",
                    ClientCertificates::Optional => "may",
                };
                told.say(
                    "tls",
                    format!(
                        "a client {must} show a certificate by {}",
                        authority.display()
                    ),
                );
            }
        }
        None if config.plain_http => told.say("tls", "none: a proxy in front does it"),
        None => told.say("tls", "none: this machine alone is served"),
    }
    told.say("broker", format!("at {}", config.broker.display()));
    let user = match &config.user {
        Some(user) => format!("becomes the user `{user}`"),
        None => "stays the user that starts it".to_owned(),
    };
    let sandbox = super::sandbox(config.sandbox);
    told.say("process", format!("{user}; sandbox {sandbox}"));
    if let Some(url) = &config.public_url {
        told.say("clients", format!("know the REST API as {url}"));
    }
    for settings in &config.issuers {
        issuer::explain(settings, &mut told);
        if let Some(file) = &settings.keys
            && file_is_there(file, &mut told)
            && let Err(error) = KeyFile::open(file)
        {
            told.errors.push(format!("`{}`: {error}", file.display()));
        }
    }
    let user = config.user.as_deref().map(cofferdam_sandbox::user_number);
    let group = config.group.as_deref().map(cofferdam_sandbox::group_number);
    for (key, found) in [("user", user), ("group", group)] {
        if let Some(Err(error)) = found {
            told.errors.push(format!("`{key}`: {error}"));
        }
    }
    let limits = &config.limits;
    told.say(
        "limits",
        format!(
            "of one principal: {} requests a second and {} at once, {} under way, {} streams",
            limits.requests_per_second, limits.burst, limits.concurrent, limits.streams
        ),
    );
    told.say(
        "limits",
        format!(
            "{} connections, {} of one address; an upload has {} at most",
            limits.connections,
            limits.connections_per_peer,
            size(limits.archive)
        ),
    );
    told
}

/// Whether a file can be read. What only its own user may read is not looked at.
fn file_is_there(file: &Path, told: &mut Told) -> bool {
    let Err(error) = std::fs::File::open(file) else {
        return true;
    };
    let place = file.display();
    match error.kind() {
        ErrorKind::PermissionDenied => told.warnings.push(format!(
            "`{place}` may not be read by this user, and was not looked at"
        )),
        _ => told
            .errors
            .push(format!("`{place}` cannot be read: {error}")),
    }
    false
}
