//! The traps that real services set, one test each.

use super::*;
use crate::exchange::Retained;
use crate::{Failure, Sent};
use bytes::Bytes;
use hyper::header::HeaderMap;
use proptest::prelude::*;
use serde_json::json;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

fn exchange(outcome: Result<Response, Failure>) -> Arc<Exchange> {
    Arc::new(Exchange {
        id: 1,
        sent: Sent {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        },
        who: "x".to_owned(),
        outcome,
        started: Instant::now(),
        elapsed: Duration::ZERO,
        json: OnceLock::new(),
        _retained: Retained::new(&Arc::default(), 0),
    })
}

fn raw(status: u16, media: &str, body: &str) -> Arc<Exchange> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", media.parse().unwrap());
    exchange(Ok(Response {
        status,
        version: "HTTP/1.1",
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        length: body.len() as u64,
        truncated: false,
    }))
}

fn answer(status: u16, body: Value) -> Arc<Exchange> {
    raw(status, "application/json", &body.to_string())
}

fn baseline(
    anonymous: &Arc<Exchange>,
    garbage: &Arc<Exchange>,
    valid: &[&Arc<Exchange>],
) -> Baseline {
    let valid: Vec<Option<Arc<Exchange>>> = valid.iter().map(|one| Some(Arc::clone(one))).collect();
    Baseline {
        operation: 0,
        anonymous: Some(Arc::clone(anonymous)),
        garbage: Some(Arc::clone(garbage)),
        protection: classify(anonymous, Some(garbage), &valid),
        requests: vec![None; valid.len()],
        valid,
    }
}

fn note(id: u64) -> Value {
    json!({ "id": id, "text": "milk", "tags": [] })
}

#[test]
fn a_valid_answer_is_accepted_and_a_refusal_is_not() {
    let no = answer(401, json!({ "error": "unauthorized" }));
    let yes = answer(200, note(1));
    let base = baseline(&no, &no, &[&yes]);
    assert_eq!(base.protection, Protection::Protected(vec![0]));
    assert!(judge(&base, &answer(200, note(2))).accepted());
    assert!(judge(&base, &no).refused());
    assert!(judge(&base, &answer(403, json!({ "error": "forbidden" }))).refused());
}

#[test]
fn a_failure_with_status_200_is_a_refusal() {
    let no = answer(
        200,
        json!({ "status": "fail", "message": "Token blacklisted. Please log in again." }),
    );
    let yes = answer(200, json!({ "status": "success", "data": note(1) }));
    let base = baseline(&no, &no, &[&yes]);
    assert!(base.is_protected());
    let other = answer(
        200,
        json!({ "status": "fail", "message": "Signature expired" }),
    );
    assert!(judge(&base, &other).refused());
    assert!(
        judge(
            &base,
            &answer(200, json!({ "status": "success", "data": note(9) }))
        )
        .accepted()
    );
}

#[test]
fn a_public_operation_says_nothing_about_tokens() {
    let yes = answer(200, note(1));
    let base = baseline(&yes, &yes, &[&yes]);
    assert_eq!(base.protection, Protection::Public);
    assert!(matches!(judge(&base, &yes), Verdict::Unclear(_)));
    // Also where it answers a visitor a little differently.
    let visitor = answer(200, json!({ "id": 1, "text": "milk" }));
    assert_eq!(
        baseline(&visitor, &visitor, &[&yes]).protection,
        Protection::Public
    );
}

#[test]
fn a_body_refused_before_the_token_is_looked_at_is_no_acceptance() {
    let bad = answer(400, json!({ "error": "missing field `image`" }));
    let base = baseline(&bad, &bad, &[&bad]);
    assert_eq!(
        base.protection,
        Protection::Unknown("answered 400 to everyone".to_owned())
    );
    assert!(matches!(judge(&base, &bad), Verdict::Unclear(_)));
}

#[test]
fn no_such_object_behind_the_token_shows_that_it_is_looked_at() {
    let no = answer(401, json!({ "error": "unauthorized" }));
    let absent = answer(404, json!({ "error": "no such note" }));
    let base = baseline(&no, &no, &[&absent]);
    assert!(base.is_protected());
    assert!(judge(&base, &absent).accepted());
    assert!(judge(&base, &no).refused());
}

#[test]
fn a_token_without_the_right_is_not_let_in() {
    let no = answer(401, json!({ "error": "unauthorized" }));
    let forbidden = answer(403, json!({ "error": "forbidden" }));
    let yes = answer(200, note(1));
    assert_eq!(
        baseline(&no, &no, &[&forbidden, &yes]).protection,
        Protection::Protected(vec![1])
    );
    assert!(matches!(
        baseline(&no, &no, &[&forbidden]).protection,
        Protection::Unknown(_)
    ));
}

#[test]
fn any_token_is_told_from_a_public_operation() {
    let no = answer(401, json!({ "error": "unauthorized" }));
    let yes = answer(200, note(1));
    assert_eq!(
        baseline(&no, &yes, &[&yes]).protection,
        Protection::AnyToken(vec![0])
    );
    assert_eq!(baseline(&yes, &no, &[&yes]).protection, Protection::Public);
}

#[test]
fn a_login_page_or_a_redirect_to_it_is_a_refusal() {
    let login = raw(
        200,
        "text/html",
        "<form><input type=\"password\" name=p></form>",
    );
    let page = raw(
        200,
        "text/html",
        "<h1>Orders</h1><table><tr><td>7</td></tr></table>",
    );
    let base = baseline(&login, &login, &[&page]);
    assert!(base.is_protected());
    assert!(judge(&base, &login).refused());
    assert!(!welcome(&login));
}

#[test]
fn lists_of_different_length_are_the_same_treatment() {
    let no = answer(401, json!({ "error": "unauthorized" }));
    let long = answer(200, json!({ "items": [note(1), note(2), note(3)] }));
    let short = answer(200, json!({ "items": [note(7)] }));
    let empty = answer(200, json!({ "items": [] }));
    let base = baseline(&no, &no, &[&long]);
    assert!(judge(&base, &short).accepted());
    assert!(judge(&base, &empty).accepted());
}

#[test]
fn an_empty_204_is_accepted_and_a_server_error_says_nothing() {
    let no = answer(401, json!({ "error": "unauthorized" }));
    let done = raw(204, "text/plain", "");
    let base = baseline(&no, &no, &[&done]);
    assert!(judge(&base, &done).accepted());
    for status in [500, 502, 429] {
        assert!(matches!(
            judge(&base, &answer(status, json!({}))),
            Verdict::Unclear(_)
        ));
    }
    assert!(matches!(
        judge(&base, &exchange(Err(Failure::Closed))),
        Verdict::Unclear(_)
    ));
}

#[test]
fn a_document_that_speaks_of_tokens_is_no_refusal() {
    let document = json!({ "title": "Security", "text": "A request with an invalid token is unauthorized.", "id": 1, "next": 2, "tags": [] });
    assert!(welcome(&answer(200, document)));
    assert!(welcome(&answer(200, json!({ "items": [], "errors": [] }))));
    assert!(!welcome(&raw(200, "application/problem+json", "{}")));
}

proptest! {
    #[test]
    fn the_refusal_itself_is_never_accepted_and_the_valid_answer_never_refused(
        refused_status in prop::sample::select(vec![200u16, 302, 400, 401, 403, 404]),
        valid_status in prop::sample::select(vec![200u16, 201, 204, 404]),
        words in prop::collection::vec("[a-z]{1,8}", 1..4),
    ) {
        let no = answer(refused_status, json!({ "error": words[0] }));
        let yes = answer(valid_status, words.iter().map(|word| (word.clone(), json!(1))).collect());
        let base = baseline(&no, &no, &[&yes]);
        prop_assert!(!judge(&base, &no).accepted());
        prop_assert!(!judge(&base, &yes).refused());
    }

    #[test]
    fn likeness_is_symmetric_and_bounded(a in "\\PC{0,40}", b in "\\PC{0,40}", x in 200u16..500, y in 200u16..500) {
        let (a, b) = (raw(x, "text/plain", &a), raw(y, "text/plain", &b));
        let (forth, back) = (likeness(&a, &b), likeness(&b, &a));
        prop_assert!((forth - back).abs() < 1e-9 && (0.0..=1.0 + 1e-9).contains(&forth));
        prop_assert!((likeness(&a, &a) - 1.0).abs() < 1e-9);
    }
}
