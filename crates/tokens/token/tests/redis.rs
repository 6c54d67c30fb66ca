//! The store in Redis, against a real server on a unix socket. Without `redis-server` on the machine
//! there is nothing to test against, and the tests say so.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]
#![expect(
    clippy::print_stdout,
    reason = "a test that does not run has to say so"
)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cofferdam_token::danger;
use cofferdam_token::state::{Redis, State as _, StateError, key};

struct Server {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Option<Server> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("redis.sock");
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            println!("SKIPPED: there is no `redis-server` on this machine");
            return None;
        };
        let waiting = async {
            while !socket.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting)
            .await
            .unwrap();
        Some(Server {
            child,
            url: format!("redis+unix://{}", socket.display()),
            _folder: folder,
        })
    }

    async fn store(&self) -> Redis {
        Redis::connect(&self.url, "test:").await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn what_one_machine_has_seen_the_other_knows() {
    let Some(server) = Server::start().await else {
        return;
    };
    let (first, second) = (server.store().await, server.store().await);
    let proof = key(&["dpop", "thumbprint", "1"]);
    assert_eq!(first.insert(proof, 1060, 1000).get().await, Ok(true));
    assert_eq!(second.insert(proof, 1060, 1000).get().await, Ok(false));
    assert_eq!(first.insert(proof, 1060, 1000).get().await, Ok(false));
    assert_eq!(second.contains(&proof, 1000).get().await, Ok(true));
    assert_eq!(
        second.contains(&key(&["other"]), 1000).get().await,
        Ok(false)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_exactly_one_is_first() {
    let Some(server) = Server::start().await else {
        return;
    };
    let proof = key(&["one"]);
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = server.store().await;
        tasks.push(tokio::spawn(async move {
            store.insert(proof, 1060, 1000).get().await
        }));
    }
    let mut firsts = 0;
    for task in tasks {
        firsts += usize::from(task.await.unwrap().unwrap());
    }
    assert_eq!(firsts, 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_soon_and_open_only_by_choice() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let store = server.store().await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let asking = async {
        let seen = store.contains(&key(&["x"]), 1000).get().await;
        assert!(matches!(seen, Err(StateError::Unavailable(_))), "{seen:?}");
        let new = store.insert(key(&["x"]), 1060, 1000).get().await;
        assert!(matches!(new, Err(StateError::Unavailable(_))), "{new:?}");
        let open = danger::fail_open(Arc::new(store));
        assert_eq!(open.contains(&key(&["x"]), 1000).get().await, Ok(false));
        assert_eq!(open.insert(key(&["x"]), 1060, 1000).get().await, Ok(true));
    };
    tokio::time::timeout(Duration::from_secs(5), asking)
        .await
        .unwrap();
}
