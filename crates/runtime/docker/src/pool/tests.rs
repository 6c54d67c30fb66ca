//! Against an engine that the test plays itself, byte by byte.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

struct Engine {
    dir: tempfile::TempDir,
    accepted: Arc<AtomicUsize>,
}

impl Engine {
    /// Serves every connection with `serve`, which gets its number, from 1.
    fn play<F>(serve: impl Fn(usize, UnixStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(number, stream));
            }
        });
        Self { dir, accepted }
    }

    fn pool(&self) -> Pool {
        Pool::unix(self.dir.path().join("s"), 4)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Reads one request head; `None` at the end of the connection.
async fn head(stream: &mut UnixStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

async fn answer_all(mut stream: UnixStream) {
    while head(&mut stream).await.is_some() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
    }
}

fn call(method: Method) -> Call<'static> {
    Call {
        method,
        target: "/x",
        body: Outgoing::Empty,
        head_within: Some(Duration::from_secs(5)),
    }
}

async fn ask(pool: &Pool, method: Method) -> Result<Bytes, Error> {
    pool.send(call(method)).await?.into_body().whole(100).await
}

#[tokio::test]
async fn a_connection_is_used_again_for_what_reads_and_new_for_what_changes() {
    let engine = Engine::play(|_, stream| answer_all(stream));
    let pool = engine.pool();
    for _ in 0..5 {
        assert_eq!(ask(&pool, Method::GET).await.unwrap(), "ok");
    }
    assert_eq!(engine.accepted(), 1);
    ask(&pool, Method::POST).await.unwrap();
    assert_eq!(engine.accepted(), 2);
}

#[tokio::test]
async fn what_changes_takes_a_connection_that_was_opened_ahead_and_what_reads_does_not() {
    let engine = Engine::play(|number, mut stream| async move {
        while head(&mut stream).await.is_some() {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let pool = engine.pool();
    pool.open_ahead().await;
    assert_eq!(ask(&pool, Method::GET).await.unwrap(), "2");
    assert_eq!(ask(&pool, Method::POST).await.unwrap(), "1");
    assert_eq!(ask(&pool, Method::POST).await.unwrap(), "3");
    // One that has waited for too long may be dead.
    pool.open_ahead().await;
    for connection in lock(&pool.shared.ahead).iter_mut() {
        connection.age(FRESH);
    }
    assert_eq!(ask(&pool, Method::POST).await.unwrap(), "5");
    // No more are opened ahead than are kept, and nobody hears of it where none can be.
    for _ in 0..10 {
        pool.open_ahead().await;
    }
    assert_eq!(lock(&pool.shared.ahead).len(), 4);
    Pool::unix(engine.dir.path().join("none"), 4)
        .open_ahead()
        .await;
}

#[tokio::test]
async fn a_connection_that_was_opened_ahead_and_closed_again_carries_no_change() {
    let (told, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let engine = Engine::play(move |number, stream| {
        let told = told.clone();
        async move {
            match number {
                1 => {
                    drop(stream);
                    told.send(()).unwrap();
                }
                _ => answer_all(stream).await,
            }
        }
    });
    let pool = engine.pool();
    pool.open_ahead().await;
    closed.recv().await.unwrap();
    assert_eq!(ask(&pool, Method::POST).await.unwrap(), "ok");
    assert_eq!(engine.accepted(), 2);
}

#[tokio::test]
async fn an_answer_without_a_body_leaves_its_connection_for_the_next() {
    let engine = Engine::play(|_, mut stream| async move {
        while head(&mut stream).await.is_some() {
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    });
    let pool = engine.pool();
    for _ in 0..3 {
        drop(pool.send(call(Method::GET)).await.unwrap());
    }
    assert_eq!(engine.accepted(), 1);
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_its_connection() {
    let (told, closed) = tokio::sync::oneshot::channel();
    let told = Mutex::new(Some(told));
    let engine = Engine::play(move |_, mut stream| {
        let told = told.lock().unwrap().take();
        async move {
            head(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
            stream.write_all(answer).await.unwrap();
            assert_eq!(head(&mut stream).await, None);
            told.unwrap().send(()).unwrap();
        }
    });
    let pool = engine.pool();
    let mut body = pool.send(call(Method::GET)).await.unwrap().into_body();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "half");
    drop(body);
    tokio::time::timeout(Duration::from_secs(5), closed)
        .await
        .unwrap()
        .unwrap();
}

/// The first connection answers once and dies under the next request; later ones live.
fn dies_once() -> Engine {
    Engine::play(|number, mut stream| async move {
        if number > 1 {
            return answer_all(stream).await;
        }
        head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
        head(&mut stream).await;
    })
}

#[tokio::test]
async fn a_read_is_asked_again_when_its_kept_connection_died() {
    let engine = dies_once();
    let pool = engine.pool();
    ask(&pool, Method::GET).await.unwrap();
    assert_eq!(ask(&pool, Method::GET).await.unwrap(), "ok");
    assert_eq!(engine.accepted(), 2);
}

#[tokio::test]
async fn what_changes_something_is_never_sent_twice() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let engine = Engine::play(move |_, mut stream| {
        let count = Arc::clone(&count);
        async move {
            // It was heard, and nobody knows what became of it.
            if head(&mut stream).await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    for method in [Method::POST, Method::DELETE, Method::PUT] {
        let error = ask(&engine.pool(), method).await.unwrap_err();
        assert!(matches!(error, Error::Http(_)), "{error}");
    }
    // A new connection that dies is no reason to ask again either.
    assert!(ask(&engine.pool(), Method::GET).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_given_up() {
    let engine = Engine::play(|_, mut stream| async move {
        head(&mut stream).await;
        assert_eq!(head(&mut stream).await, None);
    });
    let call = Call {
        head_within: Some(Duration::from_millis(20)),
        ..call(Method::POST)
    };
    let error = engine.pool().send(call).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
}

#[tokio::test]
async fn half_an_archive_is_never_taken_for_a_whole_one() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let engine = Engine::play(move |_, mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            let mut sent = Vec::new();
            while !sent.ends_with(b"0\r\n\r\n") && stream.read_buf(&mut sent).await.unwrap() > 0 {}
            told.send(sent).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            // Whoever has broken off does not hear it.
            let _ = stream.write_all(answer).await;
        }
    });
    let pool = engine.pool();
    for whole in [true, false] {
        let (upload, body) = Outgoing::archive(1);
        let call = Call {
            body,
            ..call(Method::PUT)
        };
        let feed = async {
            assert!(upload.send("part".into()).await);
            match whole {
                true => upload.finish().await,
                false => drop(upload),
            }
        };
        let (answer, ()) = tokio::join!(pool.send(call), feed);
        assert_eq!(answer.is_ok(), whole);
        drop(answer);
        let sent = heard.recv().await.unwrap();
        let ends = sent.ends_with(b"0\r\n\r\n");
        assert_eq!(ends, whole, "{}", String::from_utf8_lossy(&sent));
    }
}

#[tokio::test]
async fn a_hijacked_connection_stays_half_open() {
    let engine = Engine::play(|_, mut stream| async move {
        let asked = head(&mut stream).await.unwrap();
        assert!(asked.to_lowercase().contains("upgrade: tcp"), "{asked}");
        let answer = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst";
        stream.write_all(answer).await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
    });
    let Hijack::Streams(mut streams) = engine.pool().hijack(call(Method::POST)).await.unwrap()
    else {
        panic!("not hijacked");
    };
    assert_eq!(
        streams.content_type.unwrap(),
        "application/vnd.docker.raw-stream"
    );
    streams.stream.write_all(b" last").await.unwrap();
    streams.stream.shutdown().await.unwrap();
    let mut heard = streams.first.to_vec();
    streams.stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"first last");
}
