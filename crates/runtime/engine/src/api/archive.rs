//! A container's files: archives in and out, and what has changed.

use crate::answer::{Answer, Refusal};
use crate::archive::{pack, unpack};
use crate::changes::Snapshot;
use crate::files::{Entry, View, normal};
use crate::request::Call;
use crate::state::Engine;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use rustix::fs::FileType;
use rustix::io::Errno;
use serde_json::json;
use std::fs::File;
use std::io::Read;

/// How many bytes of an archive are sent at a time.
const PIECE: usize = 64 * 1024;

/// The bits by which Go's file mode tells the kinds of file.
const GO_DIR: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_STICKY: u32 = 1 << 20;
const GO_OTHER: u32 = 1 << 19;

pub(crate) fn stat(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (view, id) = seen(&call.engine, id)?;
    let path = named(call.query("path"))?;
    let mut answer = Answer::empty(StatusCode::OK);
    answer.0.headers_mut().insert(
        "x-docker-container-path-stat",
        describe(&path, &entry(&view, &id, &path)?)?,
    );
    Ok(answer)
}

pub(crate) async fn get(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (view, id) = seen(&call.engine, id)?;
    let path = named(call.query("path"))?;
    let header = describe(&path, &entry(&view, &id, &path)?)?;
    let base = match call.query("path") {
        whole if whole.ends_with("/.") || path == "/" => ".".to_owned(),
        _ => last(&path).to_owned(),
    };
    let packed = blocking(move || pack(&view, &path, &base)).await?;
    let (sender, mut answer) = Answer::stream("application/x-tar");
    answer
        .0
        .headers_mut()
        .insert("x-docker-container-path-stat", header);
    tokio::task::spawn_blocking(move || {
        let mut packed: File = packed;
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = packed.read(&mut piece) {
            if sender
                .blocking_send(Bytes::copy_from_slice(&piece[..length]))
                .is_err()
            {
                return;
            }
        }
    });
    Ok(answer)
}

pub(crate) async fn put(
    engine: &Engine,
    id: &str,
    query: &[(String, String)],
    archive: File,
) -> Result<Answer, Refusal> {
    let value = |name: &str| {
        let found = query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let (view, id) = seen(engine, id)?;
    let path = named(value("path"))?;
    match view.is_dir(&path) {
        Ok(true) => {}
        Ok(false) => return Err(Refusal::bad("extraction point is not a directory")),
        Err(error) => return Err(absent(&id, &path, error)),
    }
    if view.read_only {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "container rootfs is marked read-only",
        ));
    }
    let keep_kinds = matches!(value("noOverwriteDirNonDir"), "1" | "true" | "True");
    blocking(move || unpack(&view, &path, archive, keep_kinds)).await?;
    Ok(Answer::empty(StatusCode::OK))
}

pub(crate) async fn changes(call: &Call, id: &str) -> Result<Answer, Refusal> {
    let (view, id) = seen(&call.engine, id)?;
    let now = blocking(move || Snapshot::of(&view.root)).await?;
    let inner = call.engine.lock();
    Ok(Answer::ok(&inner.known(&id)?.base.changes(&now)))
}

fn seen(engine: &Engine, id: &str) -> Result<(View, String), Refusal> {
    let mut inner = engine.lock();
    let record = inner.container(id)?;
    Ok((record.context.view.clone(), record.id.clone()))
}

fn named(path: &str) -> Result<String, Refusal> {
    match path {
        "" => Err(Refusal::bad("missing path parameter")),
        path => Ok(normal(path)),
    }
}

fn last(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((_, "")) | None => "/",
        Some((_, name)) => name,
    }
}

fn entry(view: &View, id: &str, path: &str) -> Result<Entry, Refusal> {
    view.stat(path).map_err(|error| absent(id, path, error))
}

fn absent(id: &str, path: &str, error: Errno) -> Refusal {
    match error {
        Errno::NOENT | Errno::NOTDIR => {
            Refusal::not_found(format!("Could not find the file {path} in container {id}"))
        }
        error => Refusal::internal(std::io::Error::from(error)),
    }
}

/// The header in which dockerd describes a file.
fn describe(path: &str, entry: &Entry) -> Result<HeaderValue, Refusal> {
    let kind = match entry.kind {
        FileType::RegularFile => 0,
        FileType::Directory => GO_DIR,
        FileType::Symlink => GO_SYMLINK,
        _ => GO_OTHER,
    };
    let sticky = if entry.mode & 0o1000 == 0 {
        0
    } else {
        GO_STICKY
    };
    let time = jiff::Timestamp::new(entry.changed.0, 0).unwrap_or_default();
    let target = match &entry.target {
        Some(target) if target.starts_with('/') => normal(target),
        Some(target) => normal(&format!("{path}/../{target}")),
        None => String::new(),
    };
    let text = json!({
        "name": last(path),
        "size": entry.size,
        "mode": (entry.mode & 0o777) | kind | sticky,
        "mtime": format!("{time:.0}"),
        "linkTarget": target,
    });
    HeaderValue::try_from(STANDARD.encode(text.to_string())).map_err(Refusal::internal)
}

/// Does what reads and writes many files where nothing else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(Refusal::internal)?
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => Refusal::bad(error.to_string()),
            _ => Refusal::internal(error),
        })
}
