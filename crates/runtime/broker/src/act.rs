//! The engine is asked, once, and its answer made ready for the caller.

mod content;
mod pull;

use bytes::Bytes;
use cofferdam_action::action::Action;
use cofferdam_action::encode::encode;
use cofferdam_action::wire::{Body, By, Done, Refused};
use cofferdam_docker::Error;
use cofferdam_docker::pool::{AnswerBody, Outgoing};
use hyper::Response;
use hyper::header::CONTENT_TYPE;
use tokio::sync::oneshot;

pub(crate) use content::{Content, Source};

use crate::tenancy::{Begun, Tenancy, Tenant, View};
use crate::upstream::{Answered, Upstream};

/// Bytes of an error of the engine that are read.
const MAX_ERROR: usize = 64 << 10;

/// For the caller.
pub(crate) type Reply = Result<(Done, Content), Refused>;

/// What became of an action, for the caller and for the audit log.
#[must_use]
pub(crate) struct Acted {
    /// For the caller; nothing where they have been answered already.
    pub(crate) reply: Option<Reply>,
    /// Whether the engine did it.
    pub(crate) success: bool,
    /// The engine's status or the failure, in a few words.
    pub(crate) detail: String,
    /// Full ids of what was made or, by a prune, removed.
    pub(crate) objects: Vec<String>,
    /// What an operator should hear of.
    pub(crate) trouble: Option<String>,
}

/// Whether the answer is passed on as it comes, since it may have no end.
const fn is_stream(action: &Action) -> bool {
    matches!(
        action,
        Action::Events(_)
            | Action::ContainerLogs(_)
            | Action::ContainerStats { .. }
            | Action::ContainerWait { .. }
            | Action::ContainerCopyOut { .. }
    )
}

/// Asks the engine. `archive` is what follows the head of an upload. A pull answers through
/// `answer` before it has ended.
pub(crate) async fn act(
    tenancy: &Tenancy<Upstream>,
    engine: &Upstream,
    mut action: Action,
    tenant: &Tenant,
    archive: Outgoing,
    answer: &mut Option<oneshot::Sender<Reply>>,
) -> Acted {
    let begun = match tenancy.begin(&mut action, tenant).await {
        Ok(begun) => begun,
        Err(refused) => return Acted::refused(refused),
    };
    let action = &action;
    let Some(request) = encode(action) else {
        return prune(tenancy, action, tenant).await;
    };
    let answered = engine.request(action, request, archive).await;
    let asked = Asked {
        tenancy,
        engine,
        action,
        tenant,
    };
    match answered {
        Err(error) => Acted::failed(&error),
        Ok(Answered::Streams(streams)) => {
            let trouble = asked.settle(&begun, 101, &[]).1;
            let done = Done {
                status: 101,
                content_type: streams.content_type.as_ref().and_then(text),
                path_stat: None,
                body: Body::Streams,
            };
            Acted::done(
                done,
                Content::Hijacked(Box::new(streams)),
                Vec::new(),
                trouble,
            )
        }
        Ok(Answered::Answer(answered)) => match answered.status().as_u16() {
            200..300 | 304 => asked.answer(begun, answered, answer).await,
            _ => asked.error(&begun, answered).await,
        },
    }
}

async fn prune(tenancy: &Tenancy<Upstream>, action: &Action, tenant: &Tenant) -> Acted {
    match tenancy.prune(action, tenant).await {
        Err(refused) => Acted::refused(refused),
        Ok(pruned) => {
            let body = Bytes::from(pruned.body.to_string());
            let done = Done {
                status: 200,
                content_type: Some("application/json".to_owned()),
                path_stat: None,
                body: Body::Sized(body.len() as u64),
            };
            Acted::done(done, Content::Whole(body), pruned.removed, None)
        }
    }
}

/// An action that the engine has been asked for.
struct Asked<'a> {
    tenancy: &'a Tenancy<Upstream>,
    engine: &'a Upstream,
    action: &'a Action,
    tenant: &'a Tenant,
}

impl Asked<'_> {
    async fn answer(
        self,
        begun: Begun,
        answered: Response<AnswerBody>,
        answer: &mut Option<oneshot::Sender<Reply>>,
    ) -> Acted {
        let (head, body) = answered.into_parts();
        let status = head.status.as_u16();
        let done = |body| Done {
            status,
            content_type: head.headers.get(CONTENT_TYPE).and_then(text),
            path_stat: head
                .headers
                .get("x-docker-container-path-stat")
                .and_then(text),
            body,
        };
        if let Action::ImagePull { .. } = self.action
            && let Some(answer) = answer.take()
        {
            return pull::run(self, begun, done(Body::Stream), body, answer).await;
        }
        if is_stream(self.action) {
            let (_, trouble) = self.settle(&begun, status, &[]);
            let source = Source::Engine(body);
            return match begun.view {
                View::Json(_) => Acted::unreadable(),
                View::Pass => {
                    let content = Content::stream(source, None);
                    Acted::done(done(Body::Stream), content, Vec::new(), trouble)
                }
                View::Lines(lines) => {
                    let content = Content::stream(source, Some(lines));
                    Acted::done(done(Body::Stream), content, Vec::new(), trouble)
                }
            };
        }
        let body = match self.engine.whole(body).await {
            Ok(body) => body,
            // The head said that it was done; the caller cannot be shown what was.
            Err(error) => return Acted::failed(&error),
        };
        let (created, trouble) = self.settle(&begun, status, &body);
        let body = match begun.view {
            View::Pass => body,
            View::Json(_) if body.is_empty() => body,
            View::Json(view) => match view.apply(&body) {
                Ok(body) => body.into(),
                Err(_) => return Acted::unreadable(),
            },
            View::Lines(_) => return Acted::unreadable(),
        };
        if body.is_empty() {
            return Acted::done(done(Body::Empty), Content::Empty, created, trouble);
        }
        let done = done(Body::Sized(body.len() as u64));
        Acted::done(done, Content::Whole(body), created, trouble)
    }

    /// The engine said no.
    async fn error(self, begun: &Begun, answer: Response<AnswerBody>) -> Acted {
        let status = answer.status().as_u16();
        let body = answer.into_body().whole(MAX_ERROR);
        let body = tokio::time::timeout(self.engine.timing.body, body).await;
        // Without a body that can be read the status alone is told.
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let (_, trouble) = self.settle(begun, status, &body);
        let message = serde_json::from_slice::<cofferdam_docker::wire::ErrorBody>(&body)
            .map(|body| self.tenancy.message(self.tenant, &body.message))
            .unwrap_or_else(|_| format!("the engine answered with status {status}"));
        // What is no error of HTTP is one of the engine's.
        let told = if (400..600).contains(&status) {
            status
        } else {
            502
        };
        let refused = refusal(By::Engine, told, message);
        Acted {
            reply: Some(Err(refused)),
            success: false,
            detail: status.to_string(),
            objects: Vec::new(),
            trouble,
        }
    }

    /// Lets the tenancy take note; what was made, and what went wrong with that.
    fn settle(&self, begun: &Begun, status: u16, body: &[u8]) -> (Vec<String>, Option<String>) {
        let settled = self
            .tenancy
            .settle(self.action, begun, status, body, self.tenant);
        let trouble = settled
            .failure
            .map(|failure| format!("the journal of owners cannot be written: {failure}"));
        (settled.created, trouble)
    }
}

impl Acted {
    fn done(done: Done, content: Content, objects: Vec<String>, trouble: Option<String>) -> Self {
        Self {
            detail: done.status.to_string(),
            reply: Some(Ok((done, content))),
            success: true,
            objects,
            trouble,
        }
    }

    /// Nothing was asked of the engine.
    fn refused(refused: Refused) -> Self {
        Self {
            detail: format!("not done: {}", refused.message),
            reply: Some(Err(refused)),
            success: false,
            objects: Vec::new(),
            trouble: None,
        }
    }

    /// There is no whole answer.
    fn failed(error: &Error) -> Self {
        let (status, message, done) = match error {
            Error::Connect { .. } => (503, "the engine cannot be reached", "not done"),
            Error::Timeout(_) => (504, "the engine did not answer in time", "unknown"),
            Error::TooLarge(_) => (502, "the answer of the engine is too large", "unknown"),
            _ => (502, "the engine broke the exchange off", "unknown"),
        };
        let told = match done {
            "unknown" => format!("{message}; whether it was done is not known"),
            _ => message.to_owned(),
        };
        let refused = refusal(By::Broker, status, told);
        Self {
            reply: Some(Err(refused)),
            success: false,
            detail: format!("{done}: {message}"),
            objects: Vec::new(),
            trouble: None,
        }
    }

    /// The engine did it, and its answer cannot be shown.
    fn unreadable() -> Self {
        let message = "the answer of the engine is not what its API says";
        let refused = refusal(By::Broker, 502, message.to_owned());
        Self {
            reply: Some(Err(refused)),
            success: true,
            detail: format!("done, but {message}"),
            objects: Vec::new(),
            trouble: None,
        }
    }
}

/// A refusal without a rule or a scope.
pub(crate) const fn refusal(by: By, status: u16, message: String) -> Refused {
    Refused {
        by,
        status,
        message,
        rules: Vec::new(),
        scope: None,
        retry_after: None,
    }
}

fn text(value: &hyper::header::HeaderValue) -> Option<String> {
    value.to_str().ok().map(str::to_owned)
}
