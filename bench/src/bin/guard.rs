//! What a guarded route costs a server, beside the same route without a guard, and beside
//! `actix-web-httpauth` with `jsonwebtoken`.
//!
//! `cargo run --release -p cofferdam-bench --bin guard`
//!
//! Each server is a process of its own with one worker, and every one of them gets the same
//! requests: 100,000 distinct tokens (RS256, about 1 kB) in a Zipf mix of which about nine in ten
//! are remembered, and of the others a digest is kept; and then one hot token. What counts is the
//! processor time that the system has booked for the server, divided by the requests: throughput on
//! a busy machine is noise. The servers are asked in turns, several rounds long. The median of each
//! is printed, and that of the ratios within a round, since what slows a machine down mostly slows
//! down a whole round.
//!
//! Two routes: `/bare` answers two characters, which is the least that actix-web can do, and
//! `/list` a JSON document of five containers. Two loads: one connection, on which every request
//! waits for the answer to the one before, so the server sleeps and wakes for each; and sixteen,
//! which keep it busy, as a server is that is measured for what it can bear. Who asks looks for
//! answers without sleeping: a client that sleeps is woken by the server, at its expense, and the
//! more often the longer it waits.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use actix_web::{App, HttpServer, web};
use actix_web_httpauth::extractors::bearer::BearerAuth;
use cofferdam_guard::{Guard, Principal, get, resource, scope};
use cofferdam_issuer::{Issuer, SigningKey};
use cofferdam_token::{Algorithm, IssuerPolicy, JwkSet, Verifier};
use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TOKENS: usize = 100_000;
const REQUESTS: usize = 60_000;
/// With this many remembered, about nine in ten of the mix are.
const REMEMBERED: usize = 45_000;
const ROUNDS: usize = 9;
const KINDS: [&str; 3] = ["plain", "guarded", "httpauth"];
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
    let tokens = mint(&issuer)?;
    let keys = issuer.jwks().to_string();
    let mut servers = Vec::new();
    for kind in KINDS {
        servers.push(Server::start(kind, &keys)?);
    }
    let mut zipf = Zipf::new(TOKENS);
    // Every token once, as in a server that has run for a while; then long enough that what is
    // remembered is what the mix leaves behind.
    let mut warming: Vec<usize> = (0..TOKENS).collect();
    warming.extend(zipf.draw(400_000));
    for server in &servers {
        server.ask("/bare", 1, &tokens, &warming)?;
    }
    for load in ["Zipf mix", "one hot token"] {
        for connections in [1, 16] {
            for path in ["/bare", "/list"] {
                let before = servers[1].counts()?;
                let mut costs = [const { Vec::new() }; KINDS.len()];
                for _ in 0..ROUNDS {
                    // Each round is of its own, or the cache would know it by heart.
                    let mix = match load {
                        "Zipf mix" => zipf.draw(REQUESTS),
                        _ => vec![0; REQUESTS],
                    };
                    for (server, costs) in servers.iter().zip(&mut costs) {
                        costs.push(server.cost(path, connections, &tokens, &mix)?);
                    }
                }
                let [hits, misses] = servers[1].counts()?;
                let (hits, misses) = (hits - before[0], misses - before[1]);
                let share = hits as f64 * 100.0 / (hits + misses).max(1) as f64;
                println!(
                    "\n{load}, {connections} connection(s), {path}: {share:.1} % remembered\n"
                );
                println!("| server | CPU µs per request: median | least | most | × |");
                println!("|---|---|---|---|---|");
                let [plain, ..] = costs.clone();
                for (kind, mut costs) in KINDS.iter().zip(costs) {
                    let ratios = costs.iter().zip(&plain).map(|(cost, plain)| cost / plain);
                    let ratio = median(&mut ratios.collect::<Vec<_>>());
                    let median = median(&mut costs);
                    println!(
                        "| {kind} | {median:.2} | {:.2} | {:.2} | {ratio:.3} |",
                        costs[0],
                        costs[ROUNDS - 1],
                    );
                }
            }
        }
    }
    Ok(())
}

/// On every processor that there is, since signing takes longer than all the rest.
fn mint(issuer: &Issuer) -> Result<Vec<String>, Failure> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let threads = std::thread::available_parallelism()?.get();
    let share = TOKENS.div_ceil(threads);
    std::thread::scope(|scope| {
        let minting: Vec<_> = (0..threads)
            .map(|thread| {
                let numbers = thread * share..TOKENS.min((thread + 1) * share);
                scope.spawn(move || {
                    let token = |number| {
                        issuer
                            .token(format!("user-{number}"))
                            .audience(AUDIENCE)
                            .scope("containers:read containers:write images:read")
                            .claim("session_state", "x".repeat(150))
                            .lifetime(86_400)
                            .mint(now)
                    };
                    numbers.map(token).collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let mut tokens = Vec::with_capacity(TOKENS);
        for thread in minting {
            tokens.extend(thread.join().map_err(|_| "a thread ended")??);
        }
        Ok(tokens)
    })
}

/// Sorts them.
fn median(costs: &mut [f64]) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 2]
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
    /// has counted itself.
    fn counts(&mut self) -> Result<[u64; 2], Failure> {
        writeln!(self.child.stdin.as_mut().ok_or("no input")?)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let (hits, misses) = line.trim().split_once(' ').ok_or("no counts")?;
        Ok([hits.parse()?, misses.parse()?])
    }

    /// Microseconds of processor time for one request.
    fn cost(
        &self,
        path: &str,
        connections: usize,
        tokens: &[String],
        mix: &[usize],
    ) -> Result<f64, Failure> {
        let before = self.processor_time()?;
        self.ask(path, connections, tokens, mix)?;
        Ok((self.processor_time()? - before) / mix.len() as f64)
    }

    /// Sends the next request on each connection as soon as the one before is answered.
    fn ask(
        &self,
        path: &str,
        connections: usize,
        tokens: &[String],
        mix: &[usize],
    ) -> Result<(), Failure> {
        // The answer ends in what the handler says.
        let end: &[u8] = if path == "/bare" {
            b"\r\n\r\nok"
        } else {
            b"}]"
        };
        let mut request = Vec::new();
        let mut write = |stream: &mut TcpStream, number: usize| -> Result<(), Failure> {
            request.clear();
            write!(request, "GET {path} HTTP/1.1\r\nhost: localhost\r\n")?;
            write!(request, "authorization: Bearer {}\r\n\r\n", tokens[number])?;
            // There is room for a request where the one before is answered.
            Ok(stream.write_all(&request)?)
        };
        let mut numbers = mix.iter().copied();
        let mut asked = Vec::new();
        for number in numbers.by_ref().take(connections) {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            write(&mut stream, number)?;
            asked.push((stream, Vec::new()));
        }
        let mut buffer = [0; 4096];
        while !asked.is_empty() {
            let mut at = 0;
            while let Some((stream, answer)) = asked.get_mut(at) {
                at += 1;
                match stream.read(&mut buffer) {
                    Ok(0) => return Err("the server refuses".into()),
                    Ok(count) => answer.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error.into()),
                }
                if !b"HTTP/1.1 200".starts_with(&answer[..answer.len().min(12)]) {
                    return Err("the server refuses".into());
                }
                if answer.ends_with(end) {
                    answer.clear();
                    match numbers.next() {
                        Some(number) => write(stream, number)?,
                        None => {
                            at -= 1;
                            asked.swap_remove(at);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// User and system time of all threads in microseconds, as the system has booked it.
    fn processor_time(&self) -> Result<f64, Failure> {
        let mut sum = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let booked = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            let nanoseconds: f64 = booked.split(' ').next().ok_or("no time")?.parse()?;
            sum += nanoseconds / 1000.0;
        }
        Ok(sum)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Which token each request has: the first is asked for most, as in a service with many users.
struct Zipf {
    sums: Vec<f64>,
    state: u64,
}

impl Zipf {
    fn new(tokens: usize) -> Zipf {
        let mut sum = 0.0;
        let sums = (1..=tokens).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Zipf {
            sums: sums.collect(),
            state: 0x2545_F491_4F6C_DD1D,
        }
    }

    /// The next requests. A linear congruence is chance enough to choose tokens, and the same in
    /// every run.
    fn draw(&mut self, requests: usize) -> Vec<usize> {
        let last = self.sums.len() - 1;
        let draw = |_| {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = (self.state >> 11) as f64 / (1u64 << 53) as f64 * self.sums[last];
            self.sums.partition_point(|sum| *sum < at).min(last)
        };
        (0..requests).map(draw).collect()
    }
}

#[derive(Deserialize)]
struct RivalClaims {
    sub: String,
    scope: String,
}

#[derive(Serialize)]
struct Container {
    id: &'static str,
    image: &'static str,
    state: &'static str,
    started: u64,
}

/// What a handler reads from its own memory.
const CONTAINERS: [Container; 5] = [
    Container {
        id: "3f4b1c8e9a02",
        image: "registry.example/web:1.4.2",
        state: "running",
        started: 1_795_000_001,
    },
    Container {
        id: "b7a90c11d5e4",
        image: "registry.example/api:2.0.0",
        state: "running",
        started: 1_795_000_002,
    },
    Container {
        id: "0d2f6e7781ac",
        image: "registry.example/worker:2.0.0",
        state: "running",
        started: 1_795_000_003,
    },
    Container {
        id: "91ce5530fb67",
        image: "docker.io/library/redis:7",
        state: "running",
        started: 1_795_000_004,
    },
    Container {
        id: "5a6d20e1c3b8",
        image: "docker.io/library/postgres:16",
        state: "exited",
        started: 1_795_000_005,
    },
];

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

/// Prints hits and misses for each line that comes, and ends the process when none does any more.
fn answer_counts(counts: impl Fn() -> (u64, u64) + Send + 'static) {
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {
            let (hits, misses) = counts();
            println!("{hits} {misses}");
        }
        // Whoever measures has gone.
        std::process::exit(0);
    });
}

fn serve(kind: &str) -> Result<(), Failure> {
    let mut keys = String::new();
    std::io::stdin().lock().read_line(&mut keys)?;
    match kind {
        "plain" => {
            answer_counts(|| (0, 0));
            run!(|| App::new()
                .route("/bare", web::get().to(async || "ok"))
                .route("/list", web::get().to(async || web::Json(&CONTAINERS))))
        }
        "guarded" => {
            let policy =
                IssuerPolicy::new(ISSUER, JwkSet::parse(keys.as_bytes())?).audience(AUDIENCE);
            let guard = Guard::new(Verifier::new([policy])?.cache(REMEMBERED));
            let counting = guard.clone();
            answer_counts(move || counting.verifier().cache_counts());
            let bare = async |principal: Principal| match principal.subject() {
                Some(_) => "ok",
                None => "nobody",
            };
            let list =
                async |principal: Principal| principal.subject().map(|_| web::Json(&CONTAINERS));
            run!(move || {
                let bare = get().to(bare).require(scope("containers:read"));
                let list = get().to(list).require(scope("containers:read"));
                guard
                    .app()
                    .service(resource("/bare").route(bare))
                    .service(resource("/list").route(list))
                    .build()
            })
        }
        "httpauth" => {
            answer_counts(|| (0, 0));
            let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&keys)?;
            let key = jsonwebtoken::DecodingKey::from_jwk(set.keys.first().ok_or("no key")?)?;
            let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
            rules.set_audience(&[AUDIENCE]);
            rules.set_issuer(&[ISSUER]);
            let granted = move |bearer: BearerAuth| {
                let claims = jsonwebtoken::decode::<RivalClaims>(bearer.token(), &key, &rules);
                claims.is_ok_and(|token| {
                    !token.claims.sub.is_empty()
                        && token
                            .claims
                            .scope
                            .split(' ')
                            .any(|each| each == "containers:read")
                })
            };
            let also_granted = granted.clone();
            let bare = move |bearer| {
                let granted = granted(bearer);
                async move { if granted { "ok" } else { "refused" } }
            };
            let list = move |bearer| {
                let granted = also_granted(bearer);
                async move { granted.then_some(web::Json(&CONTAINERS)) }
            };
            run!(move || App::new()
                .route("/bare", web::get().to(bare.clone()))
                .route("/list", web::get().to(list.clone())))
        }
        other => Err(format!("no server is called `{other}`").into()),
    }
}
