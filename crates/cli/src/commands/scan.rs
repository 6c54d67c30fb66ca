//! `cofferdam scan`.

use crate::exit::Exit;
use crate::input::{self, Failure, IdentityArg};
use crate::output;
use crate::progress::{Mode, Progress};
use cofferdam_assess::{AssessOptions, DeploymentFile};
use cofferdam_scan::{Level, ScanOptions, Target, Template};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Scans an HTTP API behind bearer tokens, joined with how its container is deployed.
///
/// Nothing but the host and port of URL is asked. Without --active only GET, HEAD, OPTIONS and text
/// prompts to model endpoints are sent. A token is read from a file, an environment variable or
/// standard input, never from the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The base URL of the API.
    #[arg(value_name = "URL")]
    target: String,

    /// The API description: OpenAPI or Swagger in JSON or YAML, or a HAR file. Without it the
    /// well-known paths are tried, then discovery.
    #[arg(
        long,
        value_name = "FILE|URL",
        help_heading = "What is known of the service"
    )]
    spec: Option<String>,
    /// A token and a name for its holder. Two of different tenants or users let the scan prove
    /// what one can do to the other. May be repeated.
    #[arg(
        long,
        value_name = "NAME=@FILE|env:VAR|-",
        help_heading = "What is known of the service"
    )]
    identity: Vec<IdentityArg>,
    /// How a token is put on a request.
    #[arg(
        long,
        value_name = "HEADER",
        default_value = "Authorization: Bearer {token}",
        help_heading = "What is known of the service"
    )]
    auth_header: String,
    /// The private key of a staging issuer, PEM or JWK: with it exact negatives are minted, such
    /// as a valid token for another audience.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "What is known of the service"
    )]
    signing_key: Option<PathBuf>,
    /// The public JWK set of the issuer.
    #[arg(
        long,
        value_name = "FILE|URL",
        help_heading = "What is known of the service"
    )]
    jwks: Option<String>,
    /// A deployment file of the service: compose, `docker inspect` or `docker info` in JSON. May
    /// be repeated.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "What is known of the service"
    )]
    deployment: Vec<PathBuf>,
    /// The compose service or container that the API runs in, where the files name several.
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "What is known of the service"
    )]
    service: Option<String>,

    /// Also sends what could change state: other methods, commands, writes. Each change is undone
    /// or reported.
    #[arg(long, help_heading = "What may be sent")]
    active: bool,
    /// Also sends what destroys: deletes, resets, the identities' own credentials.
    #[arg(long, help_heading = "What may be sent")]
    destructive: bool,
    /// Lets a proven server-side request ask the container runtime and the metadata service.
    #[arg(long, help_heading = "What may be sent")]
    internal: bool,
    /// Runs only this check. May be repeated.
    #[arg(long, value_name = "ID", help_heading = "What may be sent")]
    check: Vec<String>,
    /// The most requests that are sent.
    #[arg(long, value_name = "N", default_value_t = 10_000, help_heading = "What may be sent",
        value_parser = clap::value_parser!(u32).range(1..))]
    max_requests: u32,
    /// Requests a second [default: 50, without limit on loopback].
    #[arg(long, value_name = "N", help_heading = "What may be sent",
        value_parser = rate)]
    rate: Option<f64>,
    /// Requests under way at the same time [default: 8, 16 on loopback].
    #[arg(long, value_name = "N", help_heading = "What may be sent",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: Option<u16>,
    /// Seconds for one request, from connecting to the last byte.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, help_heading = "What may be sent",
        value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Seconds for the whole scan.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, help_heading = "What may be sent",
        value_parser = clap::value_parser!(u64).range(1..))]
    time_limit: u64,

    /// The URL under which the target reaches this machine, for callbacks; not needed on loopback.
    #[arg(long, value_name = "URL", help_heading = "Network")]
    callback_url: Option<String>,
    /// An HTTP proxy. Proxy variables of the environment are ignored.
    #[arg(long, value_name = "URL", help_heading = "Network")]
    proxy: Option<String>,
    /// Certificate authorities to trust instead of the system's, PEM.
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    ca: Option<PathBuf>,
    /// Takes any certificate.
    #[arg(long, help_heading = "Network", conflicts_with = "ca")]
    insecure: bool,

    #[command(flatten)]
    output: output::Args,
}

pub(crate) fn run(args: Args) -> Result<Exit, Failure> {
    let options = args.options()?;
    let progress = Arc::new(Progress::new(Mode::here(args.output.quiet)));
    let assessment = block_on(|cancel| {
        let progress = Arc::clone(&progress);
        cofferdam_assess::assess(options, move |event| progress.event(&event), cancel)
    })?;
    progress.finish();
    let assessment = assessment.map_err(Failure::new)?;
    args.output.finish(&assessment)
}

impl Args {
    fn options(&self) -> Result<AssessOptions, Failure> {
        let target = Target::parse(&self.target).map_err(Failure::new)?;
        let mut scan = ScanOptions::new(target);
        let template = Template::parse(&self.auth_header).map_err(Failure::new)?;
        scan.identities = input::identities(&self.identity, Some(&template))?;
        scan.spec = self.spec.as_deref().map(input::spec).transpose()?;
        scan.signing_key = self.signing_key.as_deref().map(input::key).transpose()?;
        scan.jwks = self.jwks.as_deref().map(input::spec).transpose()?;
        scan.level = match (self.destructive, self.active) {
            (true, _) => Level::Destructive,
            (false, true) => Level::Active,
            (false, false) => Level::Safe,
        };
        scan.internal = self.internal;
        scan.callback_url.clone_from(&self.callback_url);
        scan.proxy = self
            .proxy
            .as_deref()
            .map(Target::parse)
            .transpose()
            .map_err(|error| Failure::new(format!("--proxy: {error}")))?;
        scan.ca = self
            .ca
            .as_deref()
            .map(input::text)
            .transpose()?
            .map(String::into_bytes);
        scan.insecure = self.insecure;
        scan.limits.requests = self.max_requests;
        scan.limits.timeout = Duration::from_secs(self.timeout);
        scan.limits.wall = Duration::from_secs(self.time_limit);
        scan.limits.rate = self.rate.or(scan.limits.rate);
        scan.limits.concurrency = self
            .concurrency
            .map_or(scan.limits.concurrency, usize::from);
        scan.only = only(&self.check)?;
        Ok(AssessOptions {
            scan,
            deployment: deployment(&self.deployment)?,
            service: self.service.clone(),
        })
    }
}

/// Reads deployment files.
pub(crate) fn deployment(files: &[PathBuf]) -> Result<Vec<DeploymentFile>, Failure> {
    files
        .iter()
        .map(|file| {
            Ok(DeploymentFile {
                name: file.display().to_string(),
                text: input::text(file)?,
            })
        })
        .collect()
}

/// Runs a future with a token that Ctrl-C (or SIGTERM) cancels; a second one ends the process.
pub(crate) fn block_on<F, R>(start: impl FnOnce(CancellationToken) -> F) -> Result<R, Failure>
where
    F: Future<Output = R>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let result = runtime.block_on(async {
        let cancel = CancellationToken::new();
        let interrupted = cancel.clone();
        // Before anything is said upon which somebody may send one.
        let mut interrupts = Interrupts::new()?;
        tokio::spawn(async move {
            interrupts.next().await;
            interrupted.cancel();
            interrupts.next().await;
            std::process::exit(i32::from(Exit::Error.code()));
        });
        Ok(start(cancel).await)
    });
    // What still hangs in a blocking call must not hold the report back.
    runtime.shutdown_background();
    result
}

/// Ctrl-C, and SIGTERM.
struct Interrupts {
    pressed: Signal,
    terminated: Signal,
}

impl Interrupts {
    fn new() -> Result<Self, Failure> {
        let of = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("cannot heed signals: {error}")))
        };
        Ok(Self {
            pressed: of(SignalKind::interrupt())?,
            terminated: of(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.pressed.recv() => {}
            _ = self.terminated.recv() => {}
        }
    }
}

fn only(checks: &[String]) -> Result<Option<std::collections::BTreeSet<String>>, Failure> {
    for id in checks {
        if !cofferdam_scan::checks::ALL
            .iter()
            .any(|check| check.meta.id == id)
        {
            return Err(Failure::new(format!("no check is called `{id}`"))
                .hint("`cofferdam explain` lists them"));
        }
    }
    Ok((!checks.is_empty()).then(|| checks.iter().cloned().collect()))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a rate is a number above 0".to_owned()),
    }
}
