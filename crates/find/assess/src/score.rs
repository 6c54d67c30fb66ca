//! The score: how much of 100 is left after what was found. The formula is public; it stands on
//! `docs/reference/score.md` and changes only with a new minor version of the tool.

use crate::{CategoryScore, Grade, Path};
use cofferdam_finding::{Confidence, Control, ControlStatus, Finding, Severity, State};
use std::collections::BTreeMap;

/// The highest overall score while a path to the host is at least firm.
pub const HOST_PATH_CAP: u8 = 39;

/// The share of what is left that one finding takes, in percent.
pub const fn weight(severity: Severity) -> u32 {
    match severity {
        Severity::Critical => 50,
        Severity::High => 30,
        Severity::Medium => 12,
        Severity::Low => 3,
        Severity::Info => 0,
    }
}

/// The letter of a score.
pub const fn grade(score: u8) -> Grade {
    match score {
        90.. => Grade::A,
        75.. => Grade::B,
        60.. => Grade::C,
        40.. => Grade::D,
        _ => Grade::F,
    }
}

/// The score of these findings, 0 to 100. What is less sure than `firm` does not count.
///
/// It starts at 100, and each finding takes its [`weight`] of what is left. One more finding never
/// raises it, and one fixed always shows, however many are left.
pub fn of_findings<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> u8 {
    let mut severities: Vec<Severity> = findings
        .into_iter()
        .filter(|finding| counts(finding))
        .map(|finding| finding.severity)
        .collect();
    // Integer division rounds down at each step, so the order is fixed to fix the result.
    severities.sort_unstable_by(|a, b| b.cmp(a));
    let millionths = severities
        .into_iter()
        .fold(1_000_000_u64, |left, severity| {
            left * u64::from(100 - weight(severity)) / 100
        });
    u8::try_from(millionths / 10_000).unwrap_or(100)
}

/// The score of the whole: that of the findings, no more than [`HOST_PATH_CAP`] while a path from
/// where a caller really stands to the host is at least firm. A path from an assumed state does not
/// count, since nobody showed that it can be entered.
pub fn overall(findings: &[Finding], paths: &[Path], assumed: Option<State>) -> u8 {
    let score = of_findings(findings);
    let open = assumed.is_none()
        && paths
            .iter()
            .any(|path| path.to == State::Host && path.confidence >= Confidence::Firm);
    if open {
        score.min(HOST_PATH_CAP)
    } else {
        score
    }
}

/// The score of every category that has a control or a finding. A category in which nothing was
/// tested has none.
pub fn by_category(findings: &[Finding], controls: &[Control]) -> BTreeMap<String, CategoryScore> {
    let mut categories: BTreeMap<&str, (bool, Vec<&Finding>)> = BTreeMap::new();
    for control in controls {
        let entry = categories.entry(category(&control.check)).or_default();
        entry.0 |= control.status != ControlStatus::Untested;
    }
    for finding in findings.iter().filter(|finding| counts(finding)) {
        let entry = categories.entry(category(&finding.check)).or_default();
        entry.0 = true;
        entry.1.push(finding);
    }
    categories
        .into_iter()
        .map(|(name, (tested, findings))| {
            let score = tested.then(|| of_findings(findings.iter().copied()));
            let score = CategoryScore {
                score,
                grade: score.map(grade),
                findings: u32::try_from(findings.len()).unwrap_or(u32::MAX),
            };
            (name.to_owned(), score)
        })
        .collect()
}

/// The part of a check's id before the point.
pub fn category(check: &str) -> &str {
    check
        .split_once('.')
        .map_or(check, |(category, _)| category)
}

fn counts(finding: &Finding) -> bool {
    finding.confidence >= Confidence::Firm
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_finding::{Evidence, Meta, Place};
    use proptest::prelude::*;

    fn finding(severity: Severity, confidence: Confidence) -> Finding {
        let meta = Meta {
            id: "token.expired",
            title: "An expired token is accepted",
            severity,
            confidence,
            since: "0.1.0",
            active: false,
            remediation: "Check `exp`.",
            cwe: &[613],
            owasp_api: None,
            attack: &[],
        };
        let places = vec![Place::operation("GET", "/v1/me")];
        Finding::new(&meta, places, vec![Evidence::new("seen")]).confidence(confidence)
    }

    fn path(confidence: Confidence) -> Path {
        Path {
            id: "P1".to_owned(),
            from: State::TokenHolder,
            to: State::Host,
            confidence,
            container: None,
            steps: Vec::new(),
            assumes: Vec::new(),
        }
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        (
            proptest::sample::select(Severity::ALL),
            proptest::sample::select(Confidence::ALL),
        )
            .prop_map(|(severity, confidence)| finding(severity, confidence))
    }

    proptest! {
        #[test]
        fn one_more_finding_never_raises_the_score_and_order_does_not_matter(
            mut findings in proptest::collection::vec(any_finding(), 0..40),
            more in any_finding(),
        ) {
            let before = of_findings(&findings);
            prop_assert!(before <= 100);
            let mut reversed = findings.clone();
            reversed.reverse();
            prop_assert_eq!(of_findings(&reversed), before);
            findings.push(more);
            prop_assert!(of_findings(&findings) <= before);
        }

        #[test]
        fn a_worse_severity_never_raises_the_score(
            findings in proptest::collection::vec(any_finding(), 1..20),
            at in any::<prop::sample::Index>(),
        ) {
            let mut worse = findings.clone();
            worse[at.index(findings.len())].severity = Severity::Critical;
            prop_assert!(of_findings(&worse) <= of_findings(&findings));
        }

        #[test]
        fn a_path_to_the_host_never_raises_the_score(
            findings in proptest::collection::vec(any_finding(), 0..20),
            confidence in proptest::sample::select(Confidence::ALL),
        ) {
            let with = overall(&findings, &[path(confidence)], None);
            prop_assert!(with <= overall(&findings, &[], None));
            if confidence >= Confidence::Firm {
                prop_assert_eq!(grade(with), Grade::F);
            }
        }
    }

    #[test]
    fn the_examples_of_the_page_hold() {
        let firm = |severity| finding(severity, Confidence::Firm);
        assert_eq!(of_findings(&[]), 100);
        assert_eq!(of_findings(&[firm(Severity::Critical)]), 50);
        assert_eq!(of_findings(&[firm(Severity::High)]), 70);
        assert_eq!(
            of_findings(&[firm(Severity::High), firm(Severity::High)]),
            49
        );
        assert_eq!(
            of_findings(&[
                firm(Severity::High),
                firm(Severity::Medium),
                firm(Severity::Low)
            ]),
            59
        );
        assert_eq!(
            of_findings(&[finding(Severity::Critical, Confidence::Tentative)]),
            100
        );
        assert_eq!(overall(&[], &[path(Confidence::Firm)], None), 39);
        assert_eq!(overall(&[], &[path(Confidence::Tentative)], None), 100);
        assert_eq!(
            overall(&[], &[path(Confidence::Firm)], Some(State::Exec)),
            100
        );
    }

    #[test]
    fn a_category_without_a_test_has_no_score() {
        let control = |check: &str, status| Control {
            check: check.to_owned(),
            title: String::new(),
            status,
            reason: String::new(),
            operations: 0,
        };
        let controls = [
            control("token.audience", ControlStatus::Untested),
            control("object.read", ControlStatus::Held),
            control("object.write", ControlStatus::Untested),
        ];
        let scores = by_category(&[], &controls);
        assert_eq!(scores["token"].score, None);
        assert_eq!(scores["object"].score, Some(100));
        assert_eq!(scores["object"].grade, Some(Grade::A));
        let scores = by_category(&[finding(Severity::High, Confidence::Proven)], &controls);
        assert_eq!(scores["token"].score, Some(70));
        assert_eq!(scores["token"].findings, 1);
    }
}
