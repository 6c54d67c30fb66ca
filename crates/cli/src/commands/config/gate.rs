//! What a `gate.toml` means.

use super::{Told, issuer, size};
use cofferdam_gate::GateConfig;
use cofferdam_gate::config::ClientCertificates;

pub(super) fn explain(config: &GateConfig) -> Told {
    let examined = config.examine();
    let mut told = Told {
        lines: Vec::new(),
        warnings: config.warnings(),
        errors: examined.errors,
    };
    told.warnings.extend(examined.warnings);
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
