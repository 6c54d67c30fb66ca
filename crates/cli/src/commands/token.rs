//! `cofferdam token`: verifies, shows and mints access tokens.

use crate::exit::Exit;
use crate::input::{self, Failure};
use crate::output;
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::requirement::{Denial, all_of, scope};
use cofferdam_token::{
    Algorithm, IssuerPolicy, JwkSet, Profile, Verified, Verifier, danger, inspect, is_scope,
};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest text that is taken for a token, in bytes.
const MAX_TOKEN: u64 = 1 << 20;

/// Verifies, shows and mints access tokens. A token is read from standard input, never from the
/// command line, where every user of the machine can read it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(VerifyArgs),
    /// Decodes a token and believes nothing of it.
    Inspect,
    Mint(MintArgs),
    /// Makes a new private key, for development, and prints it in PEM.
    Key {
        /// What it signs with.
        #[arg(long, value_name = "ALG", default_value = "ES256", value_parser = algorithm)]
        alg: Algorithm,
    },
    /// Prints the JWK set of a private key.
    Jwks {
        /// PKCS#8, PKCS#1 or SEC1 in PEM.
        key: PathBuf,
        /// What it signs with, for RSA keys.
        #[arg(long, value_name = "ALG", value_parser = algorithm)]
        alg: Option<Algorithm>,
    },
}

/// Verifies a token: prints whose it is and answers 0, or says why it is refused and answers 1.
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The issuer's JWK set, or one JWK.
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// The issuer, exactly as in `iss`.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The name by which tokens are for this API. May be repeated.
    #[arg(long, value_name = "NAME", required = true)]
    audience: Vec<String>,
    /// The kind of token that the issuer makes.
    #[arg(long, value_name = "PROFILE", default_value = "rfc9068", value_parser = profile)]
    profile: Profile,
    /// An algorithm to accept, such as RS256. May be repeated; without it every asymmetric one.
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    alg: Vec<Algorithm>,
    /// The time to judge by, in seconds since 1970; now, where it is left out.
    #[arg(long, value_name = "UNIXTIME")]
    at: Option<u64>,
    /// How far the clocks may be apart, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    leeway: u64,
    /// A scope that the token must have. May be repeated.
    #[arg(long, value_name = "SCOPE", value_parser = one_scope)]
    scope: Vec<String>,
}

/// Mints a token with a development key.
#[derive(Debug, clap::Args)]
struct MintArgs {
    /// The private key, PKCS#8, PKCS#1 or SEC1 in PEM; `cofferdam token key` makes one.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What to sign with, for RSA keys.
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    alg: Option<Algorithm>,
    /// `kid` in the header; the key's thumbprint, where it is left out.
    #[arg(long, value_name = "ID")]
    kid: Option<String>,
    /// `iss`.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// `aud`. May be repeated.
    #[arg(long, value_name = "NAME", required = true)]
    audience: Vec<String>,
    /// `sub`.
    #[arg(long, value_name = "NAME", default_value = "dev")]
    subject: String,
    /// `client_id`.
    #[arg(long, value_name = "NAME", default_value = "dev")]
    client: String,
    /// A scope to grant. May be repeated.
    #[arg(long, value_name = "SCOPE", value_parser = one_scope)]
    scope: Vec<String>,
    /// Any other claim, its value in JSON; `null` leaves a claim out. May be repeated.
    #[arg(long, value_name = "NAME=JSON", value_parser = member)]
    claim: Vec<(String, Value)>,
    /// Any other header member, its value in JSON. May be repeated.
    #[arg(long, value_name = "NAME=JSON", value_parser = member)]
    header: Vec<(String, Value)>,
    /// How long it lives.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    lifetime: u64,
    /// The time of issue, in seconds since 1970; now, where it is left out.
    #[arg(long, value_name = "UNIXTIME")]
    at: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Verify(args) => verify(args),
        Command::Inspect => show(),
        Command::Mint(args) => mint(args),
        Command::Key { alg } => {
            let key = SigningKey::generate(*alg).and_then(|key| key.to_pem());
            output::print(&key.map_err(Failure::new)?)?;
            Ok(Exit::Clean)
        }
        Command::Jwks { key, alg } => {
            let set = json!({ "keys": [signing_key(key, *alg)?.public_jwk()] });
            output::print(&format!("{set:#}\n"))?;
            Ok(Exit::Clean)
        }
    }
}

fn verify(args: &VerifyArgs) -> Result<Exit, Failure> {
    let hmac = args.alg.iter().any(|algorithm| algorithm.is_hmac());
    let mut policy = IssuerPolicy::new(&args.issuer, keys(args, hmac)?)
        .profile(args.profile)
        .leeway(Duration::from_secs(args.leeway));
    for audience in &args.audience {
        policy = policy.audience(audience);
    }
    if !args.alg.is_empty() {
        policy = policy.algorithms(args.alg.iter().copied());
    }
    if hmac {
        output::warn("with an HMAC algorithm whoever can verify a token can mint one as well");
        policy = danger::allow_hmac(policy);
    }
    let verifier = Verifier::new([policy]).map_err(Failure::new)?;
    let now = args.at.map_or_else(now, Ok)?;
    let verdict = token()?.map(|token| verifier.verify(&token, now));
    let token = match verdict {
        Some(Ok(token)) => token,
        Some(Err(rejection)) => return Ok(refused(&rejection, rejection.id())),
        None => {
            return Ok(refused(
                &"standard input is not text of at most 1 MiB",
                "not-compact",
            ));
        }
    };
    let needed = all_of(args.scope.iter().map(scope));
    match needed.check(&token, now).into_result() {
        Ok(()) => output::print(&format!("{:#}\n", principal(&token)?))?,
        Err(denial @ Denial::Insufficient { .. }) => {
            return Ok(refused(&denial, "insufficient-scope"));
        }
        Err(denial) => return Ok(refused(&denial, denial.code().as_str())),
    }
    Ok(Exit::Clean)
}

/// The key file as a set: one JWK alone is as good.
fn keys(args: &VerifyArgs, hmac: bool) -> Result<JwkSet, Failure> {
    let name = args.jwks.display();
    let mut text = input::text(&args.jwks)?;
    let bare = |text: &str| {
        serde_json::from_str::<Value>(text).is_ok_and(|value| value.get("kty").is_some())
    };
    if bare(&text) {
        text = format!(r#"{{"keys":[{text}]}}"#);
    }
    let keys = match hmac {
        true => danger::jwk_set_with_secrets(text.as_bytes()),
        false => JwkSet::parse(text.as_bytes()),
    };
    let keys = keys.map_err(|error| Failure::new(format!("cannot use `{name}`: {error}")))?;
    for skipped in keys.skipped() {
        output::warn(&format!(
            "key {} of `{name}` is not used: {}",
            skipped.index, skipped.error
        ));
    }
    Ok(keys)
}

fn principal(token: &Verified) -> Result<Value, Failure> {
    let claims = token.claims();
    let all: Value = serde_json::from_str(claims.json()).map_err(Failure::new)?;
    Ok(json!({
        "issuer": token.issuer(),
        "subject": token.subject(),
        "client_id": token.client_id(),
        "scopes": token.scopes().iter().collect::<Vec<_>>(),
        "audience": claims.audience().collect::<Vec<_>>(),
        "expires_at": token.expires_at(),
        "claims": all,
    }))
}

fn show() -> Result<Exit, Failure> {
    let Some(token) = token()? else {
        return Ok(refused(
            &"standard input is not text of at most 1 MiB",
            "not-compact",
        ));
    };
    let token = match inspect(&token) {
        Ok(token) => token,
        Err(error) => return Ok(refused(&error, "no-token")),
    };
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(Failure::new);
    let shown = json!({
        "verified": false,
        "header": parse(token.header().text())?,
        "claims": parse(token.claims().text())?,
        "signature_bytes": token.signature().len(),
    });
    output::print(&format!("{shown:#}\n"))?;
    Ok(Exit::Clean)
}

fn mint(args: &MintArgs) -> Result<Exit, Failure> {
    let mut key = signing_key(&args.key, args.alg)?;
    if let Some(kid) = &args.kid {
        key = key.with_kid(kid);
    }
    let issuer = Issuer::new(&args.issuer, key);
    let mut token = issuer
        .token(&args.subject)
        .client(&args.client)
        .lifetime(args.lifetime);
    for audience in &args.audience {
        token = token.audience(audience);
    }
    for scope in &args.scope {
        token = token.scope(scope);
    }
    for (name, value) in &args.claim {
        token = token.claim(name, value.clone());
    }
    for (name, value) in &args.header {
        token = token.header(name, value.clone());
    }
    let token = token
        .mint(args.at.map_or_else(now, Ok)?)
        .map_err(Failure::new)?;
    output::print(&format!("{token}\n"))?;
    Ok(Exit::Clean)
}

fn signing_key(file: &std::path::Path, alg: Option<Algorithm>) -> Result<SigningKey, Failure> {
    let name = file.display();
    let failed = |error| Failure::new(format!("cannot use `{name}`: {error}"));
    let key = SigningKey::from_pem(input::key(file)?.reveal()).map_err(failed)?;
    match alg {
        Some(alg) => key.with_algorithm(alg).map_err(failed),
        None => Ok(key),
    }
}

/// Standard input without the line feed that a shell adds; `None` where it is too long or no text.
fn token() -> Result<Option<String>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_TOKEN + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    if bytes.len() as u64 > MAX_TOKEN {
        return Ok(None);
    }
    let Ok(mut text) = String::from_utf8(bytes) else {
        return Ok(None);
    };
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(Some(text))
}

fn refused(reason: &dyn std::fmt::Display, id: &str) -> Exit {
    output::note(&format!("refused: {reason} ({id})"));
    Exit::Failed
}

fn now() -> Result<u64, Failure> {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .map_err(|_| Failure::new("the clock is before 1970").hint("give the time with `--at`"))
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Algorithm::ASYMMETRIC
            .iter()
            .map(|each| each.name())
            .collect();
        format!(
            "an algorithm is one of {}, HS256, HS384, HS512",
            known.join(", ")
        )
    })
}

fn profile(name: &str) -> Result<Profile, String> {
    // The names by which other tools and documents call some of them.
    let own = match name {
        "oidc-generic" => "jwt",
        "k8s-bound-sa" => "kubernetes",
        "spiffe-jwt-svid" => "spiffe",
        own => own,
    };
    Profile::from_name(own).ok_or_else(|| {
        let known: Vec<_> = Profile::ALL.iter().map(Profile::name).collect();
        format!("a profile is one of {}", known.join(", "))
    })
}

fn one_scope(text: &str) -> Result<String, String> {
    match is_scope(text) {
        true => Ok(text.to_owned()),
        false => Err("a scope has no spaces, quotes or backslashes; repeat the option".to_owned()),
    }
}

fn member(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("give it as NAME=JSON")?;
    let value = serde_json::from_str(value)
        .map_err(|_| format!("`{value}` is not JSON; a string is NAME='\"text\"'"))?;
    Ok((name.to_owned(), value))
}
