//! The outcome that every intent gets, whatever happens to the task that carries it out.

use cofferdam_audit::record::Event;

use crate::broker::Broker;
use crate::record::Recorder;

/// What is to have an outcome. Where it is dropped without one, the outcome is `unknown`.
#[must_use]
pub(super) struct Pending<'a> {
    broker: &'a Broker,
    request: Option<String>,
    changes: bool,
}

impl<'a> Pending<'a> {
    pub(super) const fn new(broker: &'a Broker, request: String, changes: bool) -> Self {
        Self {
            broker,
            request: Some(request),
            changes,
        }
    }

    /// Writes the outcome. That of a change is waited for, so that whoever hears the answer can
    /// rely on the record; a log that cannot take it changes nothing any more.
    pub(super) async fn settle(mut self, success: bool, detail: String, created: Vec<String>) {
        let request = self.request.clone().unwrap_or_default();
        let outcome = event(request, success, detail, created);
        let recorder = self.broker.recorder();
        let recorded = match self.changes {
            true => {
                recorder
                    .durably(outcome, self.broker.engine().timing.log)
                    .await
            }
            false => recorder.soon(outcome).await,
        };
        if let Err(error) = recorded {
            self.broker.say(&error.to_string());
        }
        self.request = None;
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let Some(request) = self.request.take() else {
            return;
        };
        if self.changes {
            self.broker.doubt();
        }
        let detail = "unknown: nobody waited for the answer".to_owned();
        let outcome = event(request, false, detail, Vec::new());
        let recorder: Recorder = self.broker.recorder().clone();
        // Outside of a runtime the process is on its way out, and the intent stands alone.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { recorder.soon(outcome).await });
        }
    }
}

fn event(request: String, success: bool, detail: String, mut created: Vec<String>) -> Event {
    // An id has 64 digits, and an entry room for some hundred of them; a prune can have more.
    const IDS: usize = 256;
    let left_out = created.len().saturating_sub(IDS);
    created.truncate(IDS);
    if left_out > 0 {
        created.push(format!("and {left_out} more"));
    }
    Event::Outcome {
        request,
        success,
        detail: detail.chars().take(500).collect(),
        created,
    }
}
