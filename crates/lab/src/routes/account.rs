//! The caller's own session and account, and the service's settings.

use crate::caller::Caller;
use crate::hole::Hole;
use crate::service::{State, raw_token};
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use cofferdam_guard::{GuardedApp, authenticated, get, resource, scope};
use serde_json::json;

const ACCOUNT: &str = "/v1/account";

pub(crate) fn declare(app: GuardedApp) -> GuardedApp {
    app.service(resource("/v1/session").route(get().to(session).require(authenticated())))
        .service(resource(ACCOUNT).route(get().to(account).require(authenticated())))
        .service(resource("/v1/settings").route(get().to(settings).require(scope("settings:read"))))
}

async fn session(request: HttpRequest, state: Data<State>, caller: Caller) -> HttpResponse {
    let mut answer = json!({
        "subject": caller.subject,
        "tenant": caller.tenant,
        "scopes": caller.scopes,
        "expires_at": caller.expires_at,
    });
    if state.is_open(Hole::TokenInAnswer) {
        answer["access_token"] = raw_token(&request).into();
    }
    HttpResponse::Ok().json(answer)
}

async fn account(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "status": "ok",
        "account": {"subject": caller.subject, "tenant": caller.tenant, "plan": "team"},
    }))
}

/// Answers 200 for the account to everybody and says in the body whether the caller is somebody, as
/// some services do. Who is nobody learns nothing.
pub(crate) async fn fail_in_200(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> actix_web::Result<ServiceResponse<BoxBody>> {
    let is_account = request.match_pattern().as_deref() == Some(ACCOUNT);
    let answer = next.call(request).await?;
    let refused = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ]
    .contains(&answer.status());
    Ok(match is_account && refused {
        true => answer.into_response(
            HttpResponse::Ok().json(json!({"status": "fail", "message": "not logged in"})),
        ),
        false => answer,
    })
}

async fn settings(state: Data<State>) -> HttpResponse {
    let mut answer = json!({
        "region": "eu-north",
        "limits": {"jobs": 50, "body_bytes": 65_536},
        "features": ["jobs", "assistant", "webhooks"],
    });
    if state.is_open(Hole::ExposeSecret) {
        let secrets = &state.secrets;
        answer["database_url"] = format!(
            "postgres://api:{}@db.internal:5432/containers",
            secrets.database
        )
        .into();
        answer["registry"] = json!({"user": "api", "password": secrets.registry});
        answer["cluster_token"] = secrets.service_account.clone().into();
    }
    HttpResponse::Ok().json(answer)
}
