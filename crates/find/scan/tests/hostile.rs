//! Targets that hang, answer without end, break their framing or close early neither hang nor crash
//! a scan, and are named; and nothing that a target or its description says makes the scan talk to
//! another host. Counted at the listeners.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, also in its helpers"
)]

use cofferdam_scan::{
    Event, Identity, Level, Limits, Phase, Scan, ScanError, ScanOptions, SpecSource, Target, scan,
};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What the raw server does with one request.
enum Act {
    /// These bytes, and the connection stays open.
    Send(Vec<u8>),
    /// These bytes, and the connection is closed.
    SendAndClose(Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// A chunked body without end, as fast as it is read.
    Endless,
    /// One byte of a body now and then.
    Drip,
}

struct Server {
    base: Target,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server that answers by hand, so that it can break every rule.
async fn server(act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let act = Arc::new(act);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let act = Arc::clone(&act);
            tokio::spawn(async move {
                let _ = converse(stream, &*act).await;
            });
        }
    });
    Server {
        base,
        connections,
        task,
    }
}

async fn converse(
    mut stream: TcpStream,
    act: &(dyn Fn(&str) -> Act + Send + Sync),
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let mut chunk = [0; 4096];
            let read = stream.read(&mut chunk).await?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            buffer.extend_from_slice(&chunk[..read]);
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        match act(&head) {
            Act::Send(bytes) => stream.write_all(&bytes).await?,
            Act::SendAndClose(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Act::Hang => std::future::pending().await,
            Act::Endless => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                    .await?;
                let chunk = [b"1000\r\n".as_slice(), &[b'a'; 4096], b"\r\n"].concat();
                loop {
                    stream.write_all(&chunk).await?;
                }
            }
            Act::Drip => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
                    .await?;
                loop {
                    stream.write_all(b"a").await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

fn answer(status: &str, body: &str) -> Act {
    Act::Send(
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .into_bytes(),
    )
}

/// A well-behaved service for everything but `odd`, with the description that names `/ok` and it.
fn but_for(
    odd: &'static str,
    act: impl Fn() -> Act + Send + Sync + 'static,
) -> impl Fn(&str) -> Act {
    move |head: &str| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path == odd {
            act()
        } else if path == "/ok" && head.contains("good-token") {
            answer("200 OK", r#"{"a":1}"#)
        } else if path == "/ok" {
            answer("401 Unauthorized", r#"{"error":"no"}"#)
        } else {
            answer("404 Not Found", "{}")
        }
    }
}

fn options(base: &Target, paths: &[&str]) -> ScanOptions {
    let mut options = ScanOptions::new(base.clone());
    options.identities = vec![Identity::new("alice", "good-token-of-alice")];
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("\"{path}\":{{\"get\":{{}}}}"))
        .collect();
    options.spec = Some(SpecSource::File {
        name: "api.json".to_owned(),
        text: format!(
            "{{\"openapi\":\"3.1.0\",\"paths\":{{{}}}}}",
            paths.join(",")
        ),
    });
    options.limits = Limits {
        timeout: Duration::from_millis(300),
        ..options.limits
    };
    options
}

async fn run(options: ScanOptions) -> Result<Scan, ScanError> {
    let scan = tokio::spawn(scan(options, |_| {}, CancellationToken::new()));
    tokio::time::timeout(Duration::from_secs(30), scan)
        .await
        .expect("the scan ends")
        .unwrap()
}

fn status_of(scan: &Scan, operation: &str, who: &str) -> Option<u16> {
    let coverage = scan
        .operations
        .iter()
        .find(|one| one.operation == operation)
        .unwrap();
    coverage
        .reached
        .iter()
        .find(|reached| reached.who == who)
        .and_then(|reached| reached.status)
}

async fn named(odd: &'static str, act: impl Fn() -> Act + Send + Sync + 'static, note: &str) {
    let server = server(but_for(odd, act)).await;
    let scan = run(options(&server.base, &["/ok", odd])).await.unwrap();
    assert!(scan.complete, "{:?}", scan.stopped);
    assert_eq!(status_of(&scan, "GET /ok", "alice"), Some(200));
    assert!(
        scan.notes
            .iter()
            .any(|text| text.contains(note) && text.contains(odd)),
        "{:?}",
        scan.notes
    );
}

#[tokio::test]
async fn an_operation_that_hangs_is_named() {
    named("/hang", || Act::Hang, "no answer within").await;
}

#[tokio::test]
async fn an_answer_without_end_is_cut_and_named() {
    named("/endless", || Act::Endless, "longer than the limit").await;
}

#[tokio::test]
async fn a_dripping_answer_is_cut_and_named() {
    named("/drip", || Act::Drip, "does not end").await;
}

#[tokio::test]
async fn broken_chunks_are_named() {
    let broken = || {
        Act::SendAndClose(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n".to_vec(),
        )
    };
    named("/broken", broken, "framing is broken").await;
    named(
        "/noise",
        || Act::SendAndClose(b"\x00\x01\x02 what is this\r\n\r\n".to_vec()),
        "framing is broken",
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_is_closed_early_is_named() {
    let early = || Act::SendAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc".to_vec());
    named("/early", early, "closed before").await;
    named(
        "/nothing",
        || Act::SendAndClose(Vec::new()),
        "closed before",
    )
    .await;
}

#[tokio::test]
async fn fields_that_are_no_text_survive() {
    let odd = || {
        Act::Send(
            b"HTTP/1.1 200 OK\r\nx-odd: \xff\xfe\r\n bad name: 1\r\ncontent-length: 2\r\n\r\n{}"
                .to_vec(),
        )
    };
    let server = server(but_for("/odd", odd)).await;
    let scan = run(options(&server.base, &["/odd"])).await.unwrap();
    assert_eq!(status_of(&scan, "GET /odd", "alice"), Some(200));
}

#[tokio::test]
async fn a_target_that_throttles_is_waited_for_and_named() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let act = move |head: &str| {
        if head.starts_with("GET /ok ") && counter.fetch_add(1, Ordering::SeqCst) < 2 {
            return Act::Send(
                b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
                    .to_vec(),
            );
        }
        but_for("/none", || Act::Hang)(head)
    };
    let server = server(act).await;
    let scan = run(options(&server.base, &["/ok"])).await.unwrap();
    assert_eq!(status_of(&scan, "GET /ok", "alice"), Some(200));
    assert_eq!(status_of(&scan, "GET /ok", "no token"), Some(401));
    assert!(
        scan.notes.iter().any(|text| text.contains("429")),
        "{:?}",
        scan.notes
    );
}

#[tokio::test]
async fn a_target_that_always_asks_to_wait_does_not_hold_the_scan() {
    let busy = || {
        Act::Send(
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 86400\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
        )
    };
    let server = server(but_for("/busy", busy)).await;
    let mut options = options(&server.base, &["/busy", "/ok"]);
    // Three waits of ten seconds are the patience of a scan; this one has less.
    options.limits.wall = Duration::from_secs(3);
    let started = Instant::now();
    let scan = run(options).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(6));
    assert!(
        scan.notes.iter().any(|text| text.contains("503")),
        "{:?}",
        scan.notes
    );
}

#[tokio::test]
async fn a_target_that_dies_ends_the_scan() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let act = move |_: &str| match counter.fetch_add(1, Ordering::SeqCst) {
        number if number < 5 => answer("200 OK", "{}"),
        _ => Act::Hang,
    };
    let server = server(act).await;
    let paths: Vec<String> = (0..200).map(|number| format!("/p{number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let started = Instant::now();
    let scan = run(options(&server.base, &paths)).await.unwrap();
    assert!(!scan.complete);
    assert!(scan.stopped.unwrap().contains("stopped answering"));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(scan.operations.len(), 200);
}

#[tokio::test]
async fn nobody_there_is_an_error_and_no_report() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    for spec in [true, false] {
        let mut options = options(&base, &["/ok"]);
        if !spec {
            options.spec = None;
        }
        let error = run(options).await.unwrap_err();
        assert!(matches!(error, ScanError::Unreachable(..)), "{error}");
    }
}

#[tokio::test]
async fn nothing_makes_the_scan_talk_to_another_host() {
    let stranger = server(|_| answer("200 OK", "{}")).await;
    let elsewhere = stranger.base.to_string();
    let location = elsewhere.clone();
    let target = server(move |head: &str| {
        if head.starts_with("GET /away ") {
            let text = format!(
                "HTTP/1.1 302 Found\r\nlocation: {location}/x\r\ncontent-length: 0\r\n\r\n"
            );
            return Act::Send(text.into_bytes());
        }
        if head.starts_with("GET / ") {
            return answer("200 OK", r#"{"links":["/away","/linked"]}"#);
        }
        if head.starts_with("GET /linked ") {
            return answer(
                "200 OK",
                &format!(r#"{{"next":"{location}/y","href":"{location}/z"}}"#),
            );
        }
        answer("404 Not Found", "{}")
    })
    .await;
    // The environment of a running process cannot be changed safely, so this test runs itself again
    // as a child with the proxy variables set.
    if std::env::var_os("HTTP_PROXY").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "nothing_makes_the_scan_talk_to_another_host"])
            .envs(
                [
                    "HTTP_PROXY",
                    "http_proxy",
                    "HTTPS_PROXY",
                    "ALL_PROXY",
                    "all_proxy",
                ]
                .map(|name| (name, elsewhere.as_str())),
            )
            .env_remove("NO_PROXY")
            .output();
        let output = tokio::task::spawn_blocking(move || status)
            .await
            .unwrap()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let text = format!(
        r##"{{"openapi":"3.1.0","servers":[{{"url":"{elsewhere}/api"}}],"paths":{{
            "/away":{{"get":{{"parameters":[{{"$ref":"{elsewhere}/params.json#/p"}}]}}}},
            "/linked":{{"get":{{"parameters":[{{"name":"url","in":"query","required":true,"example":"https://hooks.example.com/"}}]}}}},
            "/other":{{"$ref":"{elsewhere}/path.json"}}}}}}"##
    );
    for discovery in [false, true] {
        let mut options = options(&target.base, &[]);
        options.level = Level::Active;
        options.spec = (!discovery).then(|| SpecSource::File {
            name: "api.json".to_owned(),
            text: text.clone(),
        });
        let scan = run(options).await.unwrap();
        assert!(
            scan.notes
                .iter()
                .any(|text| text.contains("redirect leaves the scope"))
                || discovery,
            "{:?}",
            scan.notes
        );
    }
    assert!(target.connections.load(Ordering::SeqCst) > 0);
    assert_eq!(stranger.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_named_proxy_is_used() {
    let proxy = server(|head: &str| {
        let line = head.lines().next().unwrap_or_default().to_owned();
        match line.starts_with("GET http://api.invalid/") {
            true => answer("200 OK", r#"{"through":"proxy"}"#),
            false => answer("400 Bad Request", "{}"),
        }
    })
    .await;
    let mut options = options(&Target::parse("http://api.invalid").unwrap(), &["/ok"]);
    options.limits = Limits {
        timeout: Duration::from_secs(5),
        ..Limits::for_target(&proxy.base)
    };
    options.proxy = Some(proxy.base.clone());
    let scan = run(options).await.unwrap();
    assert_eq!(status_of(&scan, "GET /ok", "alice"), Some(200));
}

#[tokio::test]
async fn a_scan_that_is_interrupted_in_a_request_ends_at_once_with_what_it_has() {
    let server = server(but_for("/hang", || Act::Hang)).await;
    let mut options = options(&server.base, &["/ok", "/hang"]);
    options.limits.timeout = Duration::from_secs(600);
    let cancel = CancellationToken::new();
    let (baseline, started) = tokio::sync::oneshot::channel();
    let baseline = std::sync::Mutex::new(Some(baseline));
    let progress = move |event: Event| {
        if let Event::Baseline { .. } = event
            && let Some(sender) = baseline.lock().unwrap().take()
        {
            let _ = sender.send(());
        }
        if let Event::Phase(Phase::Checks) = event {
            panic!("the baseline of /hang cannot be done");
        }
    };
    let running = tokio::spawn(scan(options, progress, cancel.clone()));
    started.await.unwrap();
    let since = Instant::now();
    cancel.cancel();
    let scan = running.await.unwrap().unwrap();
    assert!(since.elapsed() < Duration::from_secs(2));
    assert!(!scan.complete);
    assert_eq!(scan.stopped.as_deref(), Some("interrupted"));
    assert_eq!(status_of(&scan, "GET /ok", "alice"), Some(200));
}

#[tokio::test]
async fn a_budget_ends_a_scan_with_what_it_has() {
    let server = server(but_for("/none", || Act::Hang)).await;
    let mut options = options(&server.base, &["/ok", "/b", "/c", "/d"]);
    options.limits.requests = 20;
    options.limits.concurrency = 1;
    let scan = run(options).await.unwrap();
    assert!(!scan.complete);
    assert_eq!(scan.requests, 20);
    assert!(scan.stopped.unwrap().contains("20 requests"));
}
