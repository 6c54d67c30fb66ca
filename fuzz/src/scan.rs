//! The readers of `cofferdam-scan`: descriptions, answers, tokens, and what is kept of them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofferdam_scan::{Jwt, Response, Target as Base, Template, fuzzing};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{Target, parts};

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target {
        name: "scan_answer",
        run: answer,
        seeds: &[
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1/x\r\nContent-Length: 99999999999\r\n\r\ngone",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 no\r\nWWW-Authenticate: Bearer\r\n\r\n",
        ],
    },
    Target {
        name: "scan_description",
        run: description,
        seeds: &[
            include_bytes!("../seeds/openapi.yaml"),
            include_bytes!("../seeds/swagger.json"),
        ],
    },
    Target {
        name: "scan_har",
        run: description,
        seeds: &[include_bytes!("../seeds/session.har")],
    },
    Target {
        name: "scan_judge",
        run: judge,
        seeds: &[
            b"\x010{\"error\":\"who are you\"}\n%%%%\n\x010{\"error\":\"bad token\"}\n%%%%\n\xc8{\"id\":1,\"items\":[{\"name\":\"a\"}]}\n%%%%\n\xc8{\"id\":2,\"items\":[]}",
            b"\xc8<html><body>login</body></html>\n%%%%\n\xc8{\"status\":\"fail\"}\n%%%%\n\xc8ok\n%%%%\n\xfe",
        ],
    },
    Target {
        name: "scan_jwt",
        run: jwt,
        seeds: &[b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIiwic2NvcGUiOiJhIGIifQ.c2ln"],
    },
    Target {
        name: "scan_links",
        run: links,
        seeds: &[
            br#"{"items":[{"id":"0b8e6a3e-6b1c-4f8a-9f5e-3a1d2c4b5a69","self":"/v1/things/7","links":[{"href":"http://127.0.0.1:1/v1/users/{user_id}"}]}],"next":"/v1/things?page=2"}"#,
            b"<a href=\"/a/b\">x</a> GET /v1/x/{id} - 'missing field `name`', \"path\" is required; expected {\"image\": \"...\"}\n* users\n* orders\n",
        ],
    },
    Target {
        name: "scan_redact",
        run: redact,
        seeds: &[
            b"\x00\x05{\"password\":\"hunter22\",\"t\":\"\"}",
            b"\x01\x10authorization: Bearer x; set-cookie: a=b",
            b"\x02\x03aGVsbG8gd29ybGQ",
        ],
    },
    Target {
        name: "scan_target",
        run: target,
        seeds: &[
            b"http://127.0.0.1:8080/api",
            b"https://[::1]:443/?a=b#c",
            b"X-Api-Key: key={token}",
        ],
    },
];

static BASE: LazyLock<Base> =
    LazyLock::new(|| Base::parse("http://127.0.0.1:8080/api").expect("a URL"));

/// API descriptions and recorded sessions. Whatever is read stays within bounds and on the target.
pub fn description(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok((operations, values)) = fuzzing::operations(text, &BASE) {
        assert!(operations.iter().all(|it| it.path.starts_with('/')));
        // What is sent may grow with the description, but not out of proportion to it.
        let sent: usize = values.iter().map(String::len).sum();
        assert!(sent <= (1 << 20) + 4096 * data.len(), "{sent} bytes");
    }
}

/// What discovery follows from an answer.
pub fn links(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for path in fuzzing::paths(&text, &BASE) {
        assert!(path.starts_with('/') && !path.starts_with("//"), "{path:?}");
    }
}

/// An answer over a real connection. However it is cut or framed, it ends, and within the limit.
pub fn answer(data: &[u8]) {
    const LIMIT: usize = 8192;
    static PLACE: LazyLock<(TcpListener, Base, tokio::runtime::Runtime)> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let base = Base::parse(&format!("http://{address}")).expect("a URL");
        (listener, base, runtime)
    });
    let (listener, base, runtime) = &*PLACE;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(data);
        });
        if let Ok(response) = runtime.block_on(fuzzing::answer(base, LIMIT)) {
            assert!(response.body.len() <= LIMIT);
            assert!(response.truncated || response.body.len() as u64 == response.length);
            let _ = response.media_type();
        }
    });
}

/// Four answers as the oracle sees them: without a token, to a garbage one, to a valid one, to a
/// probe.
pub fn judge(data: &[u8]) {
    let mut parts = parts(data);
    let mut next = || response(parts.next().unwrap_or_default());
    let answers = [next(), next(), next(), next()];
    let again = answers.clone();
    assert_eq!(fuzzing::judge(answers), fuzzing::judge(again));
}

/// Two bytes of status, then the body.
fn response(data: &[u8]) -> Response {
    let (status, body) = match data {
        [status, body @ ..] => (200 + u16::from(*status) % 400, body),
        [] => (200, data),
    };
    Response {
        status,
        version: "HTTP/1.1",
        headers: HeaderMap::new(),
        body: body.to_vec().into(),
        length: body.len() as u64,
        truncated: false,
    }
}

/// Tokens of the identities.
pub fn jwt(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(jwt) = Jwt::read(text)
    {
        let _ = (jwt.algorithm(), jwt.text("sub"), jwt.scopes());
    }
}

/// URLs and header templates of the command line.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(target) = Base::parse(text) {
        // But for a slash at its end it reads as it is shown.
        let again = Base::parse(&target.to_string()).expect("what is shown is a URL");
        assert!(again.same_origin(&target));
        assert_eq!(again.base_path(), target.base_path());
        let _ = (target.authority(), target.is_loopback());
    }
    if let Ok(template) = Template::parse(text) {
        let _ = template.value("token");
    }
}

/// An answer with the token somewhere in it, in one of its spellings. Nothing that is kept of the
/// exchange holds it, plainly or in base64.
pub fn redact(data: &[u8]) {
    const TOKEN: &str = "vt7Qx-0u3kZpW9_a.Lq2";
    let [how, at, rest @ ..] = data else {
        return;
    };
    let spelling = match how % 5 {
        0 => TOKEN.to_owned(),
        1 => TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        2 => STANDARD.encode(TOKEN),
        3 => TOKEN
            .bytes()
            .map(|byte| format!("\\u00{byte:02X}"))
            .collect(),
        _ => STANDARD.encode(format!("{{\"token\":\"{TOKEN}\"}}")),
    };
    // It is redacted fifteen times below.
    let rest = String::from_utf8_lossy(&rest[..rest.len().min(8192)]);
    let mut at = usize::from(*at).min(rest.len());
    while !rest.is_char_boundary(at) {
        at -= 1;
    }
    let (before, after) = rest.split_at(at);
    let text = format!("{before}{spelling}{after}");
    let mut answer = response(b"");
    answer.body = text.clone().into();
    for name in ["x-echo", "set-cookie", "authorization", "location"] {
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            answer.headers.append(HeaderName::from_static(name), value);
        }
    }
    for telling in [None, Some(before), Some(text.as_str())] {
        let evidence = fuzzing::evidence(TOKEN, answer.clone(), telling);
        let kept = serde_json::to_string(&evidence).expect("evidence becomes JSON");
        // Between letters of base64 there is no telling where the spelling begins.
        let alone =
            |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphanumeric() || "+/-_=".contains(c));
        let clear = how % 5 != 2 && how % 5 != 4
            || alone(before.chars().next_back()) && alone(after.chars().next());
        assert!(
            !kept.contains(TOKEN) && (!clear || !kept.contains(&spelling)),
            "{kept}"
        );
    }
}
