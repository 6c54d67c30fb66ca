//! A broker whose answers a test writes. It speaks the frames of `cofferdam_action::wire`.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use cofferdam_action::action::Action;
use cofferdam_action::refusal::Rule;
use cofferdam_action::wire::{self, Answer, Ask, Body, Call, Done, Frame, Outcome, Refused};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

pub(crate) const REQUEST: &str = "0123456789abcdef0123456789abcdef";

type Play = Pin<Box<dyn Future<Output = Option<Link>> + Send>>;

/// The broker, and what it has heard.
pub(crate) struct Broker {
    heard: Arc<Mutex<Vec<Call>>>,
    connections: Arc<Mutex<usize>>,
    task: tokio::task::JoinHandle<()>,
}

/// One connection of the gate.
pub(crate) struct Link {
    stream: UnixStream,
    buffer: BytesMut,
}

impl Broker {
    /// Plays `play` for each call. It gives the connection back where it can carry another call.
    pub(crate) fn start<P, F>(folder: &Path, play: P) -> Broker
    where
        P: Fn(Call, Link) -> F + Send + Sync + 'static,
        F: Future<Output = Option<Link>> + Send + 'static,
    {
        let path = folder.join("broker.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(path).unwrap();
        let heard: Arc<Mutex<Vec<Call>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let play: Arc<dyn Fn(Call, Link) -> Play + Send + Sync> =
            Arc::new(move |call, link| Box::pin(play(call, link)));
        let (log, count) = (Arc::clone(&heard), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut links = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                let (log, play) = (Arc::clone(&log), Arc::clone(&play));
                links.spawn(async move {
                    let mut next = Some(Link {
                        stream,
                        buffer: BytesMut::new(),
                    });
                    while let Some(mut link) = next {
                        let Some(Frame::Call(json)) = link.read().await else {
                            return;
                        };
                        let call: Call = serde_json::from_slice(&json).unwrap();
                        log.lock().unwrap().push(call.clone());
                        next = match call.ask {
                            Ask::Act(_) => play(call, link).await,
                            Ask::Refused { .. } => {
                                assert_eq!(link.read().await, Some(Frame::End));
                                link.done(200, None, Body::Empty).await;
                                Some(link)
                            }
                        };
                    }
                });
            }
        });
        Broker {
            heard,
            connections,
            task,
        }
    }

    /// Answers everything with an empty JSON object.
    pub(crate) fn plain(folder: &Path) -> Broker {
        Broker::start(folder, |_, mut link| async move {
            link.rest().await;
            link.json(200, "{}").await;
            Some(link)
        })
    }

    /// Begins a stream of which nothing comes, and says when nobody waits for it any more.
    pub(crate) fn until_gone(folder: &Path) -> (Broker, Arc<Notify>) {
        let gone = Arc::new(Notify::new());
        let told = Arc::clone(&gone);
        let broker = Broker::start(folder, move |_, mut link| {
            let told = Arc::clone(&told);
            async move {
                link.rest().await;
                link.done(200, None, Body::Stream).await;
                assert_eq!(link.read().await, None);
                told.notify_one();
                None
            }
        });
        (broker, gone)
    }

    /// Begins a stream, says that it has heard the call, and ends when it may go on.
    pub(crate) fn held(folder: &Path) -> (Broker, Arc<Notify>, Arc<Notify>) {
        let (heard, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let told = (Arc::clone(&heard), Arc::clone(&go));
        let broker = Broker::start(folder, move |_, mut link| {
            let (heard, go) = told.clone();
            async move {
                link.rest().await;
                link.done(200, None, Body::Stream).await;
                heard.notify_one();
                go.notified().await;
                link.end().await;
                Some(link)
            }
        });
        (broker, heard, go)
    }

    pub(crate) fn heard(&self) -> Vec<Call> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn actions(&self) -> Vec<Action> {
        let action = |call: Call| match call.ask {
            Ask::Act(action) => Some(*action),
            Ask::Refused { .. } => None,
        };
        self.heard().into_iter().filter_map(action).collect()
    }

    pub(crate) fn refusals(&self) -> Vec<(String, Rule)> {
        let refusal = |call: Call| match call.ask {
            Ask::Act(_) => None,
            Ask::Refused { route, refusal } => Some((route, refusal.rule)),
        };
        self.heard().into_iter().filter_map(refusal).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Ends it, with all of its connections.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl Link {
    /// The next frame; nothing where the gate is gone.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = wire::decode(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Everything that the gate sends before its end; nothing where there is none.
    pub(crate) async fn rest(&mut self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            match self.read().await? {
                Frame::Data(bytes) => all.extend_from_slice(&bytes),
                Frame::End => return Some(all),
                _ => return None,
            }
        }
    }

    /// Waits, without reading, until the gate has closed its side.
    pub(crate) async fn closed(&self) {
        // What was not read stays where it is, and the readiness with it, so the end is asked for.
        while !self
            .stream
            .ready(Interest::READABLE)
            .await
            .unwrap()
            .is_read_closed()
        {
            tokio::task::yield_now().await;
        }
    }

    /// Writes a frame; whether the gate took it.
    pub(crate) async fn write(&mut self, frame: Frame) -> bool {
        let mut bytes = BytesMut::new();
        wire::encode(&frame, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.is_ok()
    }

    pub(crate) async fn data(&mut self, bytes: &[u8]) -> bool {
        self.write(Frame::Data(Bytes::copy_from_slice(bytes))).await
    }

    pub(crate) async fn end(&mut self) -> bool {
        self.write(Frame::End).await
    }

    async fn answer(&mut self, outcome: Outcome) {
        let answer = Answer {
            request: REQUEST.to_owned(),
            outcome,
        };
        let json = serde_json::to_vec(&answer).unwrap();
        self.write(Frame::Answer(json.into())).await;
    }

    /// The head of a good answer; an empty one ends at once.
    pub(crate) async fn done(&mut self, status: u16, content_type: Option<&str>, body: Body) {
        self.answer(Outcome::Done(Done {
            status,
            content_type: content_type.map(str::to_owned),
            path_stat: None,
            body,
        }))
        .await;
        if body == Body::Empty {
            self.end().await;
        }
    }

    /// A whole answer with JSON.
    pub(crate) async fn json(&mut self, status: u16, text: &str) {
        let body = Body::Sized(text.len() as u64);
        self.done(status, Some("application/json"), body).await;
        self.data(text.as_bytes()).await;
        self.end().await;
    }

    pub(crate) async fn refuse(&mut self, refused: Refused) {
        self.answer(Outcome::Refused(refused)).await;
        self.end().await;
    }

    /// Answers with the head of a stat.
    pub(crate) async fn path_stat(&mut self, stat: &str) {
        self.answer(Outcome::Done(Done {
            status: 200,
            content_type: None,
            path_stat: Some(stat.to_owned()),
            body: Body::Empty,
        }))
        .await;
        self.end().await;
    }
}
