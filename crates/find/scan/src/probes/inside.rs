//! A proven server-side request, aimed at the inside.

use super::{IMDS_SESSION, INTERNAL, Spot, engine_facts, find_text, is_version_text};
use crate::{Context, Exchange, Halt, Request};
use cofferdam_finding::{Condition, Confidence, Evidence, Fact, Facts, Truth};
use serde_json::Value;

/// The header field without which no session of the metadata service is made: one second.
pub(crate) const IMDS_LIFETIME: (&str, &str) = ("X-aws-ec2-metadata-token-ttl-seconds", "1");

/// A proven request whose answer is seen, aimed at the inside.
pub(crate) struct Inside<'a> {
    /// What the check stands on.
    pub(crate) cx: &'a Context,
    /// The request that makes the service ask this URL.
    pub(crate) put: &'a (dyn Fn(&str) -> Request + Sync),
    /// Where its answer comes back.
    pub(crate) spot: &'a Spot,
}

impl Inside<'_> {
    /// Asks what only the inside should reach. A name that cannot exist is the control.
    pub(crate) async fn ask(
        &self,
        evidence: &mut Vec<Evidence>,
        facts: &mut Facts,
    ) -> Result<(), Halt> {
        let cx = self.cx;
        let nowhere = format!("http://{}.invalid:2375/version", cx.nonce());
        let control = cx.send_fresh((self.put)(&nowhere)).await?;
        // Together, since each that is not there may take its whole time limit.
        let answers = cx
            .each(INTERNAL, |internal| async move {
                Ok((internal, cx.send_fresh((self.put)(internal.url)).await?))
            })
            .await?;
        for (internal, exchange) in answers {
            if facts.truth(internal.condition) == Truth::Yes
                || !self.told(&exchange, internal.telling)
                || self.told(&control, internal.telling)
            {
                continue;
            }
            let shows = format!("{} answers at {}", internal.what, internal.url);
            let piece = cx.evidence(shows, &exchange);
            let shows = "control: a name that does not exist is not answered so";
            evidence.push(piece.clone());
            facts.learn(
                internal.condition,
                yes(vec![piece, cx.evidence(shows, &control)]),
            );
            if let Some(base) = internal.url.strip_suffix("/version") {
                self.ask_engine(base, facts).await?;
            }
        }
        Ok(())
    }

    /// What an engine that answers says of its host.
    async fn ask_engine(&self, base: &str, facts: &mut Facts) -> Result<(), Halt> {
        let exchange = self
            .cx
            .send_fresh((self.put)(&format!("{base}/info")))
            .await?;
        let text = self.spot.read(&exchange).unwrap_or_default();
        let text = text.find('{').map_or("", |from| &text[from..]);
        let proof = self.cx.evidence("the engine describes its host", &exchange);
        facts.merge(&engine_facts(text, &proof));
        Ok(())
    }

    /// Asks the metadata service for a session, which takes a method and a header field that
    /// `with_rest` adds. What it hands out is good for one second and is not kept.
    pub(crate) async fn ask_for_session(
        &self,
        with_rest: &(dyn Fn(Request) -> Request + Sync),
        evidence: &mut Vec<Evidence>,
        facts: &mut Facts,
    ) -> Result<(), Halt> {
        let request = with_rest((self.put)(IMDS_SESSION));
        let exchange = self.cx.send_fresh(request).await?;
        let session = |text: &str| {
            let text = text.trim();
            text.len() >= 40
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_=+/".contains(&byte))
        };
        if self.told(&exchange, session) {
            let mut piece = self
                .cx
                .evidence("the metadata service hands out a session", &exchange);
            if let Some(response) = &mut piece.response {
                response.body = "[the session token is not kept]".to_owned();
            }
            evidence.push(piece.clone());
            facts.learn(Condition::NetImdsV2Hop2, yes(vec![piece]));
        }
        Ok(())
    }

    /// Asks the engine by naming its socket, in the ways that HTTP clients write one, and says
    /// whether it answered.
    pub(crate) async fn ask_socket(
        &self,
        evidence: &mut Vec<Evidence>,
        facts: &mut Facts,
    ) -> Result<bool, Halt> {
        for socket in ["/var/run/docker.sock", "/run/docker.sock"] {
            let encoded = socket.replace('/', "%2F");
            for url in [
                format!("unix://{socket}:/version"),
                format!("http+unix://{encoded}/version"),
                format!("unix://{encoded}/version"),
                format!("http://unix:{socket}:/version"),
                format!("unix:{socket}|http://localhost/version"),
            ] {
                let exchange = self.cx.send_fresh((self.put)(&url)).await?;
                if !self.told(&exchange, is_version_text) {
                    continue;
                }
                let piece = self
                    .cx
                    .evidence(format!("the engine answers at {url}"), &exchange);
                evidence.push(piece.clone());
                // Who gets an answer is there and may write.
                for condition in [Condition::SockDocker, Condition::UserDockergid] {
                    facts.learn(condition, yes(vec![piece.clone()]));
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the answer that came back is what `telling` knows.
    fn told(&self, exchange: &Exchange, telling: fn(&str) -> bool) -> bool {
        self.spot.read(exchange).is_some_and(|text| telling(&text))
            || find_text(exchange, |text| telling(text).then_some(())).is_some()
            || exchange
                .json()
                .is_some_and(|json| any_object(json, telling))
    }
}

/// Whether an answer that was passed on as a JSON document, not as text, is what `telling` knows.
fn any_object(json: &Value, telling: fn(&str) -> bool) -> bool {
    match json {
        Value::Object(map) => {
            telling(&json.to_string()) || map.values().any(|value| any_object(value, telling))
        }
        _ => false,
    }
}

fn yes(evidence: Vec<Evidence>) -> Fact {
    Fact {
        truth: Truth::Yes,
        confidence: Confidence::Proven,
        evidence,
    }
}
