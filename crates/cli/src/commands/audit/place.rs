//! Where the log is, and by which key it is signed.

use crate::input::{self, Failure};
use cofferdam_audit::note::{SigningKey, VerifyingKey};
use cofferdam_audit::reader::Reader;
use cofferdam_broker::BrokerConfig;
use std::path::{Path, PathBuf};

/// Where a configuration is looked for when none is named: that of `gate --dev`, then the system's.
const CONFIGURATIONS: [&str; 2] = ["cofferdam-dev/broker.toml", "/etc/cofferdam/broker.toml"];

/// Which log.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The log")]
#[group(skip)]
pub(super) struct Args {
    /// The directory of the log.
    #[arg(long, value_name = "DIR")]
    log: Option<PathBuf>,
    /// The configuration of the broker, or the DIR of `gate --dev`: it says where the log and its
    /// key are [default: cofferdam-dev/broker.toml, else /etc/cofferdam/broker.toml].
    #[arg(long, value_name = "FILE", conflicts_with = "log")]
    config: Option<PathBuf>,
    /// The verifier key of the log, or a file that holds it.
    #[arg(long, value_name = "VKEY|FILE")]
    key: Option<String>,
}

/// Where what was moved away is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The log")]
#[group(skip)]
pub(super) struct ArchiveArgs {
    /// The directory that old records were moved to [default: that of the configuration].
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
}

/// A log and what is known of its key.
pub(super) struct Place {
    pub(super) log: PathBuf,
    /// Where the broker moves old records, where the configuration says.
    archive: Option<PathBuf>,
    named: Option<String>,
    /// The private key's file, where a configuration names it.
    pub(super) key_file: Option<PathBuf>,
}

impl Args {
    /// The key that the command line names.
    pub(super) fn named_key(&self) -> Result<VerifyingKey, Failure> {
        match &self.key {
            Some(key) => verifying_key(key),
            None => Err(Failure::new("no key is named").hint("name it with `--key`")),
        }
    }
}

impl Place {
    pub(super) fn of(args: &Args) -> Result<Self, Failure> {
        let place = match (&args.log, &args.config) {
            (Some(log), _) => Self {
                log: log.clone(),
                archive: None,
                named: None,
                key_file: None,
            },
            (None, Some(config)) => configured(config)?,
            (None, None) => {
                let there = CONFIGURATIONS.iter().map(Path::new).find(|it| it.exists());
                configured(there.ok_or_else(|| {
                    Failure::new("no log is named, and no configuration is in its usual place")
                        .hint("name the log with `--log DIR` or `--config broker.toml`")
                })?)?
            }
        };
        if !place.log.is_dir() {
            return Err(Failure::new(format!(
                "there is no log in `{}`",
                place.log.display()
            )));
        }
        Ok(Self {
            named: args.key.clone(),
            ..place
        })
    }

    /// Where old records were moved to. One that is named must be there.
    pub(super) fn archive<'a>(
        &'a self,
        args: &'a ArchiveArgs,
    ) -> Result<Option<&'a Path>, Failure> {
        match &args.archive {
            Some(named) if !named.is_dir() => Err(Failure::new(format!(
                "there is no directory `{}`",
                named.display()
            ))),
            Some(named) => Ok(Some(named)),
            None => Ok(self.archive.as_deref()),
        }
    }

    /// The log as it is now, with what was moved away.
    pub(super) fn reader(&self, args: &ArchiveArgs) -> Result<Reader, Failure> {
        let reader = Reader::open(&self.log).map_err(Failure::new)?;
        Ok(reader.with_archive(self.archive(args)?))
    }

    /// The key that verifies the log.
    pub(super) fn key(&self) -> Result<VerifyingKey, Failure> {
        match (&self.named, &self.key_file) {
            (Some(named), _) => verifying_key(named),
            (None, Some(file)) => Ok(signing_key(file)?.verifying_key()),
            (None, None) => Err(Failure::new("the key of the log is not known").hint(
                "name it with `--key`; `cofferdam audit key` prints it on the broker's side",
            )),
        }
    }

    /// The key that signs the log.
    pub(super) fn signing_key(&self) -> Result<SigningKey, Failure> {
        match &self.key_file {
            Some(file) => signing_key(file),
            None => Err(Failure::new("the private key of the log is not known")
                .hint("name the configuration of the broker with `--config`")),
        }
    }
}

/// The key itself, or a file that holds one. Its private half serves too.
fn verifying_key(text: &str) -> Result<VerifyingKey, Failure> {
    if let Ok(key) = VerifyingKey::parse(text) {
        return Ok(key);
    }
    let file = Path::new(text);
    if !file.exists() {
        return Err(
            Failure::new("`--key` is neither a verifier key nor a file that is there")
                .hint("a verifier key is NAME+ID+BASE64, as `cofferdam audit key` prints it"),
        );
    }
    let text = input::key(file)?;
    VerifyingKey::parse(text.reveal().trim()).or_else(|error| {
        match SigningKey::parse(text.reveal().trim()) {
            Ok(key) => Ok(key.verifying_key()),
            Err(_) => Err(Failure::new(format!(
                "`{}` holds no key: {error}",
                file.display()
            ))),
        }
    })
}

fn signing_key(file: &Path) -> Result<SigningKey, Failure> {
    SigningKey::parse(input::key(file)?.reveal().trim())
        .map_err(|error| Failure::new(format!("cannot use `{}`: {error}", file.display())))
}

fn configured(config: &Path) -> Result<Place, Failure> {
    let file = match config.is_dir() {
        true => config.join("broker.toml"),
        false => config.to_owned(),
    };
    let config = BrokerConfig::read(&file).map_err(Failure::new)?;
    Ok(Place {
        log: config.audit(),
        archive: config.rotation.map(|it| it.archive),
        named: None,
        key_file: Some(config.audit_key),
    })
}
