//! The baseline phase of a scan of 200 operations against a plain actix-web target in a process of
//! its own, beside the same requests from `wrk` with the same number of connections.
//!
//! `cargo run --release -p cofferdam-bench --bin scan_baseline` (needs `wrk`, in Debian's packages)

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program"
)]

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use cofferdam_scan::{Event, Identity, Phase, ScanOptions, Target};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const OPERATIONS: usize = 200;
const TOKENS: [&str; 2] = ["5f0c7a1e9b3d4628", "a9e1d40c73b8f256"];
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 5;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("target") {
        return target();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("target")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let url = line.trim().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut scans = Vec::new();
    let mut rivals = Vec::new();
    // Alternately, so that a slow moment of the machine hits both.
    for _ in 0..ROUNDS {
        scans.push(runtime.block_on(baseline(&url)));
        rivals.extend(wrk(&url));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    scans.sort_by_key(|scan| scan.1);
    let (requests, wall) = scans[scans.len() / 2];
    let rate = f64::from(requests) / wall.as_secs_f64();
    println!("baseline of {OPERATIONS} operations, two identities: {requests} requests");
    println!(
        "cofferdam  {:>7.1} ms  {rate:>8.0} requests/s",
        wall.as_secs_f64() * 1e3
    );
    rivals.sort_by(f64::total_cmp);
    match rivals.get(rivals.len() / 2) {
        Some(rival) => println!(
            "wrk        {:>10}  {rival:>8.0} requests/s\nratio      {:.2}",
            "",
            rate / rival
        ),
        None => println!("wrk is not installed: no rival, no ratio"),
    }
    println!("peak memory of the scanner: {}", peak_memory());
}

async fn baseline(url: &str) -> (u32, Duration) {
    let mut options = ScanOptions::new(Target::parse(url).unwrap());
    options.identities = vec![Identity::new("a", TOKENS[0]), Identity::new("b", TOKENS[1])];
    options.limits.concurrency = CONNECTIONS;
    options.only = Some(BTreeSet::new());
    let marks = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&marks);
    let progress = move |event| {
        if let Event::Phase(phase) = event {
            taken.lock().unwrap().push((phase, Instant::now()));
        }
    };
    let scan = cofferdam_scan::scan(options, progress, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        scan.operations
            .iter()
            .filter(|operation| operation.covered)
            .count(),
        OPERATIONS
    );
    let marks = marks.lock().unwrap();
    let at = |phase| marks.iter().find(|mark| mark.0 == phase).unwrap().1;
    (
        OPERATIONS as u32 * 4,
        at(Phase::Checks) - at(Phase::Baseline),
    )
}

fn wrk(url: &str) -> Option<f64> {
    let output = Command::new("wrk")
        .args(["-t", "1", "-c", &CONNECTIONS.to_string(), "-d", "1s", "-H"])
        .arg(format!("Authorization: Bearer {}", TOKENS[0]))
        .arg(format!("{url}/things/17"))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| {
        line.trim()
            .strip_prefix("Requests/sec:")?
            .trim()
            .parse()
            .ok()
    })
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown".to_owned(), |size| size.trim().to_owned())
}

fn target() {
    let paths: Map<String, Value> = (0..OPERATIONS)
        .map(|number| {
            let operation = json!({"get": {
                "security": [{"bearer": []}],
                "responses": {"200": {"description": "a thing"}},
            }});
            (format!("/things/{number}"), operation)
        })
        .collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "things", "version": "1"},
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    });
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(document.clone()))
                .route("/openapi.json", web::get().to(description))
                .route("/things/{number}", web::get().to(thing))
        })
        .workers(1)
        .bind(("127.0.0.1", 0))
        .unwrap();
        println!("http://{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}

async fn description(document: web::Data<Value>) -> HttpResponse {
    HttpResponse::Ok().json(document.get_ref())
}

async fn thing(request: HttpRequest, number: web::Path<usize>) -> HttpResponse {
    let header = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    match token.is_some_and(|token| TOKENS.contains(&token)) && *number < OPERATIONS {
        true => HttpResponse::Ok().json(json!({"number": *number, "name": "a thing", "tags": []})),
        false => HttpResponse::Unauthorized().json(json!({"error": "who are you?"})),
    }
}
