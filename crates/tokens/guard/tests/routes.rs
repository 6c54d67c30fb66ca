//! Which requests reach a handler.

mod support;

use std::collections::HashMap;

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{HttpResponse, guard, web};
use cofferdam_guard::token::dpop::ProofPolicy;
use cofferdam_guard::{
    Guard, Principal, TypedClaims, acr, all_of, any_of, authenticated, delete, get, max_age, post,
    resource, role, scope,
};
use serde_json::{Value, json};
use support::{bearer, guard as new_guard, issuer, now, token};

async fn who(principal: Principal) -> String {
    principal.subject().unwrap_or_default().to_owned()
}

async fn reached() -> &'static str {
    "reached"
}

/// An application with a public and several guarded routes, and what follows `build`.
macro_rules! app {
    ($issuer:expr $(, $more:expr)*) => {{
        let app = new_guard(&$issuer)
            .app()
            .service(resource("/health").route(get().to(reached).public()))
            .service(
                resource("/containers")
                    .route(get().to(who).require(scope("containers:read")))
                    .route(post().to(who).require(all_of([
                        scope("containers:read"),
                        scope("containers:write"),
                    ]))),
            )
            .service(
                resource("/containers/{id}")
                    .route(delete().to(who).require(scope("containers:write").or(role("admin")))),
            )
            .service(resource("/me").route(get().to(who).require(authenticated())))
            .service(resource("/none").route(get().to(who).require(any_of([]))))
            .build();
        $(let app = $more(app);)*
        init_service(app).await
    }};
}

#[actix_web::test]
async fn a_route_is_served_to_who_has_what_it_asks() {
    let issuer = issuer();
    let app = app!(issuer);
    for (method, path, scopes, status) in [
        (Method::GET, "/health", None, 200),
        (Method::GET, "/containers", None, 401),
        (Method::GET, "/containers", Some("containers:read"), 200),
        (
            Method::GET,
            "/containers",
            Some("x:containers:read containers:read-only"),
            403,
        ),
        (Method::POST, "/containers", Some("containers:read"), 403),
        (
            Method::POST,
            "/containers",
            Some("containers:write containers:read"),
            200,
        ),
        (
            Method::DELETE,
            "/containers/1",
            Some("containers:write"),
            200,
        ),
        (
            Method::DELETE,
            "/containers/1",
            Some("containers:read"),
            403,
        ),
        (Method::GET, "/me", Some("anything"), 200),
        (
            Method::GET,
            "/none",
            Some("containers:read containers:write"),
            403,
        ),
    ] {
        let mut request = TestRequest::with_uri(path).method(method.clone());
        if let Some(scopes) = scopes {
            request = request.insert_header(bearer(&issuer, scopes));
        }
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(
            response.status().as_u16(),
            status,
            "{method} {path} {scopes:?}"
        );
    }
    let admin = token(&issuer, "nothing")
        .claim("roles", json!(["admin"]))
        .mint(now())
        .unwrap();
    let request = TestRequest::delete()
        .uri("/containers/1")
        .insert_header(("authorization", format!("bearer {admin}")));
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(read_body(response).await, "alice");
}

#[actix_web::test]
async fn refusals_say_what_rfc_6750_and_rfc_9457_want() {
    let issuer = issuer();
    let app = app!(issuer);
    let answer = async |request: TestRequest| {
        let response = call_service(&app, request.to_request()).await;
        let challenges: Vec<String> = response
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "application/problem+json"
        );
        assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
        let status = response.status().as_u16();
        let problem: Value = serde_json::from_slice(&read_body(response).await).unwrap();
        assert_eq!(problem["status"], status);
        (status, challenges.join("; "))
    };
    // No credentials: no error to name (RFC 6750 §3.1).
    let missing = answer(TestRequest::with_uri("/containers")).await;
    assert_eq!(missing, (401, r#"Bearer realm="containers""#.to_owned()));
    let basic = TestRequest::with_uri("/containers").insert_header(("authorization", "Basic eDp5"));
    assert_eq!(
        answer(basic).await,
        (401, r#"Bearer realm="containers""#.to_owned())
    );
    let malformed =
        TestRequest::with_uri("/containers").insert_header(("authorization", "Bearer a b"));
    let (status, challenge) = answer(malformed).await;
    assert_eq!(status, 400);
    assert!(
        challenge.contains(r#"realm="containers", error="invalid_request", "#),
        "{challenge}"
    );
    // What is wrong with the token is not told to who may have forged it.
    let forged =
        TestRequest::with_uri("/containers").insert_header(("authorization", "Bearer a.b.c"));
    assert_eq!(
        answer(forged).await,
        (
            401,
            r#"Bearer realm="containers", error="invalid_token", error_description="the token is not valid here""#
                .to_owned()
        )
    );
    let little = TestRequest::post()
        .uri("/containers")
        .insert_header(bearer(&issuer, "containers:read"));
    let (status, challenge) = answer(little).await;
    assert_eq!(status, 403);
    assert!(
        challenge.contains(r#"error="insufficient_scope""#),
        "{challenge}"
    );
    assert!(
        challenge.ends_with(r#"scope="containers:read containers:write""#),
        "{challenge}"
    );
}

#[actix_web::test]
async fn what_is_added_beside_the_declared_routes_is_not_served() {
    let issuer = issuer();
    let app = app!(
        issuer,
        |app: actix_web::App<_>| app.route("/plain", web::get().to(reached)),
        |app: actix_web::App<_>| app.service(web::resource("/resource").to(reached)),
        |app: actix_web::App<_>| app
            .service(web::scope("/nested").service(web::resource("/inner").to(reached))),
        |app: actix_web::App<_>| app.configure(|config| {
            config.route("/configured", web::get().to(reached));
        }),
        |app: actix_web::App<_>| app.default_service(web::to(HttpResponse::Ok)),
        // The same path once more, for another method and for the declared one.
        |app: actix_web::App<_>| app.route("/containers", web::put().to(reached)),
        |app: actix_web::App<_>| app.route("/containers", web::get().to(reached)),
        |app: actix_web::App<_>| app.service(
            web::resource("/{any:.*}")
                .guard(guard::Any(guard::Get()))
                .to(reached)
        )
    );
    let scopes = "containers:read containers:write";
    for path in [
        "/plain",
        "/resource",
        "/nested/inner",
        "/configured",
        "/else",
        "/containers/",
        "/",
    ] {
        for with_token in [true, false] {
            let mut request = TestRequest::with_uri(path);
            if with_token {
                request = request.insert_header(bearer(&issuer, scopes));
            }
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_ne!(read_body(response).await, "reached", "{path}");
        }
    }
    let put = TestRequest::put()
        .uri("/containers")
        .insert_header(bearer(&issuer, scopes));
    let response = call_service(&app, put.to_request()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers().get("allow").unwrap(), "GET, POST");
    let get = TestRequest::with_uri("/containers").insert_header(bearer(&issuer, scopes));
    assert_eq!(
        read_body(call_service(&app, get.to_request()).await).await,
        "alice"
    );
}

#[actix_web::test]
async fn no_spelling_of_a_path_reaches_a_handler_without_its_requirement() {
    let issuer = issuer();
    let app = app!(issuer);
    for path in [
        "/containers",
        "/container%73",
        "/%63ontainers",
        "//containers",
        "/containers/",
        "/./containers",
        "/x/../containers",
        "/containers?x=1",
        "/containers%3f",
        "/containers%00",
        "/containers;a=b",
        "/CONTAINERS",
        "/containers%2f1",
        "/containers/..%2f..%2fhealth",
        "/health/..%2fcontainers",
        "/health%2f..%2fcontainers",
        "/health/../containers",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let request = TestRequest::with_uri(path).method(method);
            let response = call_service(&app, request.to_request()).await;
            assert!(
                matches!(response.status().as_u16(), 401 | 404 | 405),
                "{path}"
            );
        }
    }
    // The router resolves this one, and so does the gate.
    let request =
        TestRequest::with_uri("/container%73").insert_header(bearer(&issuer, "containers:read"));
    assert_eq!(
        call_service(&app, request.to_request()).await.status(),
        StatusCode::OK
    );
}

#[actix_web::test]
async fn a_public_route_looks_at_no_token() {
    let issuer = issuer();
    let app = new_guard(&issuer)
        .app()
        .service(
            resource("/maybe").route(
                get()
                    .to(async |principal: Option<Principal>| principal.is_some().to_string())
                    .public(),
            ),
        )
        .service(resource("/wrong").route(get().to(who).public()))
        .build();
    let app = init_service(app).await;
    for credentials in ["Bearer garbage", "Basic eDp5"] {
        let request = TestRequest::with_uri("/maybe").insert_header(("authorization", credentials));
        assert_eq!(
            read_body(call_service(&app, request.to_request()).await).await,
            "false"
        );
    }
    // A handler that asks for a principal where there is none answers 401, and not 500.
    let request = TestRequest::with_uri("/wrong").to_request();
    assert_eq!(
        call_service(&app, request).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[actix_web::test]
async fn a_weak_or_old_login_is_told_what_would_do() {
    let issuer = issuer();
    let app = new_guard(&issuer)
        .app()
        .service(resource("/exec").route(post().to(who).require(acr(["gold"]).and(max_age(60)))))
        .build();
    let app = init_service(app).await;
    let ask = async |class: &str, age: u64| {
        let token = token(&issuer, "exec")
            .claim("acr", class)
            .claim("auth_time", now() - age);
        let value = format!("Bearer {}", token.mint(now()).unwrap());
        let request = TestRequest::post()
            .uri("/exec")
            .insert_header(("authorization", value));
        let response = call_service(&app, request.to_request()).await;
        let challenge = response.headers().get("www-authenticate").cloned();
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge.unwrap_or_default())
    };
    assert_eq!(ask("gold", 10).await.0, 200);
    let (status, challenge) = ask("silver", 10).await;
    assert_eq!(status, 401);
    assert!(
        challenge.contains(r#"error="insufficient_user_authentication""#),
        "{challenge}"
    );
    assert!(challenge.ends_with(r#"acr_values="gold""#), "{challenge}");
    let (status, challenge) = ask("gold", 100).await;
    assert_eq!(status, 401);
    assert!(challenge.ends_with(r#"max_age="60""#), "{challenge}");
}

#[actix_web::test]
async fn the_challenge_points_to_the_metadata_of_the_resource() {
    let issuer = issuer();
    let url = "https://containers.test/.well-known/oauth-protected-resource";
    let app = new_guard(&issuer)
        .resource_metadata(url)
        .app()
        .service(resource("/me").route(get().to(who).require(authenticated())))
        .build();
    let app = init_service(app).await;
    let response = call_service(&app, TestRequest::with_uri("/me").to_request()).await;
    let challenge = response
        .headers()
        .get("www-authenticate")
        .unwrap()
        .to_str()
        .unwrap();
    assert_eq!(
        challenge,
        format!(r#"Bearer realm="containers", resource_metadata="{url}""#)
    );
}

#[actix_web::test]
async fn where_a_token_is_optional_who_brings_one_is_known_by_it() {
    async fn greet(caller: Option<Principal>) -> String {
        match caller {
            Some(caller) => format!("welcome {}", caller.subject().unwrap_or_default()),
            None => "welcome stranger".to_owned(),
        }
    }
    let (foreign, issuer) = (issuer(), issuer());
    let app = new_guard(&issuer)
        .app()
        .service(resource("/start").route(get().to(greet).optional()))
        .service(resource("/public").route(get().to(greet).public()))
        .build();
    let app = init_service(app).await;
    let ask = async |path: &str, fields: &[(&'static str, &str)]| {
        let mut request = TestRequest::with_uri(path);
        for (name, value) in fields {
            request = request.append_header((*name, *value));
        }
        let response = call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let challenge = response.headers().get("www-authenticate").cloned();
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        (status, challenge.unwrap_or_default(), body)
    };
    let (_, good) = bearer(&issuer, "anything");
    let (_, bad) = bearer(&foreign, "anything");
    let welcome = |name: &str| (200, String::new(), format!("welcome {name}"));
    assert_eq!(
        ask("/start", &[("authorization", &good)]).await,
        welcome("alice")
    );
    assert_eq!(ask("/start", &[]).await, welcome("stranger"));
    // Of another scheme, so none of ours.
    assert_eq!(
        ask("/start", &[("authorization", "Basic YTpi")]).await,
        welcome("stranger")
    );
    let expired = token(&issuer, "a").lifetime(10).mint(now() - 1000).unwrap();
    let expired = format!("Bearer {expired}");
    for refused in [&bad, &expired, "Bearer x"] {
        let (status, challenge, body) = ask("/start", &[("authorization", refused)]).await;
        assert_eq!(status, 401, "{refused}");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{challenge}"
        );
        assert!(!body.contains("welcome"), "{body}");
    }
    for (path, fields) in [
        ("/start?access_token=x", vec![]),
        ("/start", vec![("authorization", "Bearer")]),
        (
            "/start",
            vec![("authorization", good.as_str()), ("authorization", &good)],
        ),
    ] {
        assert_eq!(ask(path, &fields).await.0, 400, "{path} {fields:?}");
    }
    // What is public does not look.
    for any in [&good, &bad, "Bearer x"] {
        assert_eq!(
            ask("/public", &[("authorization", any)]).await,
            welcome("stranger")
        );
    }
}

#[actix_web::test]
async fn the_metadata_of_the_resource_is_served_to_everybody() {
    let (other, issuer) = (issuer(), issuer());
    let routes = resource("/mcp/containers")
        .route(get().to(who).require(scope("containers:read")))
        .route(post().to(who).require(all_of([
            scope("containers:write"),
            scope("containers:read"),
        ])));
    let strange = Guard::new(support::verifier(&other))
        .dpop("https://api.test", ProofPolicy::default())
        .protected_resource("https://api.test/strange");
    let strange = strange
        .app()
        .service(resource("/strange").route(get().to(who).require(authenticated())));
    let app = new_guard(&issuer)
        .protected_resource("https://api.test/mcp")
        .app()
        .service(routes)
        .merge(strange);
    let app = init_service(app.build()).await;
    let ask = async |path: &str| call_service(&app, TestRequest::with_uri(path).to_request()).await;

    // A client that knows nothing is refused and told where to read on.
    let refused = ask("/mcp/containers").await;
    let challenge = refused.headers().get("www-authenticate").unwrap();
    let challenge = challenge.to_str().unwrap();
    let (_, url) = challenge.split_once("resource_metadata=\"").unwrap();
    let url = url.strip_suffix('"').unwrap();
    assert_eq!(
        url,
        "https://api.test/.well-known/oauth-protected-resource/mcp"
    );
    let answer = ask(url.strip_prefix("https://api.test").unwrap()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers().get("content-type").unwrap(),
        "application/json"
    );
    let document: Value = serde_json::from_slice(&read_body(answer).await).unwrap();
    let expected = json!({
        "resource": "https://api.test/mcp", "authorization_servers": ["https://idp.test"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["containers:read", "containers:write"],
    });
    assert_eq!(document, expected);
    // Each guard has its own, and nothing else lies there.
    let answer = ask("/.well-known/oauth-protected-resource/strange").await;
    let document: Value = serde_json::from_slice(&read_body(answer).await).unwrap();
    assert_eq!(document["resource"], "https://api.test/strange");
    assert!(document.get("scopes_supported").is_none());
    let algorithms = document["dpop_signing_alg_values_supported"]
        .as_array()
        .unwrap();
    assert!(algorithms.contains(&json!("ES256")));
    assert_eq!(
        ask("/.well-known/oauth-protected-resource").await.status(),
        404
    );
}

#[actix_web::test]
async fn each_guard_of_an_application_judges_its_own_resources() {
    let (first, second) = (issuer(), issuer());
    let strange = Guard::new(support::verifier(&second)).realm("strange");
    let protected = |path| resource(path).route(get().to(who).require(authenticated()));
    let other = strange.app().service(protected("/strange"));
    let app = new_guard(&first).app().service(protected("/own"));
    let app = init_service(app.merge(other).build()).await;
    for (path, issuer, status, realm) in [
        ("/own", &first, 200, None),
        ("/own", &second, 401, Some("containers")),
        ("/strange", &first, 401, Some("strange")),
        ("/strange", &second, 200, None),
        ("/neither", &second, 404, None),
    ] {
        let request = TestRequest::get()
            .uri(path)
            .insert_header(bearer(issuer, ""));
        let answer = call_service(&app, request.to_request()).await;
        assert_eq!(answer.status(), status, "{path}");
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE);
        let named = realm.map(|realm| format!("Bearer realm=\"{realm}\""));
        assert_eq!(challenge.is_some(), named.is_some(), "{path}");
        if let (Some(challenge), Some(named)) = (challenge, named) {
            assert!(challenge.to_str().unwrap().starts_with(&named), "{path}");
        }
    }
}

#[test]
#[should_panic(expected = "is declared twice")]
fn one_path_under_two_guards_is_a_mistake_that_shows_at_start() {
    let issuer = issuer();
    let public = || {
        let route = get().to(reached).public();
        new_guard(&issuer)
            .app()
            .service(resource("/x").route(route))
    };
    let _ = public().merge(public());
}

#[test]
#[should_panic(expected = "has two routes")]
fn two_routes_for_one_method_are_a_mistake_that_shows_at_start() {
    let route = || get().to(reached).public();
    let _ = resource("/x").route(route()).route(route());
}

#[test]
fn a_path_that_takes_everything_is_a_mistake_that_shows_at_start() {
    for path in [
        "/{tail:.*}*",
        "/files/{tail}*",
        "/{all:.*}",
        "/{all:.+}",
        "/{a:.*}{b:.*}",
    ] {
        let panic = std::panic::catch_unwind(|| drop(resource(path))).unwrap_err();
        let said = panic.downcast_ref::<String>().unwrap();
        assert!(said.contains("takes whatever comes"), "{path}: {said}");
    }
    // What begins somewhere, or ends, is a place that somebody has looked at.
    for path in ["/files/{path:.*}", "/{a}/{b}/{c}", "/{name:[a-z]+}"] {
        drop(resource(path));
    }
}

#[actix_web::test]
async fn what_a_handler_refuses_is_challenged_as_the_guard_does() {
    async fn tenant(claims: TypedClaims<HashMap<String, u8>>) -> String {
        claims.0.len().to_string()
    }
    let issuer = issuer();
    let app = new_guard(&issuer)
        .dpop("https://containers.test", ProofPolicy::default())
        .protected_resource("https://containers.test")
        .app()
        .service(resource("/public").route(get().to(who).public()))
        .service(resource("/typed").route(get().to(tenant).require(authenticated())));
    let app = init_service(app.build()).await;
    let ask = async |path: &str| {
        let request = TestRequest::with_uri(path).insert_header(bearer(&issuer, "a"));
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        let texts = challenges.map(|value| value.to_str().unwrap().to_owned());
        texts.collect::<Vec<_>>()
    };
    let common = r#"realm="containers", resource_metadata="https://containers.test/.well-known/oauth-protected-resource""#;
    for (path, error) in [
        ("/public", ""),
        (
            "/typed",
            r#", error="invalid_token", error_description="the token is not valid here""#,
        ),
    ] {
        let challenges = ask(path).await;
        assert_eq!(challenges[0], format!("Bearer {common}{error}"));
        let other = format!("DPoP {common}, algs=");
        assert!(challenges[1].starts_with(&other), "{challenges:?}");
    }
}
