//! Which holes of the lab a fix of the report closes. Only the demo asks the manifest; the scan
//! never does.

use cofferdam_assess::{Assessment, Fix};
use cofferdam_finding::{Confidence, Finding, Place};
use cofferdam_lab::{Hole, manifest};
use std::collections::BTreeSet;

/// The holes that are closed when `fix` is done.
pub(super) fn closed_by(fix: &Fix, report: &Assessment) -> BTreeSet<Hole> {
    let mut holes = BTreeSet::new();
    for planted in &manifest().holes {
        let Ok(hole) = planted.id.parse::<Hole>() else {
            continue;
        };
        let mends = |finding: &Finding| {
            let is = |id: &Option<String>| id.as_deref() == Some(&finding.check);
            let in_code = is(&planted.check)
                && finding
                    .places
                    .iter()
                    .any(|place| is_at(place, &planted.operations));
            // A fix may remove conditions that another hole has on a line of its own; only the hole
            // whose finding it mends is closed.
            let in_deployment = is(&planted.rule)
                && finding
                    .conditions
                    .iter()
                    .any(|condition| planted.conditions.iter().any(|id| id == condition.id()));
            in_code || in_deployment
        };
        if fix
            .findings
            .iter()
            .filter_map(|named| report.finding(named))
            .any(mends)
        {
            holes.insert(hole);
        }
    }
    holes
}

/// Findings at `firm` or above that a fix mended and that are there again.
pub(super) fn left_over(fixes: &[Fix], before: &Assessment, after: &Assessment) -> Vec<String> {
    let mended: BTreeSet<&str> = fixes
        .iter()
        .flat_map(|fix| &fix.findings)
        .filter_map(|named| before.finding(named))
        .map(|finding: &Finding| finding.fingerprint.as_str())
        .collect();
    after
        .findings
        .iter()
        .filter(|finding| finding.confidence >= Confidence::Firm)
        .filter(|finding| mended.contains(finding.fingerprint.as_str()))
        .map(|finding| finding.check.clone())
        .collect()
}

fn is_at(place: &Place, operations: &[String]) -> bool {
    place
        .operation
        .as_ref()
        .is_some_and(|operation| operations.contains(operation))
}
