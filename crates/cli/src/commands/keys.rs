//! `cofferdam keys`.

use super::scan::block_on;
use crate::exit::Exit;
use crate::input::{self, Failure};
use crate::output;
use cofferdam_report::visible;
use cofferdam_token::JwkSet;
use cofferdam_token::fetch::{Client, KeySource, fetch_keys};
use cofferdam_token::settings::IssuerSettings;
use jiff::SignedDuration;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Keeps the files of issuers' keys fresh, for a broker that has no network.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Sync(SyncArgs),
}

/// Fetches the keys of every issuer of a configuration that says where they are published, and
/// writes them to the issuer's `keys` file. What cannot be fetched or has no key that can be used
/// leaves the file as it is. Broker and gate read a file again when it changes.
#[derive(Debug, clap::Args)]
struct SyncArgs {
    /// The configuration of the broker. Of each `[[issuer]]`, `keys` says the file, and
    /// `jwks_uri` or `discover = true` where the keys are published.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Goes on until it is interrupted, fetching this often: `5m`, `1h`. Without it, once.
    #[arg(long, value_name = "TIME", value_parser = interval)]
    every: Option<Duration>,
    /// Certificate authorities to trust instead of the system's, PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let Command::Sync(args) = &args.command;
    let client = client(args.ca.as_deref())?;
    block_on(|cancel| async move {
        let first = sync(&args.config, &client).await?;
        let Some(every) = args.every else {
            return Ok(first);
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = cancel.cancelled() => return Ok(Exit::Clean),
            }
            // What fails now has worked once: it may be over by the next time.
            if let Err(failure) = sync(&args.config, &client).await {
                output::warn(&failure.to_string());
            }
        }
    })?
}

/// Fetches the keys of every issuer once.
async fn sync(config: &Path, client: &Client) -> Result<Exit, Failure> {
    let mut exit = Exit::Clean;
    for issuer in issuers(config)? {
        let name = visible(&issuer.issuer);
        let Some((file, source)) = wanted(&issuer) else {
            output::note(&format!(
                "{name}: left alone; `keys` with `jwks_uri` or `discover = true` would fetch its keys"
            ));
            continue;
        };
        match one(&issuer, file, &source, client).await {
            Ok(change) => output::print(&format!("{name}: {}\n", visible(&change)))?,
            Err(why) => {
                output::warn(&format!(
                    "{name}: `{}` stays as it is: {why}",
                    file.display()
                ));
                exit = Exit::Error;
            }
        }
    }
    Ok(exit)
}

/// Which file is to be written from where.
fn wanted(issuer: &IssuerSettings) -> Option<(&Path, KeySource)> {
    let file = issuer.keys.as_deref()?;
    let source = match &issuer.jwks_uri {
        Some(url) => KeySource::Url(url.clone()),
        None if issuer.discover => KeySource::Discovery,
        None => return None,
    };
    Some((file, source))
}

async fn one(
    issuer: &IssuerSettings,
    file: &Path,
    source: &KeySource,
    client: &Client,
) -> Result<String, String> {
    let (document, keys) = fetch_keys(client, &issuer.issuer, source)
        .await
        .map_err(|error| error.to_string())?;
    let before = std::fs::read(file).ok();
    if before.as_ref() == Some(&document) {
        return Ok("unchanged".to_owned());
    }
    output::write_public(file, &document).map_err(|error| error.to_string())?;
    let before = before.and_then(|bytes| IssuerSettings::parse_keys(&bytes).ok());
    Ok(match before {
        None => format!("written, with {}", listed(&ids(&keys))),
        Some(before) => changed(&ids(&before), &ids(&keys)),
    })
}

/// The ids of keys; a key without one is known by its thumbprint (RFC 7638).
fn ids(keys: &JwkSet) -> BTreeSet<String> {
    let id = |key: &cofferdam_token::Jwk| key.kid().unwrap_or(key.thumbprint()).to_owned();
    keys.keys().iter().map(id).collect()
}

fn changed(before: &BTreeSet<String>, after: &BTreeSet<String>) -> String {
    let added: BTreeSet<_> = after.difference(before).cloned().collect();
    let removed: BTreeSet<_> = before.difference(after).cloned().collect();
    match (added.is_empty(), removed.is_empty()) {
        (true, true) => "written, with the same key ids".to_owned(),
        (false, true) => format!("added {}", listed(&added)),
        (true, false) => format!("removed {}", listed(&removed)),
        (false, false) => format!("added {}; removed {}", listed(&added), listed(&removed)),
    }
}

fn listed(ids: &BTreeSet<String>) -> String {
    let ids: Vec<_> = ids.iter().map(|id| format!("`{id}`")).collect();
    ids.join(", ")
}

/// What gate and broker have in common.
#[derive(serde::Deserialize)]
struct Issuers {
    #[serde(default)]
    issuer: Vec<IssuerSettings>,
}

fn issuers(config: &Path) -> Result<Vec<IssuerSettings>, Failure> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failure::new(format!(
            "`{}` is no configuration of a broker or a gate: {why}",
            config.display()
        ))
    };
    let mut read: Issuers = toml::from_str(&input::text(config)?).map_err(|error| wrong(&error))?;
    // As gate and broker read it: a relative path begins at the directory of the file.
    let directory = config.parent().unwrap_or(config);
    for keys in read.issuer.iter_mut().filter_map(|it| it.keys.as_mut()) {
        *keys = directory.join(&keys);
    }
    match read.issuer.is_empty() {
        true => Err(wrong(&"it has no `[[issuer]]`")),
        false => Ok(read.issuer),
    }
}

fn client(ca: Option<&Path>) -> Result<Client, Failure> {
    let Some(file) = ca else {
        return Client::new().map_err(Failure::new);
    };
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::new(format!("cannot use `{}`: {why}", file.display()))
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))?;
    for certificate in certificates {
        roots
            .add(certificate.map_err(|error| unusable(&error))?)
            .map_err(|error| unusable(&error))?;
    }
    match roots.is_empty() {
        true => Err(unusable(&"there is no certificate in it")),
        false => Client::with_roots(roots).map_err(Failure::new),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let wrong = "a time is like `5m` or `1h`, and at least `10s`";
    let time: SignedDuration = text.parse().map_err(|_| wrong)?;
    Duration::try_from(time)
        .ok()
        .filter(|time| time.as_secs() >= 10)
        .ok_or_else(|| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_by_key_ids() {
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(
            changed(&set(&["a", "b"]), &set(&["b", "c"])),
            "added `c`; removed `a`"
        );
        assert_eq!(changed(&set(&["a"]), &set(&["a", "c"])), "added `c`");
        assert_eq!(changed(&set(&["a", "b"]), &set(&["a"])), "removed `b`");
    }

    #[test]
    fn keys_are_fetched_at_most_every_ten_seconds() {
        assert_eq!(interval("5m"), Ok(Duration::from_secs(300)));
        for text in ["", "5", "1s", "-5m"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
