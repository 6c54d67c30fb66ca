//! The caller's own session and account, and the service's settings.

use crate::hole::Hole;
use crate::service::{Problem, State};
use crate::verify::{Group, raw_token};
use actix_web::web::{Data, ServiceConfig, get};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .route("/v1/session", get().to(session))
        .route("/v1/account", get().to(account))
        .route("/v1/settings", get().to(settings));
}

async fn session(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Sound, "")?;
    let mut answer = json!({
        "subject": caller.subject,
        "tenant": caller.tenant,
        "scopes": caller.scopes,
        "expires_at": caller.expires_at,
    });
    if state.is_open(Hole::TokenInAnswer) {
        answer["access_token"] = raw_token(&request).into();
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// Answers 200 to everybody and says in the body whether the caller is somebody, as some services
/// do. Who is nobody learns nothing.
async fn account(request: HttpRequest, state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(match state.enter(&request, Group::Sound, "") {
        Ok(caller) => json!({
            "status": "ok",
            "account": {"subject": caller.subject, "tenant": caller.tenant, "plan": "team"},
        }),
        Err(_) => json!({"status": "fail", "message": "not logged in"}),
    })
}

async fn settings(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    state.enter(&request, Group::Sound, "settings:read")?;
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
    Ok(HttpResponse::Ok().json(answer))
}
