//! The metadata of a protected resource (RFC 9728): where a client that was refused finds out which
//! issuers it may ask for a token.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::guard::Inner;
use crate::origin;
use crate::route::{Access, Resource, get, resource};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The URL of the metadata of a protected resource (RFC 9728 §3.1), which
/// [`Guard::protected_resource`](crate::Guard::protected_resource) serves; nothing where that would
/// panic: for who has the URL of the resource from a configuration.
#[must_use]
pub fn metadata_url(resource: &str) -> Option<String> {
    Metadata::parse(resource).map(|metadata| metadata.url)
}

/// What a resource is called, and where its metadata is.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// The resource identifier, as it was given.
    resource: String,
    /// The path of the document.
    path: String,
    /// The whole URL of the document.
    pub(crate) url: String,
}

impl Metadata {
    /// RFC 9728 §3.1: the well-known part comes between the host and the path of the identifier,
    /// which loses a slash that stands alone.
    #[track_caller]
    pub(crate) fn of(resource: &str) -> Metadata {
        let metadata = Metadata::parse(resource);
        #[expect(clippy::panic, reason = "a mistake in the program that shows at start")]
        let Some(metadata) = metadata else {
            panic!(
                "`{resource}` is no https URL without query and fragment: name the resource by one"
            );
        };
        metadata
    }

    fn parse(resource: &str) -> Option<Metadata> {
        let (origin, path) = origin::and_path(resource)?;
        let path = format!("{WELL_KNOWN}{}", path.trim_end_matches('/'));
        Some(Metadata {
            resource: resource.to_owned(),
            url: format!("{origin}{path}"),
            path,
        })
    }

    /// The declared resource that serves the document to everybody.
    pub(crate) fn document(&self, inner: &Inner, declared: &[&Resource]) -> Resource {
        let text = self.describe(inner, declared).to_string();
        let answer = move || {
            let text = text.clone();
            async move {
                HttpResponse::Ok()
                    .insert_header((CONTENT_TYPE, "application/json"))
                    .body(text)
            }
        };
        resource(&self.path).route(get().to(answer).public())
    }

    fn describe(&self, inner: &Inner, declared: &[&Resource]) -> Value {
        let routes = declared.iter().flat_map(|resource| &resource.routes);
        let mut scopes: Vec<&str> = routes
            .flat_map(|route| match &route.access {
                Access::Require(requirement) => requirement.scopes(),
                Access::Optional | Access::Public => Vec::new(),
            })
            .collect();
        scopes.sort_unstable();
        scopes.dedup();
        // Others are no authorization servers that a client could ask (RFC 8414 §2): the trust domain
        // of SPIFFE, for one.
        let issuers = inner.verifier.issuers().map(|policy| policy.issuer());
        let issuers: Vec<&str> = issuers
            .filter(|issuer| origin::and_path(issuer).is_some())
            .collect();
        let mut document = json!({
            "resource": self.resource,
            "bearer_methods_supported": ["header"],
        });
        if !issuers.is_empty() {
            document["authorization_servers"] = json!(issuers);
        }
        if !scopes.is_empty() {
            document["scopes_supported"] = json!(scopes);
        }
        if let Some(dpop) = &inner.dpop {
            let algorithms = dpop.policy.accepted_algorithms();
            let names: Vec<_> = algorithms.iter().map(|each| each.name()).collect();
            document["dpop_signing_alg_values_supported"] = json!(names);
        }
        document
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use cofferdam_token::{IssuerPolicy, JwkSet, Profile, Verifier};
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    #[test]
    fn an_issuer_that_no_client_can_ask_is_not_named() {
        let issuers = |names: &[&str]| {
            let policies = names.iter().map(|name| {
                let profile = match name.starts_with("spiffe") {
                    true => Profile::SPIFFE,
                    false => Profile::RFC9068,
                };
                let policy = IssuerPolicy::new(*name, JwkSet::default());
                policy.audience("api").profile(profile)
            });
            let guard = crate::Guard::new(Verifier::new(policies).unwrap());
            Metadata::of("https://api.example").describe(guard.inner(), &[])["authorization_servers"]
                .clone()
        };
        let all = [
            "https://idp.example/realms/main",
            "spiffe://prod.example",
            "http://127.0.0.1:8080",
            "http://idp.example",
            "kubernetes/serviceaccount",
        ];
        assert_eq!(issuers(&all), json!([all[0], all[2]]));
        assert!(issuers(&["spiffe://prod.example"]).is_null());
    }

    #[test]
    fn the_document_stands_where_rfc_9728_puts_it() {
        for (resource, url) in [
            (
                "https://api.example",
                "https://api.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example/",
                "https://api.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example/a/b",
                "https://api.example/.well-known/oauth-protected-resource/a/b",
            ),
            (
                "http://127.0.0.1:8080/mcp",
                "http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp",
            ),
        ] {
            let metadata = Metadata::of(resource);
            assert_eq!(metadata.url, url);
            assert!(metadata.url.ends_with(metadata.path()));
        }
    }

    proptest! {
        /// Whoever asks before may rely on the answer: nothing panics then.
        #[test]
        fn an_application_starts_with_every_resource_that_has_a_metadata_url(
            url in "(https?://)?[a-z@\\[\\]:{}*#?%.0-9]{0,12}(/[a-z{}*#?%.:@/]{0,8})?",
        ) {
            if let Some(metadata) = metadata_url(&url) {
                let policy = IssuerPolicy::new("https://i.example", JwkSet::default());
                let verifier = Verifier::new([policy.audience("api")]).unwrap();
                let guard = crate::Guard::new(verifier).protected_resource(&url);
                let _ = guard.app().build();
                prop_assert!(metadata.contains(WELL_KNOWN));
            }
        }
    }
}
