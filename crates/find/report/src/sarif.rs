//! SARIF 2.1.0 (OASIS Standard, 27 March 2020) as GitHub code scanning takes it.
//!
//! Only findings that are at least firm become results: what is tentative has no alert of its own.
//! A location is always a file, since GitHub shows nothing else: the deployment file or the API
//! description with its line where it is known, else a stable name such as
//! `api/GET-v1-containers-id`. The URL stands in the message.

use crate::visible;
use cofferdam_assess::{Assessment, Path, Step};
use cofferdam_finding::{Confidence, Finding, Place, Severity, State};
use serde_json::{Value, json};

/// GitHub takes up to 1,000 locations of a result and shows the first.
const MOST_LOCATIONS: usize = 100;
/// GitHub takes up to 20 tags of a rule.
const MOST_TAGS: usize = 20;
/// Characters of a pseudo-path and of one part of a message.
const LONGEST_NAME: usize = 120;
const LONGEST_TEXT: usize = 1_000;

/// Renders the findings of `assessment` that are at least firm as SARIF 2.1.0.
pub fn sarif(assessment: &Assessment) -> String {
    let assessment = &visible::assessment(assessment);
    let findings: Vec<&Finding> = assessment
        .findings
        .iter()
        .filter(|finding| finding.confidence >= Confidence::Firm)
        .collect();
    let checks = checks(&findings);
    let rules: Vec<Value> = checks.iter().map(|check| rule(check, &findings)).collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let index = checks.iter().position(|check| *check == finding.check);
            result(assessment, finding, index)
        })
        .collect();
    let kind = if assessment.target.is_some() {
        "scan"
    } else {
        "posture"
    };
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Cofferdam",
                "semanticVersion": assessment.tool.version,
                "rules": rules,
            }},
            "automationDetails": {"id": format!("cofferdam/{kind}/")},
            "invocations": [{
                "executionSuccessful": assessment.complete,
                "startTimeUtc": assessment.started,
            }],
            "results": results,
            "properties": {
                "target": assessment.target,
                "score": assessment.score,
                "grade": assessment.grade,
                "complete": assessment.complete,
            },
        }],
    });
    format!("{log:#}\n")
}

/// The ids of the checks that report, each once, in the order of the findings.
fn checks<'a>(findings: &[&'a Finding]) -> Vec<&'a str> {
    let mut checks: Vec<&str> = Vec::new();
    for finding in findings {
        if !checks.contains(&finding.check.as_str()) {
            checks.push(&finding.check);
        }
    }
    checks
}

fn rule(check: &str, findings: &[&Finding]) -> Value {
    let of: Vec<&&Finding> = findings
        .iter()
        .filter(|finding| finding.check == check)
        .collect();
    let severity = of.iter().map(|finding| finding.severity).max();
    let severity = severity.unwrap_or(Severity::Info);
    let confidence = of.iter().map(|finding| finding.confidence).min();
    // A finding's title names the thing; the rule's own is about all of its findings.
    let title = match (cofferdam_assess::meta(check), of.first()) {
        (Some(meta), _) => meta.title,
        (None, Some(finding)) => &finding.title,
        (None, None) => check,
    };
    let help = of.first().map_or("", |finding| &finding.remediation);
    let mut tags = vec!["security".to_owned()];
    if let Some(finding) = of.first() {
        let references = &finding.references;
        tags.extend(
            references
                .cwe
                .iter()
                .map(|cwe| format!("external/cwe/cwe-{cwe}")),
        );
        tags.extend(references.owasp_api.iter().map(|id| format!("OWASP-{id}")));
        tags.extend(references.attack.iter().map(|id| format!("ATTACK-{id}")));
    }
    tags.truncate(MOST_TAGS);
    json!({
        "id": check,
        "name": name(check),
        "shortDescription": {"text": clip(title)},
        "fullDescription": {"text": clip(title)},
        "help": {
            "text": format!("{help} More: cofferdam explain {check}"),
            "markdown": format!("{help}\n\nMore: `cofferdam explain {check}`"),
        },
        "defaultConfiguration": {"level": level(severity)},
        "properties": {
            "tags": tags,
            "security-severity": score(severity),
            "precision": match confidence {
                Some(Confidence::Proven) => "very-high",
                _ => "high",
            },
            "problem.severity": match level(severity) {
                "note" => "recommendation",
                level => level,
            },
        },
    })
}

/// `process.injection` as `ProcessCommandInjection`.
fn name(check: &str) -> String {
    check
        .split(['.', '-', '_'])
        .flat_map(|word| {
            let mut chars = word.chars();
            let first = chars.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(chars)
        })
        .collect()
}

fn result(assessment: &Assessment, finding: &Finding, rule: Option<usize>) -> Value {
    let locations: Vec<Value> = finding
        .places
        .iter()
        .take(MOST_LOCATIONS)
        .map(|place| json!({"physicalLocation": physical(assessment, place)}))
        .collect();
    let flows: Vec<Value> = assessment
        .paths
        .iter()
        .filter(|path| path.confidence >= Confidence::Firm && runs_through(path, finding))
        .map(|path| flow(assessment, path))
        .collect();
    let mut result = json!({
        "ruleId": finding.check,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": {"text": message(assessment, finding)},
        "locations": locations,
        "partialFingerprints": {
            // The one that GitHub compares, and the same under our own name for other readers.
            "primaryLocationLineHash": format!("{}:1", finding.fingerprint),
            "cofferdamFingerprint/v1": finding.fingerprint,
        },
        "properties": {
            "severity": finding.severity,
            "confidence": finding.confidence,
        },
    });
    if !flows.is_empty() {
        result["codeFlows"] = Value::Array(flows);
    }
    result
}

fn runs_through(path: &Path, finding: &Finding) -> bool {
    path.steps
        .iter()
        .filter_map(|step| step.finding.as_ref())
        .any(|named| named.fingerprint == finding.fingerprint)
}

/// What is wrong, what was seen, and where: the URL stands here, since a location is a file.
fn message(assessment: &Assessment, finding: &Finding) -> String {
    let mut parts = vec![sentence(&finding.title)];
    parts.push(sentence(&finding.description));
    if let Some(piece) = finding.evidence.first() {
        parts.push(format!("Seen: {}", sentence(&piece.shows)));
    }
    if let Some(place) = finding.places.first() {
        let at = match (&place.operation, &assessment.target) {
            (Some(operation), Some(target)) => match operation.split_once(' ') {
                Some((method, path)) => format!("{method} {}", on(target, path)),
                None => operation.clone(),
            },
            _ => place.to_string(),
        };
        parts.push(format!("At {at}"));
    }
    let more = finding.places.len().saturating_sub(1);
    if more > 0 {
        parts.push(format!("and at {more} more."));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// The URL of a path on the target. An operation's path is whole, so a base path is not doubled.
fn on(target: &str, path: &str) -> String {
    let origin = target
        .find("://")
        .and_then(|at| target[at + 3..].find('/').map(|slash| at + 3 + slash))
        .map_or(target, |end| &target[..end]);
    format!("{origin}{path}")
}

fn sentence(text: &str) -> String {
    let text = clip(text.trim());
    if text.is_empty() || text.ends_with(['.', '!', '?', '…']) {
        text
    } else {
        format!("{text}.")
    }
}

fn flow(assessment: &Assessment, path: &Path) -> Value {
    let steps: Vec<Value> = path
        .steps
        .iter()
        .map(|step| {
            let text = format!(
                "{} → {}: {} ({})",
                step.from.label(),
                step.to.label(),
                clip(&step.title),
                step.confidence
            );
            json!({"location": {
                "physicalLocation": place_of(assessment, path, step),
                "message": {"text": text},
            }})
        })
        .collect();
    let goal = match path.to {
        State::Host => "the host".to_owned(),
        state => format!("where the attacker {}", state.label()),
    };
    json!({
        "message": {"text": format!("A path to {goal}, {}", path.confidence)},
        "threadFlows": [{"locations": steps}],
    })
}

fn place_of(assessment: &Assessment, path: &Path, step: &Step) -> Value {
    match &step.place {
        Some(place) => physical(assessment, place),
        None => {
            let container = path.container.as_deref().unwrap_or("container");
            json!({
                "artifactLocation": {"uri": format!("deployment/{}", slug(container))},
                "region": {"startLine": 1},
            })
        }
    }
}

/// A file and a line for a place.
fn physical(assessment: &Assessment, place: &Place) -> Value {
    let declared = || {
        let operation = place.operation.as_deref()?;
        let (method, path) = operation.split_once(' ')?;
        let known = assessment.operations.iter();
        let source = known
            .filter(|one| one.method == method && one.path == path)
            .find_map(|one| one.source.as_ref())?;
        Some((source.file.clone()?, source.line))
    };
    let (uri, line) = match (&place.file, &place.operation) {
        (Some(file), _) => (file_uri(file), place.line),
        (None, Some(operation)) => match declared() {
            Some((file, line)) => (file_uri(&file), line),
            None => (format!("api/{}", slug(operation)), None),
        },
        (None, None) => {
            let container = place.container.as_deref().unwrap_or("service");
            (format!("deployment/{}", slug(container)), None)
        }
    };
    json!({
        "artifactLocation": {"uri": uri},
        "region": {"startLine": line.unwrap_or(1).max(1)},
    })
}

/// A file name as a URI reference (RFC 3986, section 4.1), relative where the name is.
fn file_uri(file: &str) -> String {
    let relative = file.trim_start_matches("./");
    let mut uri = String::new();
    if relative.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in relative.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// `GET /v1/containers/{id}` as `GET-v1-containers-id`.
fn slug(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'))
        // A part of dots alone would be a step up or down in a path.
        .filter(|part| part.chars().any(|c| c != '.'))
        .collect::<Vec<_>>()
        .join("-")
        .chars()
        .take(LONGEST_NAME)
        .collect()
}

/// The first of `text`. In a SARIF message `[text](target)` is a link (section 3.11.6), and a
/// target under test places none in it.
fn clip(text: &str) -> String {
    let text = &text.replace("](", "] (");
    if text.chars().count() <= LONGEST_TEXT {
        return text.to_owned();
    }
    text.chars().take(LONGEST_TEXT - 1).chain(['…']).collect()
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// GitHub's bands: above 9.0 critical, from 7.0 high, from 4.0 medium, from 0.1 low.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use std::collections::BTreeSet;

    fn log(assessment: &Assessment) -> Value {
        serde_json::from_str(&sarif(assessment)).unwrap()
    }

    fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no string at {pointer} of {value:#}"))
    }

    /// What sections 3.13 to 3.52 of the standard require, and what GitHub requires beyond it.
    fn assert_acceptable(log: &Value) {
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert!(!text(run, "/tool/driver/name").is_empty());
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let mut ids = BTreeSet::new();
        for rule in rules {
            assert!(ids.insert(text(rule, "/id")), "a rule twice");
            assert!(!text(rule, "/shortDescription/text").is_empty());
            assert!(!text(rule, "/fullDescription/text").is_empty());
            assert!(!text(rule, "/help/text").is_empty());
            assert!(
                ["none", "note", "warning", "error"]
                    .contains(&text(rule, "/defaultConfiguration/level"))
            );
            let score: f64 = text(rule, "/properties/security-severity").parse().unwrap();
            assert!((0.0..=10.0).contains(&score));
            assert!(
                ["very-high", "high", "medium", "low"]
                    .contains(&text(rule, "/properties/precision"))
            );
            let tags = rule["properties"]["tags"].as_array().unwrap();
            assert!(tags.len() <= MOST_TAGS && tags[0] == "security");
        }
        for result in run["results"].as_array().unwrap() {
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(!text(result, "/message/text").is_empty());
            assert!(text(result, "/partialFingerprints/primaryLocationLineHash").ends_with(":1"));
            let locations = result["locations"].as_array().unwrap();
            assert!(!locations.is_empty());
            for location in locations {
                assert_location(location);
            }
            let none = Vec::new();
            for flow in result["codeFlows"].as_array().unwrap_or(&none) {
                for thread in flow["threadFlows"].as_array().unwrap() {
                    let steps = thread["locations"].as_array().unwrap();
                    assert!(!steps.is_empty());
                    for step in steps {
                        assert_location(&step["location"]);
                        assert!(!text(step, "/location/message/text").is_empty());
                    }
                }
            }
        }
    }

    fn assert_location(location: &Value) {
        let uri = text(location, "/physicalLocation/artifactLocation/uri");
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/%:".contains(c);
        assert!(!uri.is_empty() && uri.chars().all(allowed), "{uri}");
        assert!(
            location["physicalLocation"]["region"]["startLine"]
                .as_u64()
                .unwrap()
                >= 1
        );
    }

    #[test]
    fn every_report_is_what_the_standard_and_github_require() {
        for assessment in fixture::all() {
            assert_acceptable(&log(&assessment));
        }
    }

    #[test]
    fn the_vulnerable_service_as_sarif() {
        insta::assert_snapshot!(sarif(&fixture::vulnerable()));
    }

    #[test]
    fn only_a_critical_rule_is_above_nine_and_tentative_findings_stay_out() {
        let log = log(&fixture::vulnerable());
        let rules = log["runs"][0]["tool"]["driver"]["rules"]
            .as_array()
            .unwrap();
        for rule in rules {
            let critical = ["process.injection", "token.unverified"].contains(&text(rule, "/id"));
            let score: f64 = text(rule, "/properties/security-severity").parse().unwrap();
            assert_eq!(score > 9.0, critical);
        }
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert!(
            results
                .iter()
                .all(|result| result["ruleId"] != "agent.acting-tool")
        );
        assert_eq!(results.len(), 5);
    }

    #[test]
    fn a_place_is_a_file_even_where_nothing_declares_it() {
        assert_eq!(slug("GET /v1/containers/{id}"), "GET-v1-containers-id");
        assert_eq!(slug("GET /../../etc/passwd"), "GET-etc-passwd");
        assert_eq!(file_uri("./a b/ü.yaml"), "a%20b/%C3%BC.yaml");
        assert_eq!(file_uri("/srv/x.yaml"), "file:///srv/x.yaml");
        assert_eq!(on("http://h:1/base", "/base/x"), "http://h:1/base/x");
        let mut undeclared = fixture::vulnerable();
        for operation in &mut undeclared.operations {
            operation.source = None;
        }
        let log = log(&undeclared);
        assert_acceptable(&log);
        assert_eq!(
            text(
                &log,
                "/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri"
            ),
            "api/POST-v1-diagnostics"
        );
    }

    #[test]
    fn nothing_invisible_is_in_it() {
        assert!(
            !sarif(&fixture::vulnerable())
                .chars()
                .any(visible::is_invisible)
        );
    }
}
