//! Verifying tokens, beside `jsonwebtoken` and beside the bare signature.
//!
//! `cargo run --release -p cofferdam-bench --bin token`
//!
//! The floor is what aws-lc-rs takes to verify the same bytes with a key that was parsed before:
//! nobody can be faster without believing a token. Each row is measured in turns, many times, and
//! the best turn of each counts: what disturbs a machine only ever adds.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents};
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::{Algorithm, IssuerPolicy, Rejection, Verifier, base64url, danger};
use serde::Deserialize;
use serde_json::{Value, json};

const NOW: u64 = 1_795_505_225;
const TURNS: usize = 60;

#[derive(Deserialize)]
#[expect(
    dead_code,
    reason = "read so that the rival does what an application asks of it"
)]
struct RivalClaims {
    iss: String,
    sub: String,
    aud: Value,
    exp: u64,
    iat: u64,
    jti: String,
    client_id: String,
    scope: String,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    println!(
        "| algorithm | floor µs | cofferdam cold | ×floor | jsonwebtoken | ×floor | warm | × faster than jsonwebtoken |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ] {
        compare(algorithm)?;
    }
    refused()?;
    memory()
}

fn compare(algorithm: Algorithm) -> Result<(), Failure> {
    let issuer = Issuer::new(
        "https://idp.example/realms/main",
        SigningKey::generate(algorithm)?,
    );
    let token = token(&issuer)?;
    let policy = || {
        IssuerPolicy::new(issuer.url(), issuer.key_set())
            .audience("https://containers.example")
            .algorithms([algorithm])
    };
    let cold = Verifier::new([policy()])?;
    let warm = Verifier::new([policy()])?.cache(1024);

    let (signed, encoded) = token.rsplit_once('.').ok_or("no token")?;
    let raw = base64url::decode(encoded).ok_or("no signature")?;
    let floor_key = parse(algorithm, &issuer.key().public_jwk())?;

    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(issuer.key().public_jwk())?;
    let rival_key = jsonwebtoken::DecodingKey::from_jwk(&jwk)?;
    let mut rules = jsonwebtoken::Validation::new(algorithm.name().parse()?);
    rules.set_audience(&["https://containers.example"]);
    rules.set_issuer(&[issuer.url()]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Its clock is the system's; the token is from another time.
    rules.validate_exp = false;

    let best = turns([
        &mut || floor_key.verify_sig(signed.as_bytes(), &raw).is_ok(),
        &mut || cold.verify(black_box(&token), NOW).is_ok(),
        &mut || jsonwebtoken::decode::<RivalClaims>(black_box(&token), &rival_key, &rules).is_ok(),
        &mut || warm.verify(black_box(&token), NOW).is_ok(),
    ]);
    let [floor, cold, rival, warm] = best;
    println!(
        "| {algorithm} ({} bytes) | {floor:.2} | {cold:.2} | {:.3} | {rival:.2} | {:.3} | {warm:.3} | {:.0} |",
        token.len(),
        cold / floor,
        rival / floor,
        rival / warm,
    );
    Ok(())
}

/// A token by RFC 9068 of about 1 kB.
fn token(issuer: &Issuer) -> Result<String, Failure> {
    let mut token = issuer
        .token("5ba552d67a1e4f0d")
        .audience("https://containers.example")
        .scope("containers:read containers:write images:read")
        .claim("groups", json!(["developers", "on-call"]));
    let length = token.clone().mint(NOW)?.len();
    let padding = 1000usize.saturating_sub(length) * 3 / 4;
    token = token.claim("session_state", "x".repeat(padding.saturating_sub(20)));
    Ok(token.mint(NOW)?)
}

fn parse(algorithm: Algorithm, jwk: &Value) -> Result<ParsedPublicKey, Failure> {
    let number = |name: &str| {
        jwk[name]
            .as_str()
            .and_then(base64url::decode)
            .ok_or("no number")
    };
    let key = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 => {
            let components = RsaPublicKeyComponents {
                n: number("n")?,
                e: number("e")?,
            };
            components.to_parsed_public_key(match algorithm {
                Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                _ => &signature::RSA_PSS_2048_8192_SHA256,
            })
        }
        Algorithm::Es256 => {
            let point = [vec![4], number("x")?, number("y")?].concat();
            ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
        }
        _ => ParsedPublicKey::new(&signature::ED25519, number("x")?),
    };
    Ok(key.map_err(|error| error.to_string())?)
}

/// A malformed token of 1 MiB, which must cost next to nothing.
fn refused() -> Result<(), Failure> {
    let issuer = Issuer::new(
        "https://idp.example",
        SigningKey::generate(Algorithm::Es256)?,
    );
    let policy = IssuerPolicy::new(issuer.url(), issuer.key_set()).audience("api");
    let verifier = Verifier::new([policy])?;
    let dots = ".".repeat(1 << 20);
    let field = format!("Bearer {dots}").into_bytes();
    let [verified, parsed] = turns([
        &mut || verifier.verify(black_box(&dots), NOW).is_err(),
        &mut || cofferdam_token::Credentials::parse([black_box(&*field)], 16 << 10).is_err(),
    ]);
    println!("\na megabyte of dots refused: verifier {verified:.4} µs, header {parsed:.4} µs");
    Ok(())
}

/// What a verifier that remembers 10,000 tokens holds after ten million distinct ones, of changing
/// length. They are signed by HMAC, which takes a microsecond where a signature takes many: what is
/// kept, and when it is thrown away, does not depend on the algorithm. Each tenth has a wrong
/// signature.
fn memory() -> Result<(), Failure> {
    let secret = [7; 32];
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let policy = danger::hmac_policy("https://idp.example", &secret, Algorithm::Hs256)?;
    let verifier = Verifier::new([policy.audience("api")])?.cache(10_000);
    let header = base64url::encode(br#"{"alg":"HS256","typ":"at+jwt"}"#);
    let padding = "x".repeat(700);
    println!();
    let (mut accepted, mut refused) = (0u32, 0u32);
    for number in 1..=10_000_000u32 {
        let claims = format!(
            r#"{{"iss":"https://idp.example","sub":"user-{number}","aud":"api","client_id":"web","jti":"{number}","iat":{NOW},"exp":{},"session_state":"{}"}}"#,
            NOW + 300,
            &padding[..number as usize * 31 % 700],
        );
        let mut token = format!("{header}.{}", base64url::encode(claims.as_bytes()));
        let signature = hmac::sign(&key, token.as_bytes());
        let mut signature = signature.as_ref().to_vec();
        if number % 10 == 0 {
            signature[0] ^= 1;
        }
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        match verifier.verify(&token, NOW) {
            Ok(_) => accepted += 1,
            Err(Rejection::SignatureInvalid) => refused += 1,
            Err(other) => return Err(other.id().into()),
        }
        if [100_000, 1_000_000, 3_000_000, 10_000_000].contains(&number) {
            println!(
                "{accepted} distinct tokens accepted, {refused} refused: {} kept, {} KiB resident",
                verifier.cached(),
                resident()?
            );
        }
    }
    Ok(())
}

/// Resident memory in KiB.
fn resident() -> Result<String, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").to_owned())
}

/// The microseconds of one call, in the best of many turns that each has in rotation.
fn turns<const N: usize>(mut subjects: [&mut dyn FnMut() -> bool; N]) -> [f64; N] {
    let mut best = [f64::INFINITY; N];
    for _ in 0..TURNS {
        for (subject, best) in subjects.iter_mut().zip(&mut best) {
            let calls = 200;
            let start = Instant::now();
            for _ in 0..calls {
                assert!(subject(), "a subject does not do what is measured");
            }
            *best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls));
        }
    }
    best
}
