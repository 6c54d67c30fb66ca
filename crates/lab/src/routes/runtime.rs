//! The engine's API, passed through as it is: the hole, there only when it is open.

use crate::service::{Problem, State};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use cofferdam_guard::{GuardedApp, method, resource, scope};

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    let all = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ];
    let routes = all.map(|each| method(each).to(pass).require(scope("containers:read")));
    let whole = resource("/v1/runtime/{path:.*}");
    app.service(
        routes
            .into_iter()
            .fold(whole, |whole, route| whole.route(route)),
    )
}

async fn pass(
    request: HttpRequest,
    state: Data<State>,
    path: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let wrong = |_| Problem::bad("the path is wrong");
    let method = hyper::Method::from_bytes(request.method().as_str().as_bytes())
        .map_err(|_| Problem::bad("the method is wrong"))?;
    let query = match request.query_string() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let target: hyper::Uri = format!("/{path}{query}").parse().map_err(wrong)?;
    let body = (!body.is_empty()).then_some(body);
    // Declared only where the service holds the engine's socket.
    let engine = state.runtime.socket();
    let engine = engine.ok_or_else(|| Problem::not_found("operation"))?;
    let answer = engine.send(method, &target.to_string(), body).await?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut passed = HttpResponse::build(status);
    for name in ["content-type", "api-version", "server"] {
        if let Some(value) = answer.headers().get(name) {
            passed.insert_header((name, value.as_bytes()));
        }
    }
    Ok(passed.body(answer.into_body()))
}
