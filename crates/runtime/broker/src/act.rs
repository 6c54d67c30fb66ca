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
use hyper::body::Body as _;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::sync::oneshot;

pub(crate) use content::{Content, Source};

use crate::tenancy::{Begun, Tenancy, Tenant, View};
use crate::upstream::{Answered, NotRead, SMALL, Upstream};

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
    /// Whether the engine may have done it, without anybody having heard.
    pub(crate) in_doubt: bool,
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
        Err(error) => {
            let acted = Acted::failed(&error.into());
            let trouble = match acted.in_doubt {
                true => None,
                // It was not done: as if the engine had said so.
                false => asked.settle(&begun, 503, &[]).1,
            };
            Acted { trouble, ..acted }
        }
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
        Err(broken) => {
            let detail = match (broken.removed.len(), broken.in_doubt) {
                (0, false) => format!("not done: {}", broken.refused.message),
                (0, true) => format!("unknown: {}", broken.refused.message),
                (gone, _) => format!("partly done: {gone} removed; {}", broken.refused.message),
            };
            Acted {
                detail,
                objects: broken.removed,
                in_doubt: broken.in_doubt,
                ..Acted::refused(broken.refused)
            }
        }
        Ok(pruned) => {
            let body = Bytes::from(pruned.body.to_string());
            let done = Done {
                status: 200,
                content_type: Some("application/json".to_owned()),
                path_stat: None,
                body: Body::Sized(body.len() as u64),
            };
            Acted::done(done, Content::Whole(body, None), pruned.removed, None)
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
        // What tells of a change is short, and is waited for. Anything else that is shown as it comes
        // may be long, or have no end.
        let streams = match &begun.view {
            View::Json(_) => false,
            View::Pass => !self.action.kind().changes() && !is_small(&body),
            View::Lines(_) => true,
        };
        if streams {
            let (_, trouble) = self.settle(&begun, status, &[]);
            let lines = match begun.view {
                View::Lines(lines) => Some(lines),
                View::Json(_) | View::Pass => None,
            };
            let content = Content::stream(Source::Engine(body), lines);
            return Acted::done(done(Body::Stream), content, Vec::new(), trouble);
        }
        let mut room = self.engine.room(self.tenant);
        let read = match &begun.view {
            View::Json(view) if view.is_of_all() => {
                let keep = |list: &str, it: Value| view.keeps(list, &it).then_some(it);
                self.engine.sifted(body, &mut room, keep).await
            }
            _ => self.engine.whole(body, &mut room).await,
        };
        let body = match read {
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
        let content = Content::Whole(body, room.into_share());
        Acted::done(done, content, created, trouble)
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
            in_doubt: false,
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
            in_doubt: false,
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
            in_doubt: false,
        }
    }

    /// There is no whole answer.
    fn failed(error: &NotRead) -> Self {
        let (status, message, in_doubt) = match error {
            NotRead::NoRoom => {
                let message = "too many large answers are being read at once; ask again later";
                (503, message, true)
            }
            NotRead::Engine(error) => match error {
                Error::Connect { .. } => (503, "the engine cannot be reached", false),
                Error::Timeout(_) => (504, "the engine did not answer in time", true),
                Error::TooLarge(_) => (502, "the answer of the engine is too large", true),
                _ => (502, "the engine broke the exchange off", true),
            },
        };
        let (told, done) = match in_doubt {
            true => (
                format!("{message}; whether it was done is not known"),
                "unknown",
            ),
            false => (message.to_owned(), "not done"),
        };
        Self {
            detail: format!("{done}: {message}"),
            in_doubt,
            ..Self::refused(Refused {
                retry_after: matches!(error, NotRead::NoRoom).then_some(1),
                ..refusal(By::Broker, status, told)
            })
        }
    }

    /// The engine did it, and its answer cannot be shown.
    fn unreadable() -> Self {
        let message = "the answer of the engine is not what its API says";
        Self {
            success: true,
            detail: format!("done, but {message}"),
            ..Self::refused(refusal(By::Broker, 502, message.to_owned()))
        }
    }
}

/// Whether a body is known to be short.
fn is_small(body: &AnswerBody) -> bool {
    let length = body.size_hint().exact();
    length.is_some_and(|length| length <= SMALL as u64)
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
