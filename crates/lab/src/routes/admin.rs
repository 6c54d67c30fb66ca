//! What only administrators may see.

use crate::hole::Hole;
use crate::service::{Problem, State};
use crate::verify::Group;
use actix_web::web::{Data, ServiceConfig, get};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/v1/admin/tenants", get().to(tenants));
}

async fn tenants(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Problem> {
    let caller = state.enter(&request, Group::Sound, "")?;
    let may = caller.roles.iter().any(|role| role == "admin");
    // "Only the admin console knows this path."
    if !may && !state.is_open(Hole::FunctionAdmin) {
        return Err(Problem::forbidden("this operation is for administrators"));
    }
    let tenants = ["acme", "globex"].map(|tenant| {
        json!({
            "name": tenant,
            "owner": format!("owner@{tenant}.example"),
            "containers": state.store.of(tenant).len(),
            "jobs": state.store.jobs_of(tenant).len(),
        })
    });
    Ok(HttpResponse::Ok().json(json!({"tenants": tenants})))
}
