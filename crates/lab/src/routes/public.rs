//! What needs no token: health, keys, the API's description and its documentation.

use crate::service::State;
use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use cofferdam_guard::{GuardedApp, get, resource};
use serde_json::json;

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    app.service(resource("/healthz").route(get().to(health).public()))
        .service(resource("/docs").route(get().to(docs).public()))
        .service(resource("/openapi.json").route(get().to(openapi).public()))
        .service(resource("/.well-known/jwks.json").route(get().to(jwks).public()))
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok", "version": "1.4.2", "runtime": "docker 28.5.2"}))
}

async fn openapi(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(state.openapi.clone())
}

async fn jwks(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(&state.jwks)
}

async fn docs() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .body(DOCS)
}

/// The documentation shows what users ask about: what a workspace file looks like, what a token
/// looks like. None of it is a leak: the account file is the one that every image has, and the token
/// is the example of RFC 7519 section 3.1.
const DOCS: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Containers API</title></head><body>
<h1>Containers API</h1>
<p>The description of every operation is at <a href="/openapi.json">/openapi.json</a>.</p>
<h2>Tokens</h2>
<p>Send your access token in <code>Authorization: Bearer …</code>. It looks like this:</p>
<pre>eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk</pre>
<h2>Users in images</h2>
<p>An image names its users in <code>/etc/passwd</code>. The shortest one that works:</p>
<pre>root:x:0:0:root:/root:/bin/sh
app:x:1000:1000::/srv:/bin/sh</pre>
<p>The command <code>id</code> then prints <code>uid=1000(app) gid=1000(app)</code>.</p>
</body></html>
"#;
