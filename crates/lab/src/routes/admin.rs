//! What only administrators may see.

use crate::hole::Hole;
use crate::service::State;
use actix_web::HttpResponse;
use actix_web::web::Data;
use cofferdam_guard::{GuardedApp, authenticated, get, resource, role};
use serde_json::json;

pub(crate) fn declare(app: GuardedApp, state: &State) -> GuardedApp {
    let who = match state.is_open(Hole::FunctionAdmin) {
        // "Only the admin console knows this path."
        true => authenticated(),
        false => role("admin"),
    };
    app.service(resource("/v1/admin/tenants").route(get().to(tenants).require(who)))
}

async fn tenants(state: Data<State>) -> HttpResponse {
    let tenants = ["acme", "globex"].map(|tenant| {
        json!({
            "name": tenant,
            "owner": format!("owner@{tenant}.example"),
            "containers": state.store.of(tenant).len(),
            "jobs": state.store.jobs_of(tenant).len(),
        })
    });
    HttpResponse::Ok().json(json!({"tenants": tenants}))
}
