//! A client of the Engine API over a unix socket: typed calls, a limit on every answer and on the
//! time it may take.

use crate::pool::{AnswerBody, Call, Outgoing, Pool};
use crate::wire::{
    Container, ContainerSummary, CreateAnswer, ErrorBody, Exec, ExecCreate, ExecStart, IdAnswer,
    Image, ImageSummary, Info, Version, WaitAnswer,
};
use crate::{API_VERSION, Error, stream};
use bytes::Bytes;
use hyper::{Method, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What stays as it is in a name that becomes one part of a path or query: a reference may hold
/// `:`, `@` and `/`, and the engine's routes take them unescaped.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');
/// The same for an id or a container's name, which is one segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A client of one engine. Cloning is cheap; each call opens its own connection.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool,
    timeout: Duration,
    limit: usize,
}

/// What `/_ping` says in its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// `Api-Version`.
    pub api_version: Option<String>,
    /// `Server`.
    pub server: Option<String>,
}

impl Client {
    /// A client of the engine behind `socket`. Nothing is opened yet. A call may take 30 s and its
    /// answer 16 MiB.
    pub fn unix(socket: impl Into<PathBuf>) -> Self {
        Self {
            // A connection belongs to one runtime, and a client may be used from several.
            pool: Pool::unix(socket, 0),
            timeout: Duration::from_secs(30),
            limit: 16 * 1024 * 1024,
        }
    }

    /// Sets how long one call may take, from connecting to the last byte of the answer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many bytes an answer may have.
    #[must_use]
    pub fn with_body_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        self.pool.socket()
    }

    /// Sends one request and returns the answer's head, whatever its status, with a body that is
    /// still to be read. The time limit covers the head only.
    ///
    /// # Errors
    /// When the engine cannot be reached or does not answer in time.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response<AnswerBody>, Error> {
        let call = Call {
            method,
            target: path,
            body: body.map_or(Outgoing::Empty, Outgoing::Json),
            head_within: Some(self.timeout),
        };
        self.pool.send(call).await
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// As [`Client::open`], and when the answer is too large or does not end in time.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response<Bytes>, Error> {
        tokio::time::timeout(self.timeout, async {
            let (head, body) = self.open(method, path, body).await?.into_parts();
            let bytes = body.whole(self.limit).await?;
            Ok(Response::from_parts(head, bytes))
        })
        .await
        .map_err(|_| Error::Timeout(self.timeout))?
    }

    /// Whether the engine lives, and what it is.
    ///
    /// # Errors
    /// As every call: no connection, no answer in time, or a refusal.
    pub async fn ping(&self) -> Result<Ping, Error> {
        let answer = accepted(self.send(Method::GET, "/_ping", None).await?)?;
        let header = |name: &str| {
            let value = answer.headers().get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Ok(Ping {
            api_version: header("api-version"),
            server: header("server"),
        })
    }

    /// `GET /version`.
    ///
    /// # Errors
    /// As every call.
    pub async fn version(&self) -> Result<Version, Error> {
        self.get("/version").await
    }

    /// `GET /info`.
    ///
    /// # Errors
    /// As every call.
    pub async fn info(&self) -> Result<Info, Error> {
        self.get("/info").await
    }

    /// Lists containers, those that do not run only with `all`.
    ///
    /// # Errors
    /// As every call.
    pub async fn containers(&self, all: bool) -> Result<Vec<ContainerSummary>, Error> {
        self.get(&format!("/containers/json?all={}", u8::from(all)))
            .await
    }

    /// Inspects a container by id or name.
    ///
    /// # Errors
    /// As every call; 404 when there is none.
    pub async fn inspect(&self, id: &str) -> Result<Container, Error> {
        self.get(&format!("/containers/{}/json", segment(id))).await
    }

    /// Creates a container. The body is any type that serializes to what the engine takes, usually
    /// [`CreateBody`](crate::wire::CreateBody).
    ///
    /// # Errors
    /// As every call; 404 when the image is absent, 409 when the name is taken, 403 when a plug-in
    /// refuses.
    pub async fn create<B: Serialize + ?Sized>(
        &self,
        name: Option<&str>,
        body: &B,
    ) -> Result<CreateAnswer, Error> {
        let path = match name {
            Some(name) => format!("/containers/create?name={}", segment(name)),
            None => "/containers/create".to_owned(),
        };
        self.post(&path, body).await
    }

    /// Starts a container. One that runs already is left as it is.
    ///
    /// # Errors
    /// As every call.
    pub async fn start(&self, id: &str) -> Result<(), Error> {
        self.act(&format!("/containers/{}/start", segment(id)))
            .await
    }

    /// Stops a container, killing it after `seconds`.
    ///
    /// # Errors
    /// As every call.
    pub async fn stop(&self, id: &str, seconds: u32) -> Result<(), Error> {
        self.act(&format!("/containers/{}/stop?t={seconds}", segment(id)))
            .await
    }

    /// Sends a signal, such as `SIGKILL`.
    ///
    /// # Errors
    /// As every call; 409 when it does not run.
    pub async fn kill(&self, id: &str, signal: &str) -> Result<(), Error> {
        let path = format!(
            "/containers/{}/kill?signal={}",
            segment(id),
            segment(signal)
        );
        self.act(&path).await
    }

    /// Waits until a container does not run; answers its exit code.
    ///
    /// # Errors
    /// As every call; the client's time limit holds here too.
    pub async fn wait(&self, id: &str) -> Result<i64, Error> {
        let path = format!("{}/containers/{}/wait", prefix(), segment(id));
        let answer = accepted(self.send(Method::POST, &path, None).await?)?;
        Ok(serde_json::from_slice::<WaitAnswer>(answer.body())?.status_code)
    }

    /// The last `tail` lines that a container without a terminal wrote.
    ///
    /// # Errors
    /// As every call.
    pub async fn logs(&self, id: &str, tail: u32) -> Result<Vec<stream::Frame>, Error> {
        let path = format!(
            "{}/containers/{}/logs?stdout=1&stderr=1&tail={tail}",
            prefix(),
            segment(id)
        );
        let answer = accepted(self.send(Method::GET, &path, None).await?)?;
        stream::decode(answer.body())
    }

    /// Removes a container, with `force` even one that runs.
    ///
    /// # Errors
    /// As every call; 409 when it runs and `force` is not set.
    pub async fn remove(&self, id: &str, force: bool) -> Result<(), Error> {
        let path = format!(
            "{}/containers/{}?force={}",
            prefix(),
            segment(id),
            u8::from(force)
        );
        accepted(self.send(Method::DELETE, &path, None).await?)?;
        Ok(())
    }

    /// Prepares a command in a running container; answers its id.
    ///
    /// # Errors
    /// As every call; 409 when the container does not run.
    pub async fn exec_create(&self, id: &str, body: &ExecCreate) -> Result<String, Error> {
        let path = format!("/containers/{}/exec", segment(id));
        Ok(self.post::<_, IdAnswer>(&path, body).await?.id)
    }

    /// Runs a prepared command without input to its end; answers what it wrote.
    ///
    /// # Errors
    /// As every call.
    pub async fn exec_start(&self, exec: &str) -> Result<Vec<stream::Frame>, Error> {
        let path = format!("{}/exec/{}/start", prefix(), segment(exec));
        let body = serde_json::to_vec(&ExecStart::default())?;
        let answer = accepted(self.send(Method::POST, &path, Some(body.into())).await?)?;
        stream::decode(answer.body())
    }

    /// `GET /exec/{id}/json`.
    ///
    /// # Errors
    /// As every call.
    pub async fn exec_inspect(&self, exec: &str) -> Result<Exec, Error> {
        self.get(&format!("/exec/{}/json", segment(exec))).await
    }

    /// `GET /images/json`.
    ///
    /// # Errors
    /// As every call.
    pub async fn images(&self) -> Result<Vec<ImageSummary>, Error> {
        self.get("/images/json").await
    }

    /// `GET /images/{name}/json`.
    ///
    /// # Errors
    /// As every call; 404 when there is none.
    pub async fn image(&self, name: &str) -> Result<Image, Error> {
        self.get(&format!("/images/{}/json", reference(name))).await
    }

    /// Pulls an image, and waits until it is there.
    ///
    /// # Errors
    /// As every call; also when the engine reports a failure in the middle of its progress stream.
    pub async fn pull(&self, name: &str) -> Result<(), Error> {
        let path = format!("{}/images/create?fromImage={}", prefix(), reference(name));
        let answer = accepted(self.send(Method::POST, &path, None).await?)?;
        let progress = serde_json::Deserializer::from_slice(answer.body());
        for line in progress.into_iter::<serde_json::Value>() {
            if let Some(message) = line?.get("error").and_then(|error| error.as_str()) {
                return Err(Error::Engine {
                    status: answer.status().as_u16(),
                    message: message.to_owned(),
                });
            }
        }
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let path = format!("{}{path}", prefix());
        let answer = accepted(self.send(Method::GET, &path, None).await?)?;
        Ok(serde_json::from_slice(answer.body())?)
    }

    async fn post<B: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Error> {
        let path = format!("{}{path}", prefix());
        let body = serde_json::to_vec(body)?;
        let answer = accepted(self.send(Method::POST, &path, Some(body.into())).await?)?;
        Ok(serde_json::from_slice(answer.body())?)
    }

    async fn act(&self, path: &str) -> Result<(), Error> {
        let path = format!("{}{path}", prefix());
        accepted(self.send(Method::POST, &path, None).await?)?;
        Ok(())
    }
}

fn prefix() -> String {
    format!("/v{API_VERSION}")
}

fn segment(text: &str) -> String {
    // A lone `.` or `..` would be folded into the path by the engine; as an id it names nothing.
    match text {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

fn reference(text: &str) -> String {
    utf8_percent_encode(text, NAME).to_string()
}

/// 304 says that there was nothing to do, which is no failure.
fn accepted(answer: Response<Bytes>) -> Result<Response<Bytes>, Error> {
    let status = answer.status();
    if status.is_success() || status.as_u16() == 304 {
        return Ok(answer);
    }
    let message = match serde_json::from_slice::<ErrorBody>(answer.body()) {
        Ok(body) => body.message,
        Err(_) => String::from_utf8_lossy(&answer.body()[..answer.body().len().min(200)]).into(),
    };
    Err(Error::Engine {
        status: status.as_u16(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// Serves one connection with a fixed text and answers what was asked.
    async fn once(
        answer: &'static str,
    ) -> (tempfile::TempDir, Client, tokio::task::JoinHandle<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            asked.truncate(length);
            if answer.is_empty() {
                // Holds the connection until the client gives up.
                let _ = stream.read(&mut [0; 1]).await;
            }
            String::from_utf8(asked).unwrap()
        });
        (dir, Client::unix(path), task)
    }

    #[tokio::test]
    async fn an_id_never_becomes_another_path() {
        let (_dir, client, asked) =
            once("HTTP/1.1 404 Not Found\r\ncontent-length: 16\r\n\r\n{\"message\":\"no\"}").await;
        let error = client.inspect("a/../../images?x#y").await.unwrap_err();
        assert_eq!(error.status(), Some(404));
        let asked = asked.await.unwrap();
        assert!(
            asked.starts_with(
                "GET /v1.41/containers/a%2F..%2F..%2Fimages%3Fx%23y/json HTTP/1.1\r\n"
            ),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn an_answer_above_the_limit_is_refused() {
        let (_dir, client, _asked) =
            once("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{\"message\":\"no\"}").await;
        let error = client.with_body_limit(10).info().await.unwrap_err();
        assert!(matches!(error, Error::TooLarge(10)), "{error:?}");
    }

    #[tokio::test]
    async fn an_engine_that_does_not_answer_is_given_up() {
        let (_dir, client, _asked) = once("").await;
        let client = client.with_timeout(Duration::from_millis(20));
        assert!(matches!(client.ping().await, Err(Error::Timeout(_))));
    }

    #[tokio::test]
    async fn a_socket_that_is_not_there_is_named() {
        let error = Client::unix("/nonexistent/docker.sock")
            .ping()
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("/nonexistent/docker.sock"),
            "{error}"
        );
    }
}
