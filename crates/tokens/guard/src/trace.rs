//! Outcomes as events of `tracing` (feature `tracing`).

use crate::guard::Outcome;

/// What to give to [`crate::Guard::observer`]: granted requests at the level of debugging, refused
/// ones at that of information. No field carries a byte of a token, a path or a query.
pub fn trace(outcome: &Outcome<'_>) {
    let Outcome {
        route,
        method,
        verdict,
        status,
        issuer,
        client_id,
    } = *outcome;
    match status {
        None => tracing::debug!(
            route,
            method,
            verdict,
            issuer,
            client_id,
            "request admitted"
        ),
        Some(status) => tracing::info!(route, method, verdict, status, "request refused"),
    }
}
