//! How the answers of all operations become one finding and the state of a control.

use super::{Answered, Case};
use crate::{Context, Halt, Operation, Outcome};
use cofferdam_finding::{Confidence, Finding, Meta, Place};
use std::future::Future;

/// Places whose proof is kept.
const PROOFS: usize = 3;

/// How one check sums up.
pub(crate) struct Drive {
    /// Its metadata.
    pub(crate) meta: &'static Meta,
    /// What the operations do, after their count, in the singular and the plural: `operation
    /// accepts …`, `operations accept …`.
    pub(crate) does: [&'static str; 2],
    /// Why nothing was tried when there was no case.
    pub(crate) none: String,
}

impl Drive {
    /// Asks each case, reports one finding for all that accept, and says what became of the check.
    pub(crate) async fn run<'a, F, R>(
        self,
        cx: &'a Context,
        cases: Vec<Case<'a>>,
        ask: F,
        finish: impl FnOnce(Finding, &[&Operation]) -> Finding,
    ) -> Result<Outcome, Halt>
    where
        F: Fn(Case<'a>) -> R,
        R: Future<Output = Result<Answered<'a>, Halt>>,
    {
        let answers = cx.each(cases, ask).await?;
        Ok(self.sum_up(cx, answers, finish))
    }

    /// Reports one finding for all hits, and says what became of the check.
    pub(crate) fn sum_up(
        self,
        cx: &Context,
        answers: Vec<Answered<'_>>,
        finish: impl FnOnce(Finding, &[&Operation]) -> Finding,
    ) -> Outcome {
        let (mut tried, mut subsumed, mut unclear) = (0, 0, Vec::new());
        let mut hits = Vec::new();
        for answer in answers {
            match answer {
                Answered::Accepted(hit) => {
                    tried += 1;
                    hits.push(hit);
                }
                Answered::Refused => tried += 1,
                Answered::Subsumed => subsumed += 1,
                Answered::Unclear(reason) => unclear.push(reason),
            }
        }
        if !hits.is_empty() {
            let count = hits.len();
            let proven = hits.iter().any(|hit| hit.proven);
            let places: Vec<Place> = hits.iter().map(|hit| hit.place.clone()).collect();
            let operations: Vec<&Operation> = hits.iter().map(|hit| hit.operation).collect();
            // The first place is shown with its grounds, the next ones with what tells.
            let mut evidence = Vec::new();
            for (index, hit) in hits.into_iter().take(PROOFS).enumerate() {
                if index == 0 {
                    evidence.extend(hit.pieces);
                } else {
                    evidence.extend(hit.pieces.into_iter().last());
                }
            }
            let does = if count == 1 {
                self.does[0]
            } else {
                self.does[1]
            };
            let confidence = if proven {
                self.meta.confidence
            } else {
                Confidence::Firm.min(self.meta.confidence)
            };
            let finding = Finding::new(self.meta, places, evidence)
                .confidence(confidence)
                .described(format!("{count} {does}"));
            cx.report(finish(finding, &operations));
        }
        let untested = if tried == 0 && subsumed > 0 && unclear.is_empty() {
            Some("another finding about the same tokens stands before it".to_owned())
        } else if let Some(reason) = unclear.first() {
            Some(match (tried, unclear.len()) {
                (0, _) => reason.clone(),
                (_, 1) => format!("not on 1 operation: {reason}"),
                (_, many) => format!("not on {many} operations: {reason}"),
            })
        } else if tried == 0 {
            Some(self.none)
        } else {
            None
        };
        Outcome {
            tried,
            untested,
            held: None,
        }
    }
}
