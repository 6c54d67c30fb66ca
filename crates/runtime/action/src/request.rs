//! What both dialects share: the head of a request, its headers, and a route with its body.

use crate::action::Action;
use crate::json::{Members, Value};
use crate::name::{ContainerRef, ExecId, NetworkRef, VolumeRef};
use crate::refusal::{BODY, Refusal, Rule, quote};
use crate::target::{Query, decode};

/// The head of a request as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method, case and all.
    pub method: &'a str,
    /// The raw target of the request line, neither decoded nor normalised.
    pub target: &'a str,
    /// Every header, repeated ones repeated.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// What a route takes as its body, so that whoever reads it knows how much to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// None (or an empty JSON object, which some clients send).
    None,
    /// A JSON document of at most [`MAX_BODY`](crate::json::MAX_BODY) bytes.
    Json,
    /// A plain tar archive, to be streamed: its first [`PROBE`](crate::archive::PROBE) bytes are
    /// what [`Routed::action`] wants to see.
    Archive,
    /// None (or the query once more as JSON), and the connection may be hijacked for the streams of a
    /// terminal.
    Hijack,
    /// A JSON document, and the connection may be hijacked after it.
    JsonThenHijack,
}

/// A request whose head has been accepted.
#[derive(Debug)]
pub struct Routed<'a> {
    route: Route<'a>,
    query: &'a str,
}

impl Routed<'_> {
    /// What the route takes as its body.
    #[must_use]
    pub fn body(&self) -> BodyKind {
        self.route.body
    }

    /// The query keys that the route knows; others are dropped.
    #[must_use]
    pub fn query_keys(&self) -> &'static [&'static str] {
        self.route.keys
    }

    /// The action, from the whole body, or from the first bytes of an archive.
    ///
    /// # Errors
    /// The first rule that refuses it.
    pub fn action(self, body: &[u8]) -> Result<Action, Refusal> {
        let Route {
            name,
            keys,
            body: kind,
            action,
        } = self.route;
        let query = Query::parse(self.query, keys)?;
        match kind {
            BodyKind::None | BodyKind::Hijack => {
                // What is wrong with the request says more than a body that is not due: an import
                // comes with one, and is refused for what it is.
                let action = action(Call { name, query, body })?;
                empty(body, keys, kind).map_err(|refusal| refusal.at(BODY))?;
                return Ok(action);
            }
            BodyKind::Archive => crate::archive::check_start(body)?,
            BodyKind::Json | BodyKind::JsonThenHijack => {
                if body.iter().all(u8::is_ascii_whitespace) {
                    return Err(Refusal::new(Rule::Body, "a JSON body is missing").at(BODY));
                }
            }
        }
        action(Call { name, query, body })
    }
}

/// A route: the name in its path, the query keys that it knows, its body, and how the action is
/// made of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) name: &'a str,
    pub(crate) keys: &'static [&'static str],
    pub(crate) body: BodyKind,
    pub(crate) action: fn(Call<'_>) -> Result<Action, Refusal>,
}

/// What a route's action is made of.
pub(crate) struct Call<'a> {
    name: &'a str,
    pub(crate) query: Query,
    body: &'a [u8],
}

impl<'a> Route<'a> {
    /// A route without a name and without a body.
    pub(crate) const fn plain(
        keys: &'static [&'static str],
        action: fn(Call<'_>) -> Result<Action, Refusal>,
    ) -> Self {
        Self {
            name: "",
            keys,
            body: BodyKind::None,
            action,
        }
    }

    /// A route with a name in its path and without a body.
    pub(crate) const fn named(
        name: &'a str,
        keys: &'static [&'static str],
        action: fn(Call<'_>) -> Result<Action, Refusal>,
    ) -> Self {
        Self {
            name,
            keys,
            body: BodyKind::None,
            action,
        }
    }

    /// The same route with a body.
    pub(crate) const fn with(mut self, body: BodyKind) -> Self {
        self.body = body;
        self
    }

    /// Checks the headers against the body that the route takes.
    pub(crate) fn accept(self, head: Head<'a>, query: &'a str) -> Result<Routed<'a>, Refusal> {
        check_headers(head.headers, self.body)?;
        Ok(Routed { route: self, query })
    }
}

impl Call<'_> {
    pub(crate) fn container(&self) -> Result<ContainerRef, Refusal> {
        ContainerRef::parse(self.name).map_err(|refusal| refusal.at("path"))
    }

    pub(crate) fn volume(&self) -> Result<VolumeRef, Refusal> {
        VolumeRef::parse(self.name).map_err(|refusal| refusal.at("path"))
    }

    pub(crate) fn exec(&self) -> Result<ExecId, Refusal> {
        ExecId::parse(self.name).map_err(|refusal| refusal.at("path"))
    }

    pub(crate) fn network(&self) -> Result<NetworkRef, Refusal> {
        NetworkRef::parse(self.name).map_err(|refusal| refusal.at("path"))
    }

    /// The same of one to look at.
    pub(crate) fn network_to_inspect(&self) -> Result<NetworkRef, Refusal> {
        NetworkRef::parse_to_inspect(self.name).map_err(|refusal| refusal.at("path"))
    }

    /// An image name, which may be percent-encoded.
    pub(crate) fn image_name(&self) -> Result<String, Refusal> {
        decode(self.name, false).map_err(|refusal| refusal.at("path"))
    }

    pub(crate) fn members(&self) -> Result<Members, Refusal> {
        Members::of_body(self.body)
    }

    /// The body for serde, after the strict reader has had it.
    pub(crate) fn typed<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        let value = Value::parse(self.body).and_then(Value::into_serde);
        let value = value.map_err(|refusal| refusal.at(BODY))?;
        serde_json::from_value(value).map_err(|error| {
            // Serde quotes names of the request as they are; they pass through `quote` again.
            let text = error.to_string();
            Refusal::new(Rule::JsonType, quote(&text).trim_matches('`').to_owned()).at(BODY)
        })
    }
}

/// Headers of which a second one would leave open which counts.
const SINGLE: &[&str] = &[
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
    "upgrade",
];

/// Headers that some servers take for the method or the path.
const OVERRIDES: &[&str] = &[
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Checks the headers. None of them becomes part of an action, so those of client identity
/// (`X-Forwarded-For`, `Authz-User`, `X-Registry-Auth`) are dropped with the rest.
fn check_headers(headers: &[(&str, &[u8])], body: BodyKind) -> Result<(), Refusal> {
    let all = |name: &'static str| {
        headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
    };
    if let Some(name) = SINGLE.iter().find(|name| all(name).count() > 1) {
        return Err(Refusal::new(Rule::Header, "it is given twice").at(format!("header `{name}`")));
    }
    if let Some(name) = OVERRIDES.iter().find(|name| all(name).count() > 0) {
        return Err(Refusal::new(
            Rule::Header,
            "it would stand for another method or path; leave it out",
        )
        .at(format!("header `{name}`")));
    }
    let value = |name: &'static str| all(name).next().map(|(_, value)| *value);
    let is_json = matches!(body, BodyKind::Json | BodyKind::JsonThenHijack);

    if let Some(content_type) = value("content-type") {
        let text = String::from_utf8_lossy(content_type);
        let media_type = text.split(';').next().unwrap_or_default().trim();
        let form = ["application/x-www-form-urlencoded", "multipart/form-data"];
        if form
            .iter()
            .any(|form| media_type.eq_ignore_ascii_case(form))
        {
            return Err(Refusal::new(
                Rule::FormBody,
                "the engine lets a form body override the query; send none, or JSON",
            )
            .at("header `content-type`"));
        }
        // What the archive is its first bytes say. The last is what the docker command line names
        // every body that is no JSON.
        let tar = [
            "application/x-tar",
            "application/tar",
            "application/octet-stream",
            "text/plain",
        ];
        let fits = match body {
            BodyKind::None | BodyKind::Hijack => true,
            BodyKind::Json | BodyKind::JsonThenHijack => is_plain_json(&text),
            BodyKind::Archive => tar.contains(&&*text),
        };
        if !fits {
            let due = if is_json {
                "application/json"
            } else {
                "application/x-tar"
            };
            return Err(Refusal::new(
                Rule::ContentType,
                format!("{} is not `{due}`", quote(&text)),
            )
            .at("header `content-type`"));
        }
    } else if is_json {
        return Err(
            Refusal::new(Rule::ContentType, "`application/json` is expected")
                .at("header `content-type`"),
        );
    }
    if value("content-encoding").is_some_and(|value| value != b"identity") {
        return Err(
            Refusal::new(Rule::ContentType, "a coded body is not read; send it plain")
                .at("header `content-encoding`"),
        );
    }
    let hijacks = matches!(body, BodyKind::Hijack | BodyKind::JsonThenHijack);
    if let Some(protocol) =
        value("upgrade").filter(|it| !hijacks || !it.eq_ignore_ascii_case(b"tcp"))
    {
        let protocol = quote(&String::from_utf8_lossy(protocol));
        return Err(Refusal::new(
            Rule::Header,
            format!("the connection is not upgraded to {protocol} here"),
        )
        .at("header `upgrade`"));
    }
    if value("expect").is_some() && body != BodyKind::Archive {
        return Err(Refusal::new(Rule::Transfer, "the body is due at once").at("header `expect`"));
    }
    if let Some(coding) = value("transfer-encoding") {
        // RFC 9112 §6.1: with both, a server in front may have seen another end of this request.
        if value("content-length").is_some() {
            return Err(Refusal::new(
                Rule::Transfer,
                "a length beside it leaves open which counts",
            )
            .at("header `transfer-encoding`"));
        }
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(
                Refusal::new(Rule::Transfer, "no other coding is read than `chunked`")
                    .at("header `transfer-encoding`"),
            );
        }
    }
    if body == BodyKind::Json && value("transfer-encoding").is_some() {
        return Err(Refusal::new(
            Rule::Transfer,
            "a JSON body comes with its length, not in chunks",
        )
        .at("header `transfer-encoding`"));
    }
    Ok(())
}

/// Whether a content type is the one of JSON, as every client writes it; the engine takes others, and
/// with other parameters. The value of `charset` has no case (RFC 9110 §8.3.2).
fn is_plain_json(content_type: &str) -> bool {
    match content_type.strip_prefix("application/json") {
        Some("") => true,
        Some(parameter) => {
            let charset = parameter.strip_prefix("; ").or(parameter.strip_prefix(';'));
            charset.is_some_and(|charset| charset.eq_ignore_ascii_case("charset=utf-8"))
        }
        None => false,
    }
}

/// A body where none is due: nothing, or the JSON object in which dockerode repeats the query. For a
/// hijack it also says so there.
fn empty(body: &[u8], keys: &[&str], kind: BodyKind) -> Result<(), Refusal> {
    if body.is_empty() {
        return Ok(());
    }
    let repeats = |name: &str, value: &Value| {
        let hijack = kind == BodyKind::Hijack && name == "hijack";
        keys.contains(&name) || (hijack && matches!(value, Value::Bool(_)))
    };
    let fail = |what: String| Err(Refusal::new(Rule::Body, what));
    match Value::parse(body)? {
        Value::Null => Ok(()),
        Value::Object(members) => {
            match members.iter().find(|(name, value)| !repeats(name, value)) {
                None => Ok(()),
                Some((name, _)) => {
                    fail(format!("no body is due here, and it holds {}", quote(name)))
                }
            }
        }
        _ => fail("no body is due here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(headers: &[(&str, &[u8])], body: BodyKind) -> Option<Rule> {
        check_headers(headers, body)
            .err()
            .map(|refusal| refusal.rule)
    }

    #[test]
    fn a_json_body_has_one_type_and_comes_whole() {
        let json: (&str, &[u8]) = ("Content-Type", b"application/json");
        assert_eq!(rule(&[json], BodyKind::Json), None);
        assert_eq!(rule(&[], BodyKind::Json), Some(Rule::ContentType));
        for value in [
            &b"application/json; charset=utf-8"[..],
            b"application/json;charset=utf-8",
            b"application/json; charset=UTF-8",
            b"application/json; Charset=Utf-8",
        ] {
            assert_eq!(rule(&[("content-type", value)], BodyKind::Json), None);
        }
        for value in [
            &b"APPLICATION/JSON"[..],
            b"text/plain",
            b"application/json;x=y",
            b"Application/json; charset=utf-8",
            b"application/json; charset=utf-16",
            b"application/json; charset=utf-8; x=y",
            b"application/json charset=utf-8",
            b"application/jsonx",
        ] {
            assert_eq!(
                rule(&[("content-type", value)], BodyKind::Json),
                Some(Rule::ContentType)
            );
        }
        let beside = |name, value| rule(&[json, (name, value)], BodyKind::Json);
        assert_eq!(beside("Content-Encoding", b"gzip"), Some(Rule::ContentType));
        assert_eq!(
            beside("Transfer-Encoding", b"chunked"),
            Some(Rule::Transfer)
        );
        assert_eq!(beside("Expect", b"100-continue"), Some(Rule::Transfer));
        let archive = |coding: &[u8], length: &[(&str, &[u8])]| {
            let mut headers = vec![("Transfer-Encoding", coding)];
            headers.extend_from_slice(length);
            rule(&headers, BodyKind::Archive)
        };
        assert_eq!(archive(b"Chunked", &[]), None);
        let plain: (&str, &[u8]) = ("Content-Type", b"text/plain");
        assert_eq!(rule(&[plain], BodyKind::Archive), None);
        assert_eq!(archive(b"gzip, chunked", &[]), Some(Rule::Transfer));
        let length: (&str, &[u8]) = ("Content-Length", b"5");
        assert_eq!(archive(b"chunked", &[length]), Some(Rule::Transfer));
        assert_eq!(
            beside("content-TYPE", b"application/json"),
            Some(Rule::Header)
        );
        assert_eq!(beside("X-HTTP-Method-Override", b"GET"), Some(Rule::Header));
        assert_eq!(beside("Upgrade", b"h2c"), Some(Rule::Header));
        assert_eq!(beside("X-Forwarded-For", b"1.2.3.4"), None);
        let upgrade = |value| rule(&[("Upgrade", value)], BodyKind::Hijack);
        assert_eq!(upgrade(&b"tcp"[..]), None);
        assert_eq!(upgrade(&b"websocket"[..]), Some(Rule::Header));
    }

    #[test]
    fn a_form_is_refused_wherever_it_comes() {
        for kind in [
            BodyKind::None,
            BodyKind::Json,
            BodyKind::Archive,
            BodyKind::Hijack,
        ] {
            for value in [
                &b"application/x-www-form-urlencoded"[..],
                b"Multipart/Form-Data; boundary=x",
            ] {
                assert_eq!(rule(&[("content-type", value)], kind), Some(Rule::FormBody));
            }
        }
    }

    #[test]
    fn a_body_that_is_not_due_repeats_the_query_at_most() {
        let empty = |body: &[u8], keys, kind| empty(body, keys, kind).map_err(|it| it.rule);
        assert_eq!(empty(b"", &[], BodyKind::None), Ok(()));
        assert_eq!(empty(b"{}", &[], BodyKind::None), Ok(()));
        assert_eq!(empty(b"{\"t\":5}", &["t"], BodyKind::None), Ok(()));
        for body in [&b"{\"Privileged\":true}"[..], b"[]", b"{\"hijack\":true}"] {
            assert_eq!(empty(body, &["t"], BodyKind::None), Err(Rule::Body));
        }
        // What dockerode sends to attach.
        let attach = b"{\"stream\":true,\"stdout\":true,\"hijack\":true}";
        let keys = &["stream", "stdout"];
        assert_eq!(empty(attach, keys, BodyKind::Hijack), Ok(()));
        for body in [&b"{\"hijack\":\"x\"}"[..], b"{\"Privileged\":true}", b"[]"] {
            assert_eq!(empty(body, keys, BodyKind::Hijack), Err(Rule::Body));
        }
    }
}
