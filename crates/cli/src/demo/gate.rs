//! The step that led to the host, tried again in the hardened twin: with the token by which the
//! service acts for the same caller, at the gate that the service goes through.

use super::walk::{WHO, container, post};
use cofferdam_lab::{Gated, Lab};
use serde_json::json;

/// The rule that is meant for it.
const RULE: &str = "mount.host-path";

/// What was done and seen.
pub(super) struct Tried {
    pub(super) lines: Vec<String>,
    /// Each claim, and whether it was seen.
    pub(super) claims: [(bool, String); 2],
}

/// Sends the request that made the container with the host's root in it, and then the same without.
pub(super) async fn try_again(lab: &Lab, gated: &Gated) -> Result<Tried, String> {
    let token = gated.token_for(&lab.identities()[WHO]).await;
    let token = token.map_err(|error| error.to_string())?;
    let authority = gated.docker_address().to_string();
    let mut lines = Vec::new();
    let mut create = async |body: &serde_json::Value| {
        let path = "/containers/create";
        let (status, answer) = post(&authority, path, &token, body).await?;
        lines.push(format!(
            "{WHO}'s token, exchanged  POST {path}  {body}  → {status}"
        ));
        let message = answer["message"].as_str().unwrap_or_default().to_owned();
        if !message.is_empty() {
            lines.push(cofferdam_report::visible(&message));
        }
        Ok::<_, String>((status, message))
    };
    let marker = "cofferdam-was-here";
    let escape = container(marker);
    let (status, message) = create(&escape).await?;
    let refused = status == 403 && message.contains(RULE) && !lab.host_root().join(marker).exists();
    let harmless = json!({"Image": escape["Image"], "Cmd": escape["Cmd"]});
    let (status, _) = create(&harmless).await?;
    Ok(Tried {
        lines,
        claims: [
            (
                refused,
                format!("the container with the host's root in it is refused by the rule {RULE}"),
            ),
            (
                status == 201,
                "the same container without the host's root is made".to_owned(),
            ),
        ],
    })
}
