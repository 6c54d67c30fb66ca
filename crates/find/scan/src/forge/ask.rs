//! Asks the verifier of each operation what it lets pass.
//!
//! Different operations may have different verifiers, so each is asked. What an answer means is the
//! oracle's to say; here is only in which order things are asked, and what is kept as proof.

use super::keys::Control;
use super::negative::MARKER;
use super::{Compact, Forged, Recipe};
use crate::{Auth, Context, Exchange, Halt, Operation, Verdict};
use cofferdam_finding::{Evidence, Place};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Operations up to which every variant is tried on each.
const THOROUGH: usize = 40;
/// Operations of one branch of the paths on which every variant is tried when there are more.
const PER_BRANCH: usize = 3;

/// One operation with the JWT of an identity that it lets in.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) operation: &'a Operation,
    /// The identity.
    pub(crate) who: usize,
    /// Its token, taken apart.
    pub(crate) token: &'a Compact,
    /// Whether every variant is to be tried here, not only the likeliest.
    pub(crate) thorough: bool,
}

/// What one operation answered to a family of forgeries.
pub(crate) enum Answered<'a> {
    /// It accepts one.
    Accepted(Hit<'a>),
    /// It refuses them.
    Refused,
    /// Another cause stands before this one.
    Subsumed,
    /// Nothing can be said, and why.
    Unclear(String),
}

/// A forgery that was accepted.
pub(crate) struct Hit<'a> {
    pub(crate) operation: &'a Operation,
    /// Where it is to be mended.
    pub(crate) place: Place,
    /// What shows it, the telling piece last.
    pub(crate) pieces: Vec<Evidence>,
    /// Whether only the flaw explains it.
    pub(crate) proven: bool,
}

impl<'a> Hit<'a> {
    /// A hit that the comparison with the identity `who` shows. It is proven where that identity
    /// got what it asked for; an operation that answers `no such thing` to everyone who is let in
    /// leaves a doubt.
    pub(crate) fn new(
        cx: &Context,
        operation: &'a Operation,
        who: usize,
        pieces: Vec<Evidence>,
    ) -> Self {
        let valid = cx
            .baseline(operation)
            .valid
            .get(who)
            .and_then(Option::as_ref);
        Self {
            operation,
            place: cx.place(operation),
            pieces,
            proven: valid.is_some_and(|exchange| cx.welcome(exchange)),
        }
    }
}

impl<'a> Case<'a> {
    /// Every operation where a forged JWT's acceptance would mean something: no token and garbage
    /// are refused, and an identity with a JWT is let in.
    pub(crate) fn all(cx: &'a Context) -> Vec<Self> {
        let mut cases: Vec<Self> = cx
            .protected()
            .filter(|operation| cx.may_send(operation))
            .filter_map(|operation| {
                cx.baseline(operation).accepted().iter().find_map(|who| {
                    Some(Case {
                        operation,
                        who: *who,
                        token: cx.forge().compact(*who)?,
                        thorough: true,
                    })
                })
            })
            .collect();
        if cases.len() > THOROUGH {
            let mut branches = BTreeMap::<String, usize>::new();
            for case in &mut cases {
                let seen = branches.entry(branch(&case.operation.path)).or_default();
                *seen += 1;
                case.thorough = *seen <= PER_BRANCH;
            }
        }
        cases
    }

    /// Why there is no case, for a check that is not tried.
    pub(crate) fn none(cx: &Context) -> String {
        if cx.identities().is_empty() {
            "no identity".to_owned()
        } else if cx.forge().has_jwt() {
            "no operation refuses garbage and accepts an identity's JWT".to_owned()
        } else {
            "no identity's token is a JWT".to_owned()
        }
    }

    /// Sends the identity's request with another token.
    pub(crate) async fn ask(
        &self,
        cx: &Context,
        forged: &Forged,
    ) -> Result<(Verdict, Option<Arc<Exchange>>), Halt> {
        ask(cx, self.operation, self.who, forged).await
    }

    /// Whether a surer cause stands before every other one here: a value that is no token is
    /// accepted.
    pub(crate) async fn takes_anything(&self, cx: &Context) -> Result<bool, Halt> {
        let malformed = cx.forge().malformed(cx, self.operation, self.who).await?;
        Ok(malformed.is_some())
    }

    /// Whether the signature is looked at: without that, nothing else about it means anything.
    /// False also where [`Case::takes_anything`].
    pub(crate) async fn verifies(&self, cx: &Context) -> Result<bool, Halt> {
        Ok(!self.takes_anything(cx).await? && !cx.forge().takes_tampered(cx, self).await?)
    }

    /// Whether a token without a signature is accepted, whatever its header says.
    pub(crate) async fn takes_unsigned(&self, cx: &Context) -> Result<bool, Halt> {
        cx.forge().takes_unsigned(cx, self).await
    }

    /// The claims of the token, with the marker among them.
    pub(crate) fn marked(&self, cx: &Context) -> Compact {
        self.token
            .clone()
            .with_claim(MARKER, cx.forge().marker.as_str())
    }

    /// Tries `recipes` in their order until one is accepted.
    pub(crate) async fn try_recipes(
        self,
        cx: &'a Context,
        recipes: &[Recipe],
    ) -> Result<Answered<'a>, Halt> {
        let claims = self.marked(cx);
        let mut refused = 0;
        let mut unclear = None;
        let enough = if self.thorough { recipes.len() } else { 2 };
        for (index, recipe) in recipes.iter().take(enough).enumerate() {
            let Some(forged) = recipe.forge(&claims) else {
                continue;
            };
            match self.ask(cx, &forged).await? {
                (Verdict::Accepted, Some(exchange)) => {
                    let piece = cx.evidence(format!("accepted: {}", recipe.label), &exchange);
                    let mut pieces = match self.grounds(cx).await? {
                        Ok(pieces) => pieces,
                        Err(reason) => return Ok(Answered::Unclear(reason)),
                    };
                    pieces.extend(self.variants(cx, &recipes[index + 1..enough]).await?);
                    pieces.push(piece);
                    pieces.extend(self.as_somebody(cx, recipe, &exchange).await?);
                    return Ok(Answered::Accepted(self.hit(cx, pieces)));
                }
                (Verdict::Refused, _) => refused += 1,
                (Verdict::Unclear(reason), _) => unclear = Some(reason),
                (Verdict::Accepted, None) => {}
            }
        }
        Ok(not_accepted(refused, unclear))
    }

    /// Signs each of `negatives` with the issuer's key and sends it, until one is accepted. The
    /// control comes first; where it is refused, nothing is said.
    pub(crate) async fn try_negatives(
        self,
        cx: &'a Context,
        negatives: impl FnOnce(&Compact) -> Result<Vec<(String, Compact)>, String>,
    ) -> Result<Answered<'a>, Halt> {
        if !self.verifies(cx).await? {
            return Ok(Answered::Subsumed);
        }
        let control = cx.forge().control(cx, &self).await?;
        let control = match control.as_ref() {
            Ok(control) => control,
            Err(reason) => return Ok(Answered::Unclear(reason.clone())),
        };
        let negatives = match negatives(&control.claims) {
            Ok(negatives) => negatives,
            Err(reason) => return Ok(Answered::Unclear(reason)),
        };
        let mut refused = 0;
        let mut unclear = None;
        for (label, claims) in negatives {
            let Some(forged) = control.recipe(label.as_str()).forge(&claims) else {
                continue;
            };
            match self.ask(cx, &forged).await? {
                (Verdict::Accepted, Some(exchange)) => {
                    let mut pieces = match self.grounds(cx).await? {
                        Ok(pieces) => pieces,
                        Err(reason) => return Ok(Answered::Unclear(reason)),
                    };
                    pieces.push(control_piece(cx, control));
                    pieces.push(cx.evidence(format!("accepted as well: {label}"), &exchange));
                    return Ok(Answered::Accepted(self.hit(cx, pieces)));
                }
                (Verdict::Refused, _) => refused += 1,
                (Verdict::Unclear(reason), _) => unclear = Some(reason),
                (Verdict::Accepted, None) => {}
            }
        }
        Ok(not_accepted(refused, unclear))
    }

    /// Whether the identity gets what it asks for here. Where everyone is told *no such thing*, the
    /// token is verified, and what it allows may not have been looked at yet.
    pub(crate) fn is_welcome(&self, cx: &Context) -> bool {
        self.valid(cx).is_some_and(|exchange| cx.welcome(exchange))
    }

    /// The answer to the identity's own request.
    pub(crate) fn valid(&self, cx: &'a Context) -> Option<&'a Arc<Exchange>> {
        cx.baseline(self.operation).valid.get(self.who)?.as_ref()
    }

    /// A hit here that the identity's own request shows, without a forged one.
    pub(crate) async fn own_hit(
        &self,
        cx: &'a Context,
        shows: impl Into<String>,
    ) -> Result<Answered<'a>, Halt> {
        let Some(valid) = self.valid(cx) else {
            return Ok(Answered::Unclear("no answer to the identity".to_owned()));
        };
        Ok(match self.grounds(cx).await? {
            Ok(mut pieces) => {
                pieces.push(cx.evidence(shows, valid));
                Answered::Accepted(self.hit(cx, pieces))
            }
            Err(reason) => Answered::Unclear(reason),
        })
    }

    /// A hit here, with these pieces.
    pub(crate) fn hit(&self, cx: &Context, pieces: Vec<Evidence>) -> Hit<'a> {
        Hit::new(cx, self.operation, self.who, pieces)
    }

    /// What makes an acceptance mean something: no token and garbage are refused, the latter also
    /// when it is asked again now. A service whose answers change from one time to the next proves
    /// nothing.
    pub(crate) async fn grounds(
        &self,
        cx: &Context,
    ) -> Result<Result<Vec<Evidence>, String>, Halt> {
        grounds(cx, self.operation, self.who).await
    }

    /// Which of the other recipes are accepted as well: one cause, many faces.
    async fn variants(&self, cx: &Context, others: &[Recipe]) -> Result<Option<Evidence>, Halt> {
        // A forged request that changes state is sent no oftener than it must be.
        if !self.operation.is_safe() {
            return Ok(None);
        }
        let mut labels = Vec::new();
        let mut last = None;
        for recipe in others {
            let Some(forged) = recipe.forge(&self.marked(cx)) else {
                continue;
            };
            if let (Verdict::Accepted, Some(exchange)) = self.ask(cx, &forged).await? {
                labels.push(recipe.label.as_str());
                last = Some(exchange);
            }
        }
        Ok(last.map(|exchange| {
            cx.evidence(
                format!("accepted as well: {}", labels.join("; ")),
                &exchange,
            )
        }))
    }

    /// The same forgery in somebody else's name: of a subject that does not exist, whom the answer
    /// names, or of another identity, whose own answer comes. Either shows that the service speaks
    /// to whomever the token says.
    async fn as_somebody(
        &self,
        cx: &Context,
        recipe: &Recipe,
        first: &Exchange,
    ) -> Result<Option<Evidence>, Halt> {
        if !self.operation.is_safe() || !self.token.claims.contains_key("sub") {
            return Ok(None);
        }
        let marker = &cx.forge().marker;
        if first.text().contains(marker.as_str()) {
            let shows = "the answer shows a claim of the forged token";
            return Ok(Some(cx.evidence_of(shows, first, marker)));
        }
        let claims = self.marked(cx).with_claim("sub", marker.as_str());
        if let Some(forged) = recipe.forge(&claims)
            && let (Verdict::Accepted, Some(exchange)) = self.ask(cx, &forged).await?
            && exchange.text().contains(marker.as_str())
        {
            let shows = "the answer is for the forged subject, which does not exist";
            return Ok(Some(cx.evidence_of(shows, &exchange, marker)));
        }
        let baseline = cx.baseline(self.operation);
        let text = |who: usize| Some(baseline.valid.get(who)?.as_ref()?.text());
        for other in baseline.accepted().iter().filter(|who| **who != self.who) {
            let (Some(own), Some(theirs)) = (text(self.who), text(*other)) else {
                continue;
            };
            let Some(token) = cx.forge().compact(*other).filter(|_| own != theirs) else {
                continue;
            };
            let mut claims = self.marked(cx);
            claims.claims.extend(token.claims.clone());
            if let Some(forged) = recipe.forge(&claims)
                && let (_, Some(exchange)) = self.ask(cx, &forged).await?
                && exchange.text() == theirs
            {
                let name = &cx.identities()[*other].name;
                let shows =
                    format!("with the claims of {name} forged, the answer is that of {name}");
                return Ok(Some(cx.evidence(shows, &exchange)));
            }
        }
        Ok(None)
    }
}

/// Sends the request of the identity `who` for `operation` with another token, and judges it.
pub(crate) async fn ask(
    cx: &Context,
    operation: &Operation,
    who: usize,
    forged: &Forged,
) -> Result<(Verdict, Option<Arc<Exchange>>), Halt> {
    let Some(request) = cx.request(operation, who) else {
        let reason = "a parameter has no value".to_owned();
        return Ok((Verdict::Unclear(reason), None));
    };
    let exchange = cx.send(request.with_auth(auth(cx, who, forged))).await?;
    Ok((cx.judge(operation, &exchange), Some(exchange)))
}

/// See [`Case::grounds`].
pub(crate) async fn grounds(
    cx: &Context,
    operation: &Operation,
    who: usize,
) -> Result<Result<Vec<Evidence>, String>, Halt> {
    let baseline = cx.baseline(operation);
    let mut pieces = Vec::new();
    if let Some(exchange) = &baseline.anonymous {
        pieces.push(cx.evidence("a request without a token is refused", exchange));
    }
    if let Some(exchange) = &baseline.garbage {
        pieces.push(cx.evidence("a garbage token is refused", exchange));
    }
    if let Some(exchange) = baseline.valid.get(who).and_then(Option::as_ref) {
        pieces.push(cx.evidence("the identity's own token is accepted", exchange));
    }
    if let Some(request) = cx.request(operation, who) {
        let again = cx.send_fresh(request.with_auth(Auth::Garbage)).await?;
        // A service that has had enough of us answers 429, which takes nothing back.
        if cx.judge(operation, &again).accepted() {
            return Ok(Err(
                "a garbage token was refused before and is not any more".to_owned(),
            ));
        }
    }
    Ok(Ok(pieces))
}

/// The forged token where this identity puts its own.
pub(crate) fn auth(cx: &Context, who: usize, forged: &Forged) -> Auth {
    let template = &cx.identities()[who].template;
    if cx.identities()[0].template == *template {
        return Auth::Token {
            label: forged.label.clone(),
            token: forged.token.clone(),
        };
    }
    Auth::Field {
        label: forged.label.clone(),
        name: template.name().to_owned(),
        value: crate::Secret::new(template.value(forged.token.reveal())),
    }
}

fn control_piece(cx: &Context, control: &Control) -> Evidence {
    cx.evidence(
        "the control, the identity's claims signed again with the signing key, is accepted",
        &control.exchange,
    )
}

/// What follows when none of a family was accepted.
fn not_accepted<'a>(refused: usize, unclear: Option<String>) -> Answered<'a> {
    match (refused, unclear) {
        (0, Some(reason)) => Answered::Unclear(reason),
        (0, None) => Answered::Unclear("no such token can be made from the identity's".to_owned()),
        _ => Answered::Refused,
    }
}

/// The first two fixed parts of a path: operations below one are likely to share a verifier.
fn branch(path: &str) -> String {
    path.split('/')
        .filter(|part| !part.is_empty() && !part.starts_with('{'))
        .take(2)
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_named_by_its_fixed_parts() {
        assert_eq!(branch("/v1/containers/{id}/logs"), "v1/containers");
        assert_eq!(branch("/{tenant}/jobs"), "jobs");
        assert_eq!(branch("/"), "");
    }
}
