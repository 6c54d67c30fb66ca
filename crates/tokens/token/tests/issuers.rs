//! The presets on tokens in the shape that each issuer gives them, and on the tokens of the same
//! issuer that are no access tokens.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::sync::{Arc, LazyLock};

use cofferdam_issuer::SigningKey;
use cofferdam_token::{
    Algorithm, IssuerPolicy, JwkSet, KeyStore, PolicyError, Profile, Rejection, Verified, Verifier,
    danger, preset,
};
use serde_json::{Value, json};

const NOW: u64 = 1_795_505_225;
static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::generate(Algorithm::Rs256)
        .unwrap()
        .with_kid("Zm9v_-1")
});

fn keys() -> Arc<KeyStore> {
    let set = json!({ "keys": [KEY.public_jwk()] });
    JwkSet::parse(set.to_string().as_bytes()).unwrap().into()
}

/// A kind of token, as one issuer makes it.
struct Shape {
    header: Value,
    claims: Value,
    policy: IssuerPolicy,
}

impl Shape {
    fn verify(&self) -> Result<Verified, Rejection> {
        let token = KEY
            .sign(&self.header.to_string(), &self.claims.to_string())
            .unwrap();
        Verifier::new([self.policy.clone()])
            .unwrap()
            .verify(&token, NOW)
    }

    /// With claims changed; `null` takes one out.
    fn with(&self, changes: Value) -> Result<Verified, Rejection> {
        let mut claims = self.claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        Shape {
            claims,
            header: self.header.clone(),
            policy: self.policy.clone(),
        }
        .verify()
    }

    fn refuses(&self, changes: Value, reason: Rejection) {
        assert_eq!(self.with(changes.clone()).unwrap_err(), reason, "{changes}");
    }
}

fn jwt() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": "Zm9v_-1" })
}

#[test]
fn keycloak_access_tokens_pass_and_its_other_tokens_do_not() {
    let shape = Shape {
        header: jwt(),
        claims: json!({
            "exp": NOW + 300, "iat": NOW, "auth_time": NOW - 60,
            "jti": "onrtac:5a2a7e2c-0f2b-4e0e-8a4e-0d1d3c1c7f01",
            "iss": "https://idp.example/realms/main", "aud": ["containers", "account"],
            "sub": "f1c1c5a5-8a52-4c0e-8f5b-0d1b6a2c3d4e", "typ": "Bearer", "azp": "web",
            "sid": "0c3f7f0a", "acr": "1", "allowed-origins": ["https://web.example"],
            "realm_access": { "roles": ["offline_access", "default-roles-main"] },
            "resource_access": { "account": { "roles": ["manage-account"] } },
            "scope": "openid profile containers:read", "email_verified": true,
            "preferred_username": "alice",
        }),
        policy: preset::keycloak("https://idp.example/", "main", keys()).audience("containers"),
    };
    let token = shape.verify().unwrap();
    assert_eq!(token.client_id(), Some("web"));
    assert!(token.scopes().contains("containers:read"));
    assert!(shape.with(json!({ "nonce": "n-0S6_WzA2Mj" })).is_ok());
    shape.refuses(json!({ "typ": "ID" }), Rejection::ClaimMismatch("typ"));
    shape.refuses(json!({ "typ": "Refresh" }), Rejection::ClaimMismatch("typ"));
    shape.refuses(json!({ "typ": null }), Rejection::ClaimMismatch("typ"));
    shape.refuses(json!({ "aud": "account" }), Rejection::AudienceMismatch);
    shape.refuses(json!({ "aud": null }), Rejection::ClaimMissing("aud"));
    shape.refuses(
        json!({ "at_hash": "x" }),
        Rejection::ClaimForbidden("at_hash"),
    );
    let other = json!({ "iss": "https://idp.example/realms/other" });
    shape.refuses(other, Rejection::IssuerUnknown);
}

#[test]
fn entra_tokens_of_both_versions_pass_for_their_tenant_alone() {
    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const OTHER: &str = "11111111-86f1-41af-91ab-2d7cd011db47";
    let v2 = Shape {
        header: json!({ "typ": "JWT", "alg": "RS256", "x5t": "Zm9v_-1", "kid": "Zm9v_-1" }),
        claims: json!({
            "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
            "iat": NOW - 300, "nbf": NOW - 300, "exp": NOW + 3600,
            "aio": "AXQAi/8IAAAAtAaZLo3ChMif6KOn", "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "azpacr": "0", "name": "Abe Lincoln", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474",
            "rh": "0.ARoAv4j5", "scp": "containers.read access_as_user",
            "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": TENANT,
            "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
        }),
        policy: preset::entra_v2(TENANT, keys()).audience("6e74172b-be56-4843-9ff4-e66a39bb12e3"),
    };
    assert!(v2.verify().unwrap().scopes().contains("containers.read"));
    // An app-only token has roles in the place of scopes.
    let app = v2
        .with(json!({ "scp": null, "roles": ["Containers.Read.All"] }))
        .unwrap();
    assert!(
        app.claims()
            .roles()
            .any(|role| role == "Containers.Read.All")
    );
    v2.refuses(json!({ "tid": OTHER }), Rejection::PolicyMismatch);
    v2.refuses(json!({ "ver": "1.0" }), Rejection::ClaimMissing("appid"));
    // An ID token of the same application.
    v2.refuses(
        json!({ "azp": null, "scp": null }),
        Rejection::ClaimMissing("azp"),
    );
    v2.refuses(
        json!({ "nonce": "12345" }),
        Rejection::ClaimForbidden("nonce"),
    );

    let v1 = Shape {
        header: v2.header.clone(),
        claims: json!({
            "aud": "api://containers", "iss": format!("https://sts.windows.net/{TENANT}/"),
            "iat": NOW - 300, "nbf": NOW - 300, "exp": NOW + 3600, "acr": "1",
            "appid": "75dbe77f-10a3-4e59-85fd-8c127544f17c", "appidacr": "0", "amr": ["pwd"],
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "scp": "user_impersonation",
            "sub": "BTTTa7LwMQIdDSV8", "tid": TENANT, "upn": "abe@example.com", "ver": "1.0",
        }),
        policy: preset::entra_v1(TENANT, keys()).audience("api://containers"),
    };
    assert_eq!(
        v1.verify().unwrap().client_id(),
        Some("75dbe77f-10a3-4e59-85fd-8c127544f17c")
    );
    v1.refuses(
        json!({ "iss": format!("https://sts.windows.net/{OTHER}/") }),
        Rejection::IssuerUnknown,
    );
    for no_client in [json!(5), json!(""), json!("a\nb"), json!(["x"])] {
        let caller = json!({ "appid": no_client });
        v1.refuses(caller, Rejection::ClaimMissing("appid"));
    }
}

#[test]
fn auth0_tokens_of_both_dialects_pass() {
    let shape = Shape {
        header: jwt(),
        claims: json!({
            "iss": "https://tenant.eu.auth0.com/", "sub": "auth0|63f8b1c2",
            "aud": ["https://containers.example", "https://tenant.eu.auth0.com/userinfo"],
            "iat": NOW, "exp": NOW + 86_400, "azp": "my_client", "gty": "password",
            "scope": "openid profile containers:read", "permissions": ["containers:read"],
        }),
        policy: preset::auth0("tenant.eu.auth0.com", keys()).audience("https://containers.example"),
    };
    assert!(shape.verify().is_ok());
    let dialect = Shape {
        header: json!({ "alg": "RS256", "typ": "at+jwt", "kid": "Zm9v_-1" }),
        claims: json!({
            "iss": "https://tenant.eu.auth0.com/", "sub": "my_client@clients",
            "aud": "https://containers.example", "iat": NOW, "exp": NOW + 86_400,
            "jti": "C5P2XV9aw8xPs9aW2sbTmB", "client_id": "my_client", "scope": "containers:read",
        }),
        policy: shape.policy.clone(),
    };
    assert!(dialect.verify().is_ok());
    shape.refuses(json!({ "azp": null }), Rejection::ClaimMissing("azp"));
    shape.refuses(
        json!({ "aud": "my_client", "nonce": "x" }),
        Rejection::AudienceMismatch,
    );
}

#[test]
fn okta_access_tokens_pass_and_its_id_tokens_do_not() {
    let shape = Shape {
        header: json!({ "kid": "Zm9v_-1", "alg": "RS256" }),
        claims: json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "iss": "https://dev.okta.com/oauth2/default", "aud": "api://default",
            "sub": "00ujmkLgagxeRrAg20g3", "iat": NOW, "exp": NOW + 3600, "cid": "nmdP1fcyvdVO11AL7ECm",
            "uid": "00ujmkLgagxeRrAg20g3", "scp": ["openid", "containers:read"], "auth_time": NOW,
        }),
        policy: preset::okta("dev.okta.com", "default", keys()).audience("api://default"),
    };
    let token = shape.verify().unwrap();
    assert!(token.scopes().contains("containers:read"));
    assert_eq!(token.client_id(), Some("nmdP1fcyvdVO11AL7ECm"));
    shape.refuses(
        json!({ "jti": "ID.x", "cid": "x" }),
        Rejection::ClaimMismatch("jti"),
    );
    shape.refuses(json!({ "cid": null }), Rejection::ClaimMissing("cid"));
    for no_client in [json!(5), json!(""), json!("a\nb"), json!(["x"])] {
        let caller = json!({ "cid": no_client });
        shape.refuses(caller, Rejection::ClaimMissing("cid"));
    }
}

#[test]
fn a_claim_of_another_issuer_that_is_called_like_a_client_is_none() {
    let shape = Shape {
        header: jwt(),
        claims: json!({
            "iss": "https://idp.example", "aud": "api", "sub": "alice", "exp": NOW + 300,
            "scope": "a", "cid": 4711, "appid": { "id": 5 },
        }),
        policy: IssuerPolicy::new("https://idp.example", keys())
            .audience("api")
            .profile(Profile::JWT),
    };
    assert_eq!(shape.verify().unwrap().client_id(), None);
    let named = shape.with(json!({ "appid": "web" })).unwrap();
    assert_eq!(named.client_id(), Some("web"));
    shape.refuses(
        json!({ "scope": null }),
        Rejection::ClaimMissing("client_id"),
    );
}

#[test]
fn cognito_access_tokens_pass_for_the_configured_clients_alone() {
    let shape = Shape {
        header: json!({ "kid": "Zm9v_-1", "alg": "RS256" }),
        claims: json!({
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["admin"],
            "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_example", "version": 2,
            "client_id": "3mobpq60fk8lqmhjeqn8q1r9qd", "origin_jti": "aaaa", "event_id": "bbbb",
            "token_use": "access", "scope": "containers/read", "auth_time": NOW, "exp": NOW + 3600,
            "iat": NOW, "jti": "cccc", "username": "my-test-user",
        }),
        policy: preset::cognito("us-east-1", "us-east-1_example", keys())
            .audience("3mobpq60fk8lqmhjeqn8q1r9qd"),
    };
    assert!(shape.verify().is_ok());
    shape.refuses(
        json!({ "token_use": "id" }),
        Rejection::ClaimMismatch("token_use"),
    );
    shape.refuses(
        json!({ "token_use": null }),
        Rejection::ClaimMismatch("token_use"),
    );
    shape.refuses(
        json!({ "client_id": "other" }),
        Rejection::ClaimMismatch("client_id"),
    );
    shape.refuses(
        json!({ "client_id": null }),
        Rejection::ClaimMismatch("client_id"),
    );
    // With a resource binding the token says for whom it is.
    shape.refuses(
        json!({ "aud": "https://other.example" }),
        Rejection::AudienceMismatch,
    );
}

#[test]
fn google_service_tokens_pass_and_those_of_a_login_do_not() {
    let shape = Shape {
        header: jwt(),
        claims: json!({
            "iss": "https://accounts.google.com", "aud": "https://containers.example",
            "azp": "112233445566778899000", "email": "ci@project.iam.gserviceaccount.com",
            "email_verified": true, "exp": NOW + 3600, "iat": NOW, "sub": "112233445566778899000",
        }),
        policy: preset::google(keys())
            .audience("https://containers.example")
            .claim("email", ["ci@project.iam.gserviceaccount.com"]),
    };
    assert!(shape.verify().is_ok());
    shape.refuses(
        json!({ "email": "eve@gmail.com" }),
        Rejection::PolicyMismatch,
    );
    shape.refuses(
        json!({ "at_hash": "x" }),
        Rejection::ClaimForbidden("at_hash"),
    );
    shape.refuses(
        json!({ "iss": "accounts.google.com" }),
        Rejection::IssuerUnknown,
    );
}

#[test]
fn github_actions_tokens_pass_for_the_named_repository_and_an_audience_of_our_own() {
    let shape = Shape {
        header: json!({ "typ": "JWT", "alg": "RS256", "x5t": "example", "kid": "Zm9v_-1" }),
        claims: json!({
            "jti": "example-id", "sub": "repo:octo-org/octo-repo:environment:prod",
            "environment": "prod", "aud": "https://containers.example", "ref": "refs/heads/main",
            "sha": "example-sha", "repository": "octo-org/octo-repo", "repository_owner": "octo-org",
            "actor_id": "12", "repository_visibility": "private", "repository_id": "74",
            "repository_owner_id": "65", "run_id": "example-run-id", "run_number": "10",
            "run_attempt": "2", "runner_environment": "github-hosted", "actor": "octocat",
            "workflow": "example-workflow", "head_ref": "", "base_ref": "",
            "event_name": "workflow_dispatch", "ref_type": "branch",
            "workflow_ref": "octo-org/octo-repo/.github/workflows/example.yml@refs/heads/main",
            "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
            "iss": "https://token.actions.githubusercontent.com",
            "nbf": NOW - 60, "exp": NOW + 300, "iat": NOW,
        }),
        policy: preset::github_actions(["74"], keys()).audience("https://containers.example"),
    };
    assert!(shape.verify().is_ok());
    let policy = Rejection::PolicyMismatch;
    shape.refuses(json!({ "repository_id": "75" }), policy);
    // A number is not the string that the policy asks for.
    shape.refuses(json!({ "repository_id": 74 }), policy);
    shape.refuses(
        json!({ "workflow_ref": null }),
        Rejection::ClaimMissing("workflow_ref"),
    );
    let default = preset::github_actions(["74"], keys()).audience("https://github.com/octo-org");
    assert_eq!(
        Verifier::new([default]).unwrap_err(),
        PolicyError::DefaultAudience("https://github.com/octo-org".to_owned())
    );
}

#[test]
fn gitlab_ci_tokens_pass_for_the_named_project() {
    let shape = Shape {
        header: json!({ "kid": "Zm9v_-1", "typ": "JWT", "alg": "RS256" }),
        claims: json!({
            "namespace_id": "72", "namespace_path": "my-group", "project_id": "20",
            "project_path": "my-group/my-project", "user_id": "1", "user_login": "sample-user",
            "user_email": "sample-user@example.com", "user_identities": [{ "provider": "github", "extern_uid": "2" }],
            "pipeline_id": "574", "pipeline_source": "push", "job_id": "302", "ref": "main",
            "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
            "environment": "prod", "environment_protected": "false", "runner_id": 1,
            "runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
            "project_visibility": "public", "ci_config_ref_uri": "gitlab.example/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
            "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b", "iat": NOW, "nbf": NOW - 5, "exp": NOW + 3600,
            "iss": "https://gitlab.example", "aud": "https://containers.example",
            "sub": "project_path:my-group/my-project:ref_type:branch:ref:main",
        }),
        policy: preset::gitlab_ci("https://gitlab.example/", ["20"], keys())
            .audience("https://containers.example"),
    };
    assert!(shape.verify().is_ok());
    shape.refuses(json!({ "project_id": "21" }), Rejection::PolicyMismatch);
    shape.refuses(json!({ "job_id": null }), Rejection::ClaimMissing("job_id"));
}

#[test]
fn kubernetes_bound_tokens_pass_and_legacy_ones_do_not() {
    let shape = Shape {
        header: json!({ "alg": "RS256", "kid": "Zm9v_-1" }),
        claims: json!({
            "aud": ["containers"], "exp": NOW + 3607, "iat": NOW, "nbf": NOW,
            "iss": "https://kubernetes.default.svc.cluster.local",
            "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
            "kubernetes.io": {
                "namespace": "prod", "node": { "name": "node-1", "uid": "58456cb0" },
                "pod": { "name": "web-0", "uid": "5e0bd49b" },
                "serviceaccount": { "name": "web", "uid": "14ee3fa4" }, "warnafter": NOW + 3607,
            },
            "sub": "system:serviceaccount:prod:web",
        }),
        policy: preset::kubernetes("https://kubernetes.default.svc.cluster.local", keys())
            .audience("containers"),
    };
    assert!(shape.verify().is_ok());
    let legacy = json!({ "iss": "kubernetes/serviceaccount", "exp": null, "aud": null });
    shape.refuses(legacy, Rejection::IssuerUnknown);
    shape.refuses(json!({ "exp": null }), Rejection::ClaimMissing("exp"));
    shape.refuses(
        json!({ "sub": "system:node:node-1" }),
        Rejection::ClaimMismatch("sub"),
    );
    let other = json!({ "sub": "system:serviceaccount:kube-system:web" });
    shape.refuses(other, Rejection::ClaimMismatch("kubernetes.io"));
    shape.refuses(
        json!({ "kubernetes.io": null }),
        Rejection::ClaimMissing("kubernetes.io"),
    );
}

#[test]
fn an_audience_that_everybody_gets_is_none() {
    let cluster = "https://oidc.example/id/c-1";
    let policies = || {
        [
            preset::kubernetes(cluster, keys()),
            preset::keycloak("https://idp.example", "main", keys()),
            preset::entra_v1("t-1", keys()),
            preset::entra_v2("t-1", keys()),
            preset::github_actions(["74"], keys()),
        ]
    };
    let defaults = [
        &[
            cluster,
            "https://kubernetes.default.svc",
            "https://kubernetes.default.svc.cluster.local",
        ][..],
        &["account"],
        &[
            "https://graph.microsoft.com",
            "https://graph.microsoft.com/",
        ],
        &["00000003-0000-0000-c000-000000000000"],
        &["https://github.com/octo-org"],
    ];
    for (policy, defaults) in policies().into_iter().zip(defaults) {
        for audience in defaults {
            // Beside one of our own it is no better.
            let policy = policy.clone().audience("api").audience(*audience);
            assert_eq!(
                Verifier::new([policy]).unwrap_err(),
                PolicyError::DefaultAudience((*audience).to_owned())
            );
        }
    }
    for policy in policies() {
        assert!(Verifier::new([policy.audience("https://api.example")]).is_ok());
    }
}

#[test]
fn spiffe_svids_pass_with_a_bare_header_alone() {
    let shape = Shape {
        header: jwt(),
        claims: json!({
            "iss": "https://spire.example", "sub": "spiffe://prod.example/ns/web/sa/default",
            "aud": ["spiffe://prod.example/containers"], "iat": NOW, "exp": NOW + 300,
        }),
        policy: preset::spiffe_issuer("https://spire.example", "prod.example", keys())
            .audience("spiffe://prod.example/containers"),
    };
    assert!(shape.verify().is_ok());
    shape.refuses(json!({ "sub": "alice" }), Rejection::ClaimMismatch("sub"));
    let other = json!({ "sub": "spiffe://prod.example.evil/ns/web" });
    shape.refuses(other, Rejection::ClaimMismatch("sub"));
    shape.refuses(
        json!({ "iss": "https://evil.example" }),
        Rejection::IssuerUnknown,
    );
    let mut header = jwt();
    header["foo"] = json!(1);
    let wide = Shape {
        header,
        claims: shape.claims.clone(),
        policy: shape.policy.clone(),
    };
    assert_eq!(wide.verify().unwrap_err(), Rejection::HeaderNotBare);
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "Zm9v_-1" });
    let other = Shape {
        header,
        claims: shape.claims.clone(),
        policy: shape.policy.clone(),
    };
    assert_eq!(other.verify().unwrap_err(), Rejection::TypeNotAllowed);
    // Most servers set no `iss`: then the trust domain of the subject chooses the keys.
    let domain =
        preset::spiffe("prod.example", keys()).audience("spiffe://prod.example/containers");
    let shape = Shape {
        policy: domain,
        ..shape
    };
    assert_eq!(
        shape.with(json!({ "iss": null })).unwrap().issuer(),
        "spiffe://prod.example"
    );
    let other = json!({ "iss": null, "sub": "spiffe://other.example/ns/web" });
    shape.refuses(other, Rejection::ClaimMissing("iss"));
}

#[test]
fn the_spiffe_profile_without_its_preset_is_bound_to_the_trust_domain_of_the_issuer() {
    let policy = |issuer: &str| {
        IssuerPolicy::new(issuer, keys())
            .audience("api")
            .profile(Profile::SPIFFE)
    };
    let shape = Shape {
        header: jwt(),
        claims: json!({ "sub": "spiffe://prod.example/ns/web", "aud": ["api"], "exp": NOW + 300 }),
        policy: policy("spiffe://prod.example"),
    };
    assert!(shape.verify().is_ok());
    let named = json!({ "iss": "spiffe://prod.example" });
    assert!(shape.with(named).is_ok());
    shape.refuses(
        json!({ "iss": "spiffe://prod.example", "sub": "spiffe://other.example/ns/web" }),
        Rejection::ClaimMismatch("sub"),
    );
    for issuer in [
        "https://spire.example",
        "spiffe://",
        "spiffe://prod.example/",
        "spiffe://Prod.example",
    ] {
        assert_eq!(
            Verifier::new([policy(issuer)]).unwrap_err(),
            PolicyError::TrustDomain(issuer.to_owned())
        );
    }
    let no_domain = preset::spiffe_issuer("https://spire.example", "", keys()).audience("api");
    assert!(Verifier::new([no_domain]).is_err());
}

#[test]
fn the_issuer_to_ask_for_keys_is_known_of_a_svid_without_one() {
    let verifier = Verifier::new([
        preset::spiffe("prod.example", keys()).audience("api"),
        IssuerPolicy::new("https://idp.example", keys()).audience("api"),
    ])
    .unwrap();
    let issuer_of = |claims: Value| {
        let token = KEY.sign(&jwt().to_string(), &claims.to_string()).unwrap();
        verifier.issuer_of(&token).map(str::to_owned)
    };
    let domain = Some("spiffe://prod.example".to_owned());
    assert_eq!(
        issuer_of(json!({ "sub": "spiffe://prod.example/web" })),
        domain
    );
    let named = issuer_of(json!({ "iss": "https://idp.example", "sub": "alice" }));
    assert_eq!(named.as_deref(), Some("https://idp.example"));
    for nobodys in [
        json!({ "sub": "spiffe://other.example/web" }),
        json!({ "iss": "https://evil.example", "sub": "spiffe://prod.example/web" }),
        json!({ "sub": "alice" }),
        json!({ "iss": 5 }),
    ] {
        assert_eq!(issuer_of(nobodys), None);
    }
    assert_eq!(verifier.issuer_of("opaque"), None);
}

#[test]
fn a_jwt_svid_is_never_signed_by_eddsa_or_hmac() {
    let policy = || {
        IssuerPolicy::new("spiffe://prod.example", keys())
            .audience("api")
            .profile(Profile::SPIFFE)
    };
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let header = json!({ "alg": "EdDSA", "typ": "JWT" });
    let claims = json!({ "sub": "spiffe://prod.example/ns/web", "aud": ["api"], "exp": NOW + 300 });
    let token = key.sign(&header.to_string(), &claims.to_string()).unwrap();
    let both = [Algorithm::EdDsa, Algorithm::Rs256];
    for policy in [policy(), policy().algorithms(both)] {
        assert_eq!(
            Verifier::new([policy])
                .unwrap()
                .verify(&token, NOW)
                .unwrap_err(),
            Rejection::AlgorithmNotAllowed
        );
    }
    for alone in [Algorithm::EdDsa, Algorithm::Hs256] {
        let policy = danger::allow_hmac(policy().algorithms([alone]));
        assert_eq!(
            Verifier::new([policy]).unwrap_err(),
            PolicyError::NoAlgorithm("spiffe://prod.example".to_owned())
        );
    }
}

#[test]
fn a_token_of_one_profile_is_none_of_the_strict_one() {
    let keys = keys();
    let policy = IssuerPolicy::new("https://idp.example", keys).audience("api");
    let claims = json!({
        "iss": "https://idp.example", "aud": "api", "sub": "alice", "exp": NOW + 300,
        "iat": NOW, "jti": "1", "client_id": "c",
    });
    for typ in [
        "JWT",
        "dpop+jwt",
        "logout+jwt",
        "token-introspection+jwt",
        "secevent+jwt",
        "",
    ] {
        let header = json!({ "alg": "RS256", "typ": typ, "kid": "Zm9v_-1" });
        let shape = Shape {
            header,
            claims: claims.clone(),
            policy: policy.clone(),
        };
        assert_eq!(
            shape.verify().unwrap_err(),
            Rejection::TypeNotAllowed,
            "{typ}"
        );
    }
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "Zm9v_-1" });
    let shape = Shape {
        header,
        claims,
        policy: policy.profile(Profile::RFC9068),
    };
    assert!(shape.verify().is_ok());
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        let reason = shape.with(json!({ name: null })).unwrap_err();
        assert_eq!(reason.id(), "claim-missing", "{name}");
    }
}
