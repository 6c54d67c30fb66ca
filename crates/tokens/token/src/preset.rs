//! One line per issuer: its name, its profile, and where its keys are.
//!
//! Each takes what tells one tenant from another, and gives an [`IssuerPolicy`] that still wants an
//! audience. Where the keys are is found by discovery (feature `fetch`) or said by the operator.

use std::sync::Arc;

use crate::key::KeyStore;
use crate::policy::IssuerPolicy;
use crate::{Algorithm, Profile};

const RSA: [Algorithm; 1] = [Algorithm::Rs256];

/// Keycloak: `server` is the base URL (with `/auth` where the server has it), for example
/// `https://idp.example`.
pub fn keycloak(server: &str, realm: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    let issuer = format!("{}/realms/{realm}", server.trim_end_matches('/'));
    IssuerPolicy::new(issuer, keys).profile(Profile::KEYCLOAK)
}

/// Microsoft Entra, tokens of version 2 (`accessTokenAcceptedVersion: 2`). The audience is the
/// application's client id. `tenant` is its GUID: a token of any other tenant is refused.
pub fn entra_v2(tenant: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    entra(
        format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        tenant,
        "2.0",
        keys,
    )
}

/// Microsoft Entra, tokens of version 1. The audience is the application id URI.
pub fn entra_v1(tenant: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    entra(
        format!("https://sts.windows.net/{tenant}/"),
        tenant,
        "1.0",
        keys,
    )
}

fn entra(
    issuer: String,
    tenant: &str,
    version: &str,
    keys: impl Into<Arc<KeyStore>>,
) -> IssuerPolicy {
    IssuerPolicy::new(issuer, keys)
        .profile(Profile::ENTRA)
        .algorithms(RSA)
        .claim("tid", [tenant])
        .claim("ver", [version])
}

/// Auth0: `domain` is the tenant's or a custom one, for example `tenant.eu.auth0.com`.
pub fn auth0(domain: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    IssuerPolicy::new(format!("https://{domain}/"), keys).profile(Profile::AUTH0)
}

/// Okta, a custom authorization server: `server` is its id, for example `default`. Tokens of the
/// organization's own server are for Okta alone and cannot be verified by others.
pub fn okta(domain: &str, server: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    IssuerPolicy::new(format!("https://{domain}/oauth2/{server}"), keys)
        .profile(Profile::OKTA)
        .algorithms(RSA)
}

/// Amazon Cognito: the "audience" is the client id of the app client, or several of them.
pub fn cognito(region: &str, pool: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    IssuerPolicy::new(
        format!("https://cognito-idp.{region}.amazonaws.com/{pool}"),
        keys,
    )
    .profile(Profile::COGNITO)
    .algorithms(RSA)
}

/// Google-signed ID tokens between services. The audience is this service's URL. Anybody with a
/// Google account can get one, so ask for the caller as well: `.claim("email", ["…"])`, together
/// with [`crate::requirement`]s.
pub fn google(keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    IssuerPolicy::new("https://accounts.google.com", keys)
        .profile(Profile::GOOGLE)
        .algorithms(RSA)
}

/// GitHub Actions. Anybody can run a workflow, so `repository_ids` names the repositories that may
/// call; ids are never given to somebody else, names are. Ask for an environment or a workflow with
/// [`IssuerPolicy::claim`].
pub fn github_actions<V: Into<String>>(
    repository_ids: impl IntoIterator<Item = V>,
    keys: impl Into<Arc<KeyStore>>,
) -> IssuerPolicy {
    IssuerPolicy::new("https://token.actions.githubusercontent.com", keys)
        .profile(Profile::GITHUB_ACTIONS)
        .algorithms(RSA)
        .claim("repository_id", repository_ids)
}

/// GitLab CI: `server` is the instance, for example `https://gitlab.com`. `project_ids` names the
/// projects that may call.
pub fn gitlab_ci<V: Into<String>>(
    server: &str,
    project_ids: impl IntoIterator<Item = V>,
    keys: impl Into<Arc<KeyStore>>,
) -> IssuerPolicy {
    IssuerPolicy::new(server.trim_end_matches('/'), keys)
        .profile(Profile::GITLAB_CI)
        .algorithms(RSA)
        .claim("project_id", project_ids)
}

/// Kubernetes: `issuer` is the API server's `--service-account-issuer`. A token whose pod was
/// deleted is still accepted until it expires; only the API server's TokenReview knows.
pub fn kubernetes(issuer: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    IssuerPolicy::new(issuer, keys).profile(Profile::KUBERNETES)
}

/// SPIFFE JWT-SVIDs of one trust domain, for example `prod.example`. They need no `iss`; where
/// there is one it must be `spiffe://` and the trust domain, unless [`spiffe_issuer`] names another.
/// EdDSA is not among the algorithms of the standard (JWT-SVID §2.1).
pub fn spiffe(trust_domain: &str, keys: impl Into<Arc<KeyStore>>) -> IssuerPolicy {
    spiffe_issuer(&format!("spiffe://{trust_domain}"), trust_domain, keys)
}

/// The same, where the server sets `iss` (SPIRE: `jwt_issuer`).
pub fn spiffe_issuer(
    issuer: &str,
    trust_domain: &str,
    keys: impl Into<Arc<KeyStore>>,
) -> IssuerPolicy {
    IssuerPolicy::new(issuer, keys)
        .profile(Profile::SPIFFE)
        .trust_domain(trust_domain)
}
