//! What the routes ask, written into an OpenAPI document (feature `utoipa`).

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, PathItem, RefOr, SecurityRequirement};

use actix_web::http::Method;

use crate::app::GuardedApp;
use crate::route::Access;

/// The name of the security scheme in the document.
const SCHEME: &str = "bearer";

impl GuardedApp {
    /// Writes into each operation of `document` that is declared here what its route asks:
    /// `security` with the scopes, one entry for each set that is enough, no entry for public
    /// routes, and an empty one besides for those where a token is optional. Operations that the
    /// document does not have are left alone. What a pattern of actix-web says of a segment
    /// (`{id:\d+}`) does not stand in a document, so `/x/{id:\d+}` is `/x/{id}` there.
    pub fn describe(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_with(Components::new);
        let scheme = RefOr::T(SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components
            .security_schemes
            .insert(SCHEME.to_owned(), scheme);
        for resource in self.resources() {
            let Some(item) = document.paths.paths.get_mut(&template(&resource.path)) else {
                continue;
            };
            for route in &resource.routes {
                if let Some(operation) = operation(item, &route.method) {
                    operation.security = Some(security(&route.access));
                }
            }
        }
    }
}

/// The path with its segments' names alone. A pattern may have braces of its own: `{id:[a-f]{32}}`.
fn template(path: &str) -> String {
    let mut template = String::new();
    let mut depth = 0_usize;
    let mut in_pattern = false;
    for letter in path.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 1 => in_pattern = true,
            _ => {}
        }
        in_pattern &= depth > 0;
        if !in_pattern {
            template.push(letter);
        }
    }
    template
}

fn security(access: &Access) -> Vec<SecurityRequirement> {
    match access {
        Access::Public => Vec::new(),
        Access::Optional => vec![
            SecurityRequirement::default(),
            SecurityRequirement::new(SCHEME, [""; 0]),
        ],
        Access::Require(requirement) => {
            let mut sets = requirement.scope_sets();
            // No set means that nothing is enough; the closest that a document can say is a token.
            if sets.is_empty() {
                sets.push(Vec::new());
            }
            sets.into_iter()
                .map(|scopes| SecurityRequirement::new(SCHEME, scopes))
                .collect()
        }
    }
}

fn operation<'i>(item: &'i mut PathItem, method: &Method) -> Option<&'i mut Operation> {
    match *method {
        Method::GET => item.get.as_mut(),
        Method::HEAD => item.head.as_mut(),
        Method::POST => item.post.as_mut(),
        Method::PUT => item.put.as_mut(),
        Method::PATCH => item.patch.as_mut(),
        Method::DELETE => item.delete.as_mut(),
        Method::OPTIONS => item.options.as_mut(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_token::requirement::{all_of, any_of, scope};
    use serde_json::json;

    use crate::{get, post, resource};

    #[test]
    fn a_path_is_found_without_what_it_says_of_its_segments() {
        for (path, template) in [
            ("/x", "/x"),
            ("/x/{id}", "/x/{id}"),
            (r"/x/{id:\d+}/y:z/{name}", "/x/{id}/y:z/{name}"),
            ("/x/{id:[a-f0-9]{32}}/{b:.{2}.{3}}", "/x/{id}/{b}"),
        ] {
            assert_eq!(super::template(path), template);
        }
    }

    #[test]
    fn the_document_says_what_the_routes_ask() {
        let issuer = cofferdam_issuer::Issuer::new(
            "https://idp.test",
            cofferdam_issuer::SigningKey::generate(cofferdam_token::Algorithm::EdDsa).unwrap(),
        );
        let policy = cofferdam_token::IssuerPolicy::new(issuer.url(), issuer.key_set());
        let verifier = cofferdam_token::Verifier::new([policy.audience("api")]).unwrap();
        let handler = async || "";
        let app = crate::Guard::new(verifier)
            .app()
            .service(resource("/health").route(get().to(handler).public()))
            .service(resource("/start").route(get().to(handler).optional()))
            .service(
                resource("/containers/{id:[a-f0-9]{4,64}}")
                    .route(
                        get()
                            .to(handler)
                            .require(any_of([scope("read"), scope("admin")])),
                    )
                    .route(
                        post()
                            .to(handler)
                            .require(all_of([scope("read"), scope("write")])),
                    ),
            );
        let mut document: utoipa::openapi::OpenApi = serde_json::from_value(json!({
            "openapi": "3.1.0", "info": { "title": "t", "version": "1" },
            "paths": {
                "/health": { "get": { "responses": {} } },
                "/start": { "get": { "responses": {} } },
                "/containers/{id}": { "get": { "responses": {} }, "post": { "responses": {} } },
                "/other": { "get": { "responses": {} } },
            },
        }))
        .unwrap();
        app.describe(&mut document);
        let document = serde_json::to_value(document).unwrap();
        let paths = &document["paths"];
        assert_eq!(paths["/health"]["get"]["security"], json!([]));
        let optional = json!([{}, { "bearer": [] }]);
        assert_eq!(paths["/start"]["get"]["security"], optional);
        let containers = &paths["/containers/{id}"];
        let either = json!([{ "bearer": ["read"] }, { "bearer": ["admin"] }]);
        assert_eq!(containers["get"]["security"], either);
        assert_eq!(
            containers["post"]["security"],
            json!([{ "bearer": ["read", "write"] }])
        );
        assert!(paths["/other"]["get"].get("security").is_none());
        let scheme = &document["components"]["securitySchemes"]["bearer"];
        assert_eq!(*scheme, json!({ "type": "http", "scheme": "bearer" }));
    }
}
