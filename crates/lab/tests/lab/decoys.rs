//! What looks like a hole and is none.

use crate::client::{alice, bob, callback, get, hardened, post};
use cofferdam_lab::manifest;
use serde_json::json;

#[test]
fn every_decoy_behaves_as_the_manifest_says() {
    let lab = hardened();
    for decoy in &manifest().decoys {
        let exercise = match decoy.id.as_str() {
            "public-health" => public_health,
            "documented-account-file" | "documented-token" => documentation,
            "fail-in-200" => fail_in_200,
            "article-table" => article_table,
            "explained-command" => explained_command,
            "unopened-link" => unopened_link,
            "shared-catalogue" => shared_catalogue,
            "idle-stop" => idle_stop,
            "free-form-labels" => free_form_labels,
            "confined-run" => confined_run,
            other => panic!("the decoy `{other}` is not exercised"),
        };
        exercise(&lab);
    }
}

type Lab = cofferdam_lab::Lab;

fn public_health(lab: &Lab) {
    let first = get(lab, "/healthz", "").body;
    assert!(first.contains("\"version\""));
    for token in ["garbage", alice(lab)] {
        assert_eq!(get(lab, "/healthz", token).body, first);
    }
}

fn documentation(lab: &Lab) {
    let docs = get(lab, "/docs", "").body;
    assert!(docs.contains("root:x:0:0:") && docs.contains("eyJ0eXAi"));
    assert_eq!(get(lab, "/docs?file=../../etc/passwd", "").body, docs);
}

fn fail_in_200(lab: &Lab) {
    for token in ["", "garbage"] {
        let answer = get(lab, "/v1/account", token);
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (200, &json!("fail"))
        );
        assert!(answer.json()["account"].is_null());
    }
    assert_eq!(
        get(lab, "/v1/account", alice(lab)).json()["account"]["tenant"],
        "acme"
    );
}

fn article_table(lab: &Lab) {
    let index = get(lab, "/v1/help", alice(lab)).body;
    for file in [
        "../../../etc/passwd",
        "/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%00",
    ] {
        let answer = get(lab, &format!("/v1/help?file={file}"), alice(lab));
        assert_eq!((answer.status, &answer.body), (200, &index), "{file}");
    }
    assert_ne!(get(lab, "/v1/help?file=jobs.md", alice(lab)).body, index);
}

fn explained_command(lab: &Lab) {
    let answer = post(
        lab,
        "/v1/help/explain",
        alice(lab),
        json!({"command": "echo $((6*7))"}),
    );
    assert!(answer.body.contains("echo $((6*7))") && answer.body.contains("uid=1000(app)"));
    assert!(!answer.body.contains("42"));
}

fn unopened_link(lab: &Lab) {
    let (url, asked) = callback();
    let answer = post(lab, "/v1/links/preview", alice(lab), json!({"url": url}));
    assert_eq!(answer.json()["url"], *url);
    assert!(asked.try_recv().is_err());
}

fn shared_catalogue(lab: &Lab) {
    let path = "/v1/catalogue/cat-nginx";
    let answer = get(lab, path, alice(lab));
    assert_eq!(
        (answer.status, &answer.body),
        (200, &get(lab, path, bob(lab)).body)
    );
    assert_eq!(get(lab, path, "garbage").status, 401);
}

fn idle_stop(lab: &Lab) {
    let state = |lab: &Lab| get(lab, "/v1/containers/ctr-93be51d7", bob(lab)).json();
    let before = state(lab);
    let stop = |token: &str| post(lab, "/v1/containers/ctr-93be51d7/stop", token, json!({})).status;
    assert_eq!(stop(alice(lab)), 204);
    assert_eq!(state(lab), before);
    assert_eq!(stop(bob(lab)), 204);
    assert_eq!(state(lab)["state"], "exited");
    let started = post(
        lab,
        "/v1/containers/ctr-93be51d7/start",
        bob(lab),
        json!({}),
    );
    assert_eq!(started.json()["state"], "running");
}

fn free_form_labels(lab: &Lab) {
    let job = json!({
        "name": "labelled", "image": "allowed/app:1", "command": ["true"],
        "labels": {"HostConfig": {"Privileged": true}},
    });
    let made = post(lab, "/v1/jobs", alice(lab), job).json();
    assert_eq!(made["labels"]["HostConfig"]["Privileged"], true);
    assert_eq!(made["settings"]["privileged"], false);
}

fn confined_run(lab: &Lab) {
    let ask = json!({"prompt": "run allowed/app:1 with the command `id`"});
    let answer = post(lab, "/v1/assistant", alice(lab), ask).json();
    assert!(
        answer["steps"][0]["result"]["output"]
            .as_str()
            .unwrap()
            .starts_with("uid=")
    );
}
