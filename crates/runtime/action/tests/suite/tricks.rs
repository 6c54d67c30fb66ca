//! The path, HTTP, JSON and form tricks around a harmless body: it is the trick that is refused.

use cofferdam_action::refusal::Rule;

use crate::support::{Request, requests, runner};

const HARMLESS: &str = r#"{"Image":"allowed/app:1","Cmd":["true"],"HostConfig":{"Memory":0}}"#;

fn create(target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    let mut request = Request {
        id: String::new(),
        class: String::new(),
        method: "POST".into(),
        target: target.into(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        body: body.to_vec(),
    };
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        request
            .headers
            .push(("Content-Type".into(), "application/json".into()));
    }
    request
}

fn rule(request: &Request) -> Option<Rule> {
    request.judge(&runner()).err().map(|refusal| refusal.rule)
}

#[test]
fn the_harmless_body_alone_goes_through() {
    assert_eq!(
        rule(&create(
            "/v1.41/containers/create",
            &[],
            HARMLESS.as_bytes()
        )),
        None
    );
    assert_eq!(
        rule(&create("/containers/create", &[], HARMLESS.as_bytes())),
        None
    );
}

#[test]
fn path_tricks_are_refused_around_it() {
    let mut tried = 0;
    for (request, _) in requests("escape_requests.json") {
        // An unversioned path is no trick.
        if request.class != "path-differential" || request.id == "path-001" {
            continue;
        }
        let harmless = create(&request.target, &[], HARMLESS.as_bytes());
        assert!(
            matches!(rule(&harmless), Some(Rule::Target | Rule::Version)),
            "{}",
            request.target
        );
        tried += 1;
    }
    assert_eq!(tried, 14);
}

#[test]
fn http_tricks_are_refused_around_it() {
    let mut tried = 0;
    for (request, entry) in requests("escape_requests.json") {
        if request.class != "http-differential" {
            continue;
        }
        let body = if entry["transport"] == "cl0" {
            ""
        } else {
            HARMLESS
        };
        let headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let refused = rule(&create(&request.target, &headers, body.as_bytes()));
        let meant = [Rule::ContentType, Rule::Transfer, Rule::Header, Rule::Body];
        assert!(
            refused.is_some_and(|rule| meant.contains(&rule)),
            "{}: {refused:?}",
            request.id
        );
        tried += 1;
    }
    assert_eq!(tried, 9);
}

#[test]
fn a_form_is_refused_around_every_route() {
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (request, _) in requests("benign_requests.json") {
        let mut with_form = request.clone();
        with_form.headers = vec![(form.0.into(), form.1.into())];
        assert_eq!(rule(&with_form), Some(Rule::FormBody), "{}", request.id);
    }
}

#[test]
fn json_tricks_are_refused_around_it() {
    let text = |body: &str| rule(&create("/v1.41/containers/create", &[], body.as_bytes()));
    for (body, meant) in [
        (r#"{"IMAGE":"allowed/app:1"}"#, Rule::JsonCase),
        (
            r#"{"Image":"allowed/app:1","hOSTcONFIG":{}}"#,
            Rule::JsonCase,
        ),
        (
            "{\"Image\":\"allowed/app:1\",\"Ho\u{17f}tConfig\":{}}",
            Rule::JsonCase,
        ),
        (
            r#"{"Image":"allowed/app:1","HostConfig":{"Networ\u212aMode":""}}"#,
            Rule::JsonCase,
        ),
        (
            r#"{"Image":"allowed/app:1","Image":"allowed/app:1"}"#,
            Rule::JsonDuplicate,
        ),
        (
            r#"{"Image":"allowed/app:1","HostConfig":{},"HostConfig":null}"#,
            Rule::JsonDuplicate,
        ),
        (
            r#"{"Image":"allowed/app:1","HostConfig":{"Memory":0,"memory":0}}"#,
            Rule::JsonDuplicate,
        ),
        (r#"{"Image":"allowed/app:1"}}"#, Rule::JsonSyntax),
        (r#"{"Image":"allowed/app:1"}] {}"#, Rule::JsonSyntax),
        (
            r#"{"Image":"allowed/app:1"}{"Image":"allowed/app:1"}"#,
            Rule::JsonSyntax,
        ),
        ("{\"Image\":\"allowed/app:1\"}\0\0", Rule::JsonSyntax),
        ("\u{feff}{\"Image\":\"allowed/app:1\"}", Rule::JsonSyntax),
        (
            r#"{"Image":"allowed/app:1","Labels":{"x":"\ud800"}}"#,
            Rule::JsonSyntax,
        ),
        (r#"{"Image":"allowed/app:1","Memory":5}"#, Rule::JsonUnknown),
        (r#"{"Image":"allowed/app:1","Tty":"false"}"#, Rule::JsonType),
        (r#"[{"Image":"allowed/app:1"}]"#, Rule::JsonType),
    ] {
        assert_eq!(text(body), Some(meant), "{body}");
    }
    let invalid = [HARMLESS.as_bytes(), b"\xff"].concat();
    let request = create("/v1.41/containers/create", &[], &invalid);
    assert_eq!(rule(&request), Some(Rule::JsonSyntax));
    let nested = format!(
        r#"{{"Image":"allowed/app:1","New":{}{}}}"#,
        "[".repeat(9000),
        "]".repeat(9000)
    );
    assert_eq!(text(&nested), Some(Rule::JsonSyntax));
    let padded = format!("{HARMLESS}{}", " ".repeat(1 << 20));
    assert_eq!(text(&padded), Some(Rule::BodySize));
}

#[test]
fn keys_of_maps_are_data_and_may_differ_in_case_alone() {
    let body = r#"{"Image":"allowed/app:1","Labels":{"Key":"1","key":"2","Image":"x"}}"#;
    assert_eq!(
        rule(&create("/v1.41/containers/create", &[], body.as_bytes())),
        None
    );
}

#[test]
fn a_body_of_start_is_refused_whatever_it_holds() {
    for body in [&br#"{"Privileged":true}"#[..], br#"{"Memory":0}"#, b"x"] {
        let refused = rule(&create("/v1.41/containers/mine/start", &[], body));
        assert!(
            matches!(refused, Some(Rule::Body | Rule::JsonSyntax)),
            "{refused:?}"
        );
    }
    assert_eq!(
        rule(&create("/v1.41/containers/mine/start", &[], b"{}")),
        None
    );
}

#[test]
fn the_host_network_is_refused_under_each_of_its_names() {
    for body in [
        r#"{"Image":"allowed/app:1","HostConfig":{"NetworkMode":"host"}}"#,
        r#"{"Image":"allowed/app:1","HostConfig":{"NetworkMode":"HOST"}}"#,
        r#"{"Image":"allowed/app:1","NetworkingConfig":{"EndpointsConfig":{"host":{}}}}"#,
        r#"{"Image":"allowed/app:1","NetworkingConfig":{"EndpointsConfig":{"Host":null}}}"#,
    ] {
        let request = create("/v1.41/containers/create", &[], body.as_bytes());
        assert_eq!(rule(&request), Some(Rule::NetworkNamespace), "{body}");
    }
    let connect = br#"{"Container":"mine"}"#;
    let request = create("/v1.41/networks/host/connect", &[], connect);
    assert_eq!(rule(&request), Some(Rule::NameReserved));
}
