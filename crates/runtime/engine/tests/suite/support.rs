//! An engine with a pretended host, and ways to ask it.

use cofferdam_docker::Client;
use cofferdam_docker::wire::CreateBody;
use cofferdam_engine::{Engine, EngineOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) engine: Engine,
    pub(crate) client: Client,
}

pub(crate) async fn rig(change: impl FnOnce(&mut EngineOptions)) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("host/etc")).unwrap();
    std::fs::write(dir.path().join("host/etc/hostname"), "pretend-host\n").unwrap();
    let mut options = EngineOptions::new(dir.path().join("docker.sock"), dir.path().join("host"));
    change(&mut options);
    let engine = Engine::start(options).await.unwrap();
    let client = Client::unix(engine.socket());
    Rig {
        dir,
        engine,
        client,
    }
}

pub(crate) fn body(command: &[&str], binds: &[&str]) -> CreateBody {
    let mut body = CreateBody::default();
    body.config.image = "allowed/app:1".to_owned();
    body.config.cmd = Some(command.iter().map(|word| (*word).to_owned()).collect());
    body.host_config.binds = Some(binds.iter().map(|bind| (*bind).to_owned()).collect());
    body
}

/// Creates, starts, waits; answers the exit code and the output.
pub(crate) async fn run(client: &Client, body: &CreateBody) -> (i64, String) {
    let id = client.create(None, body).await.unwrap().id;
    client.start(&id).await.unwrap();
    let code = client.wait(&id).await.unwrap();
    let frames = client.logs(&id, 1000).await.unwrap();
    let text = frames.into_iter().flat_map(|frame| frame.bytes).collect();
    (code, String::from_utf8(text).unwrap())
}

/// Sends bytes as they are and reads the whole answer.
pub(crate) async fn raw(rig: &Rig, request: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(rig.engine.socket())
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn get(rig: &Rig, path: &str) -> String {
    raw(
        rig,
        &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
    .await
}
