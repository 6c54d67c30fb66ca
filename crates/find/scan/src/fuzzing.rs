//! Ways in for the fuzz targets (`fuzz/` of the repository) to what reads a stranger's bytes and is
//! not public. Not part of the API.

use crate::client::wire::Wire;
use crate::exchange::Retained;
use crate::inventory::discover::clues;
use crate::inventory::{Harvest, Samples, har, openapi};
use crate::redact::Redactor;
use crate::{
    Exchange, Failure, Identity, Operation, Protection, Response, ScanError, ScanOptions, Sent,
    Target, Verdict, inventory, oracle,
};
use bytes::Bytes;
use cofferdam_finding::Evidence;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The operations of an API description or a HAR file, and a sample of every value that would be
/// sent to them.
pub fn operations(text: &str, base: &Target) -> Result<(Vec<Operation>, Vec<String>), ScanError> {
    let document = inventory::parse("fuzz", text)?;
    let operations = if har::is_har(&document) {
        har::read(&document, base).0
    } else {
        openapi::read(&document, text, Some("fuzz"), base).operations
    };
    let samples = Samples::new(base);
    let mut values = Vec::new();
    for operation in &operations {
        values.extend(operation.params.iter().filter_map(|it| samples.param(it)));
        values.extend(samples.body(operation));
    }
    Ok((operations, values))
}

/// The paths that discovery follows from an answer of `base`.
pub fn paths(text: &str, base: &Target) -> Vec<String> {
    let mut harvest = Harvest::default();
    let answer = serde_json::from_str::<Value>(text).ok();
    let mut paths = clues::paths(text, "/v1/things", base);
    if let Some(answer) = &answer {
        harvest.take("/v1/things", answer);
        paths.extend_from_slice(harvest.paths());
        let _ = clues::segments(answer);
    }
    for path in &paths {
        let listed = inventory::operation("GET", path);
        for param in &listed.params {
            let _ = harvest.fitting(&listed, &param.name, 16);
        }
        let _ = harvest.related(path, 4);
    }
    let _ = (
        clues::listed_words(text),
        clues::missing_fields(text),
        clues::expected(text),
    );
    paths
}

/// What a report keeps of an exchange with this answer, by a scan with this token.
pub fn evidence(token: &str, response: Response, telling: Option<&str>) -> Evidence {
    let redactor = Redactor::new(&[Identity::new("alice", token)], None);
    redactor.evidence(String::new(), &exchange(response), telling)
}

/// Sends one request to `base` and reads what it answers.
pub async fn answer(base: &Target, limit: usize) -> Result<Response, Failure> {
    let mut options = ScanOptions::new(base.clone());
    options.limits.timeout = Duration::from_secs(1);
    let wire = Wire::new(base, &options).map_err(|error| Failure::Unsendable(error.to_string()))?;
    let got = wire.send(&sent(), limit).await?;
    Ok(got.response)
}

/// How the answers without a token, to a garbage one and to a valid one classify an operation, and
/// how a probe's answer is judged then.
pub fn judge([anonymous, garbage, valid, probe]: [Response; 4]) -> (Protection, Verdict) {
    let [anonymous, garbage, valid] =
        [anonymous, garbage, valid].map(|response| Arc::new(exchange(response)));
    let probe = exchange(probe);
    let mut baseline = crate::Baseline::absent(0, 1, "");
    baseline.protection = oracle::classify(&anonymous, Some(&garbage), &[Some(Arc::clone(&valid))]);
    let likeness = oracle::likeness(&valid, &probe);
    assert!((0.0..=1.0).contains(&likeness), "{likeness}");
    baseline.anonymous = Some(anonymous);
    baseline.garbage = Some(garbage);
    baseline.valid = vec![Some(valid)];
    (
        baseline.protection.clone(),
        oracle::judge(&baseline, &probe),
    )
}

fn exchange(response: Response) -> Exchange {
    Exchange {
        id: 1,
        sent: sent(),
        who: "alice".to_owned(),
        outcome: Ok(response),
        started: Instant::now(),
        elapsed: Duration::ZERO,
        json: OnceLock::new(),
        _retained: Retained::new(&Arc::default(), 0),
    }
}

fn sent() -> Sent {
    Sent {
        method: "GET".to_owned(),
        target: "/v1/things".to_owned(),
        headers: vec![("host".to_owned(), b"127.0.0.1".to_vec())],
        body: Bytes::new(),
    }
}
