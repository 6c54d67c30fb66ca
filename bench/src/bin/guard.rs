//! What a guarded route costs a server, beside the same route without a guard, and beside
//! `actix-web-httpauth` with `jsonwebtoken`.
//!
//! `cargo run --release -p cofferdam-bench --bin guard`
//!
//! Each server is a process of its own with one worker, and every one of them gets the same
//! requests: 100,000 distinct tokens (RS256, about 1 kB) in a Zipf mix of which about nine in ten were seen before, and
//! then one hot token. What counts is the processor time that the system has booked for the server,
//! divided by the requests: throughput on a busy machine is noise.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use actix_web::{App, HttpServer, web};
use actix_web_httpauth::extractors::bearer::BearerAuth;
use cofferdam_guard::{Guard, Principal, get, resource, scope};
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::{Algorithm, IssuerPolicy, JwkSet, Verifier};
use serde::Deserialize;

type Failure = Box<dyn std::error::Error>;

const TOKENS: usize = 100_000;
const REQUESTS: usize = 200_000;
/// With this many remembered, about nine in ten of the mix are.
const REMEMBERED: usize = 54_000;
const ISSUER: &str = "https://idp.example/realms/main";
const AUDIENCE: &str = "https://containers.example";

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => serve(&arguments.next().unwrap_or_default()),
        _ => compare(),
    }
}

fn compare() -> Result<(), Failure> {
    let issuer = Issuer::new(ISSUER, SigningKey::generate(Algorithm::Rs256)?);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let requests = (0..TOKENS)
        .map(|number| {
            let token = issuer
                .token(format!("user-{number}"))
                .audience(AUDIENCE)
                .scope("containers:read containers:write images:read")
                .claim("session_state", "x".repeat(150))
                .lifetime(86_400)
                .mint(now)?;
            let head = "GET /containers HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ";
            Ok(format!("{head}{token}\r\n\r\n").into_bytes())
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let mix = zipf(TOKENS, REQUESTS);
    println!("| server | Zipf mix, CPU µs per request | × | one hot token | × |");
    println!("|---|---|---|---|---|");
    let mut base = None;
    for kind in ["plain", "guarded", "httpauth"] {
        let (mixed, hot) = measure(kind, &issuer.jwks().to_string(), &requests, &mix)?;
        let (base_mixed, base_hot) = *base.get_or_insert((mixed, hot));
        println!(
            "| {kind} | {mixed:.2} | {:.3} | {hot:.2} | {:.3} |",
            mixed / base_mixed,
            hot / base_hot
        );
    }
    Ok(())
}

fn measure(
    kind: &str,
    keys: &str,
    requests: &[Vec<u8>],
    mix: &[usize],
) -> Result<(f64, f64), Failure> {
    let mut server = Server::start(kind, keys)?;
    // Once through, so that what is remembered is what the mix leaves behind.
    server.ask(requests, mix)?;
    let before = server.counts()?;
    let mixed = server.cost(requests, mix)?;
    if let (Some((hits, misses)), Some((more_hits, more_misses))) = (before, server.counts()?) {
        let (hits, misses) = (more_hits - hits, more_misses - misses);
        let share = hits as f64 * 100.0 / (hits + misses) as f64;
        println!(
            "\n{kind}: {hits} of {} were remembered, {share:.1} %\n",
            hits + misses
        );
    }
    let hot = server.cost(requests, &vec![0; mix.len()])?;
    Ok((mixed, hot))
}

struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(kind: &str, keys: &str) -> Result<Server, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", kind])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        writeln!(child.stdin.as_mut().ok_or("no input")?, "{keys}")?;
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        output.read_line(&mut line)?;
        Ok(Server {
            output,
            address: line.trim().parse()?,
            child,
        })
    }

    /// How often the server has found a token among those it remembers, and how often not, as it
    /// has counted itself; `None` from one that remembers none.
    fn counts(&mut self) -> Result<Option<(u64, u64)>, Failure> {
        writeln!(self.child.stdin.as_mut().ok_or("no input")?)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let Some((hits, misses)) = line.trim().split_once(' ') else {
            return Ok(None);
        };
        Ok(Some((hits.parse()?, misses.parse()?)))
    }

    /// Microseconds of processor time for one request.
    fn cost(&mut self, requests: &[Vec<u8>], mix: &[usize]) -> Result<f64, Failure> {
        let before = self.processor_time()?;
        self.ask(requests, mix)?;
        Ok((self.processor_time()? - before) * 1e6 / mix.len() as f64)
    }

    fn ask(&self, requests: &[Vec<u8>], mix: &[usize]) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        let mut buffer = [0; 4096];
        for &number in mix {
            stream.write_all(&requests[number])?;
            let mut filled = 0;
            // The answer ends in the handler's two characters.
            while !buffer[..filled].ends_with(b"\r\n\r\nok") {
                let count = stream.read(&mut buffer[filled..])?;
                filled += count;
                if count == 0 || filled == buffer.len() {
                    return Err("the server refuses".into());
                }
            }
        }
        Ok(())
    }

    /// User and system time in seconds, as the system has booked it.
    fn processor_time(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name in brackets, which may hold spaces: fields 14 and 15, in ticks of 10 ms.
        let fields = stat.rsplit_once(')').ok_or("no stat")?.1;
        let mut ticks = fields.split_whitespace().skip(11).take(2);
        let mut tick = || -> Result<f64, Failure> { Ok(ticks.next().ok_or("no ticks")?.parse()?) };
        Ok((tick()? + tick()?) / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends by itself as well when its input does.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Which token each request has: the first is asked for most, as in a service with many users.
fn zipf(tokens: usize, requests: usize) -> Vec<usize> {
    let mut sums = Vec::with_capacity(tokens);
    let mut sum = 0.0;
    for rank in 1..=tokens {
        sum += 1.0 / rank as f64;
        sums.push(sum);
    }
    // A linear congruence is chance enough to choose tokens, and the same in every run.
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    (0..requests)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = (state >> 11) as f64 / (1u64 << 53) as f64 * sum;
            sums.partition_point(|sum| *sum < at).min(tokens - 1)
        })
        .collect()
}

#[derive(Deserialize)]
struct RivalClaims {
    sub: String,
    scope: String,
}

/// Serves on a free port, which it prints, with one worker, until the process is ended. A macro,
/// since the types of applications cannot be named without two more crates.
macro_rules! run {
    ($application:expr) => {
        actix_web::rt::System::new().block_on(async {
            let server = HttpServer::new($application)
                .workers(1)
                .bind(("127.0.0.1", 0))?;
            println!("{}", server.addrs().first().ok_or("no address")?);
            server.run().await?;
            Ok(())
        })
    };
}

/// Prints a line for each that comes.
fn answer_counts(counts: impl Fn() -> String + Send + 'static) {
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {
            println!("{}", counts());
        }
    });
}

fn serve(kind: &str) -> Result<(), Failure> {
    let mut keys = String::new();
    std::io::stdin().lock().read_line(&mut keys)?;
    match kind {
        "plain" => {
            answer_counts(String::new);
            run!(|| App::new().route("/containers", web::get().to(async || "ok")))
        }
        "guarded" => {
            let policy =
                IssuerPolicy::new(ISSUER, JwkSet::parse(keys.as_bytes())?).audience(AUDIENCE);
            let guard = Guard::new(Verifier::new([policy])?.cache(REMEMBERED));
            let counting = guard.clone();
            answer_counts(move || {
                let (hits, misses) = counting.verifier().cache_counts();
                format!("{hits} {misses}")
            });
            let handler = async |principal: Principal| match principal.subject() {
                Some(_) => "ok",
                None => "nobody",
            };
            run!(move || {
                let route = get().to(handler).require(scope("containers:read"));
                guard
                    .app()
                    .service(resource("/containers").route(route))
                    .build()
            })
        }
        "httpauth" => {
            answer_counts(String::new);
            let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&keys)?;
            let key = jsonwebtoken::DecodingKey::from_jwk(set.keys.first().ok_or("no key")?)?;
            let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
            rules.set_audience(&[AUDIENCE]);
            rules.set_issuer(&[ISSUER]);
            let handler = move |bearer: BearerAuth| {
                let claims = jsonwebtoken::decode::<RivalClaims>(bearer.token(), &key, &rules);
                let granted = claims.is_ok_and(|token| {
                    !token.claims.sub.is_empty()
                        && token
                            .claims
                            .scope
                            .split(' ')
                            .any(|each| each == "containers:read")
                });
                async move { if granted { "ok" } else { "refused" } }
            };
            run!(move || App::new().route("/containers", web::get().to(handler.clone())))
        }
        other => Err(format!("no server is called `{other}`").into()),
    }
}
