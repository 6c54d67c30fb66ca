//! The engine through its socket, with the client that the broker uses and with raw bytes.

use crate::support::{body, get, raw, rig, run};
use cofferdam_docker::stream;
use cofferdam_docker::wire::{ExecCreate, HostConfig};
use cofferdam_engine::{AuthorizationPolicy, Engine, EngineOptions, Error, Seed};
use serde_json::json;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_host_bind_makes_a_marker_appear_in_the_pretend_host() {
    let rig = rig(|_| ()).await;
    let (code, text) = run(&rig.client, &body(&["touch", "/host/marker"], &["/:/host"])).await;
    assert_eq!((code, text.as_str()), (0, ""));
    assert!(rig.dir.path().join("host/marker").exists());
    let (code, text) = run(&rig.client, &body(&["cat", "/x/hostname"], &["/etc:/x:ro"])).await;
    assert_eq!((code, text.as_str()), (0, "pretend-host\n"));
    let (code, text) = run(&rig.client, &body(&["touch", "/x/new"], &["/etc:/x:ro"])).await;
    assert_eq!(
        (code, text.as_str()),
        (1, "touch: /x/new: Read-only file system\n")
    );
}

#[tokio::test]
async fn no_container_reaches_the_real_machine() {
    let rig = rig(|_| ()).await;
    let real = rig.dir.path().join("real");
    std::fs::write(&real, "the real machine").unwrap();
    std::os::unix::fs::symlink(&real, rig.dir.path().join("host/link")).unwrap();
    std::os::unix::fs::symlink("/", rig.dir.path().join("host/slash")).unwrap();
    let real = real.to_str().unwrap();
    for path in [
        "/host/link".to_owned(),
        format!("/host/slash{real}"),
        format!("/host/../../../..{real}"),
        format!("../../../..{real}"),
        format!("/host{real}"),
        real.to_owned(),
    ] {
        let (code, text) = run(&rig.client, &body(&["cat", &path], &["/:/host"])).await;
        assert_eq!(code, 1, "{path}: {text}");
        assert!(!text.contains("the real machine"), "{path}");
        run(
            &rig.client,
            &body(&["sh", "-c", &format!("echo gone > {path}")], &["/:/host"]),
        )
        .await;
    }
    let source = format!("/../../../..{real}:/file");
    let (_, text) = run(&rig.client, &body(&["cat", "/file"], &[&source])).await;
    assert!(!text.contains("the real machine"));
    assert_eq!(std::fs::read_to_string(real).unwrap(), "the real machine");
}

#[tokio::test]
async fn a_container_lives_as_dockerd_lets_it_live() {
    let rig = rig(|_| ()).await;
    let client = &rig.client;
    let id = client
        .create(Some("web"), &body(&["sleep", "infinity"], &[]))
        .await
        .unwrap()
        .id;
    assert_eq!(id.len(), 64);
    let state = client.inspect("web").await.unwrap().state;
    assert_eq!(
        (state.status.as_str(), state.started_at.as_str()),
        ("created", "0001-01-01T00:00:00Z")
    );
    assert!(client.containers(false).await.unwrap().is_empty());
    client.start(&id[..12]).await.unwrap();
    client.start(&id).await.unwrap();
    assert_eq!(client.containers(false).await.unwrap()[0].names, ["/web"]);
    let again = client
        .create(Some("web"), &body(&["true"], &[]))
        .await
        .unwrap_err();
    assert_eq!(again.status(), Some(409));
    assert_eq!(
        client.remove("web", false).await.unwrap_err().status(),
        Some(409)
    );
    client.stop("web", 1).await.unwrap();
    assert_eq!(client.wait("web").await.unwrap(), 143);
    assert_eq!(
        client.kill("web", "SIGKILL").await.unwrap_err().status(),
        Some(409)
    );
    client.remove("web", false).await.unwrap();
    let gone = client.inspect("web").await.unwrap_err();
    assert_eq!(
        gone.to_string(),
        "the engine answered 404: No such container: web"
    );
}

#[tokio::test]
async fn waiting_may_begin_before_the_start() {
    let rig = rig(|_| ()).await;
    let id = rig
        .client
        .create(None, &body(&["sh", "-c", "echo a; false"], &[]))
        .await
        .unwrap()
        .id;
    let path = format!("/containers/{id}/wait?condition=next-exit");
    let head = rig
        .client
        .open(hyper::Method::POST, &path, None)
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
    rig.client.start(&id).await.unwrap();
    let body = http_body_util::BodyExt::collect(head.into_body())
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(&body[..], b"{\"StatusCode\":1}\n");
}

#[tokio::test]
async fn following_a_log_ends_with_the_container() {
    let rig = rig(|_| ()).await;
    let id = rig
        .client
        .create(
            None,
            &body(&["sh", "-c", "echo a; sleep 0.05; echo b"], &[]),
        )
        .await
        .unwrap()
        .id;
    rig.client.start(&id).await.unwrap();
    let path = format!("/containers/{id}/logs?stdout=1&follow=1");
    let answer = rig
        .client
        .send(hyper::Method::GET, &path, None)
        .await
        .unwrap();
    assert_eq!(stream::text(answer.body()).unwrap(), "a\nb\n");
}

#[tokio::test]
async fn a_command_runs_in_a_running_container() {
    let rig = rig(|_| ()).await;
    let id = rig
        .client
        .create(None, &body(&["sleep", "infinity"], &["/:/host"]))
        .await
        .unwrap()
        .id;
    let exec = ExecCreate {
        cmd: ["sh", "-c", "id; cat /host/etc/hostname; exit 4"]
            .map(str::to_owned)
            .to_vec(),
        attach_stdout: true,
        attach_stderr: true,
        ..ExecCreate::default()
    };
    assert_eq!(
        rig.client
            .exec_create(&id, &exec)
            .await
            .unwrap_err()
            .status(),
        Some(409)
    );
    rig.client.start(&id).await.unwrap();
    let exec = rig.client.exec_create(&id, &exec).await.unwrap();
    let frames = rig.client.exec_start(&exec).await.unwrap();
    let text: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes).collect();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with("uid=0(root)") && text.contains("pretend-host\n"),
        "{text}"
    );
    assert_eq!(
        rig.client.exec_inspect(&exec).await.unwrap().exit_code,
        Some(4)
    );
}

#[tokio::test]
async fn answers_have_the_form_of_dockerd() {
    let rig = rig(|_| ()).await;
    let ping = get(&rig, "/_ping").await;
    assert!(
        ping.starts_with("HTTP/1.1 200 OK\r\n") && ping.ends_with("\r\n\r\nOK"),
        "{ping}"
    );
    assert!(ping.contains("server: Docker/28.5.2 (linux)\r\n"), "{ping}");
    assert!(ping.contains("api-version: 1.51\r\n"), "{ping}");
    for (path, status, text) in [
        ("/v1.41/nothing", 404, "page not found"),
        ("/containers/none/json", 404, "No such container: none"),
        ("/images/none/json", 404, "No such image: none:latest"),
        ("/v1.10/info", 400, "client version 1.10 is too old"),
        ("/v1.99/info", 400, "client version 1.99 is too new"),
        ("/containers/json?filters=x", 400, "invalid filter"),
    ] {
        let answer = get(&rig, path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
        assert!(
            answer.contains(&format!("{{\"message\":\"{text}")),
            "{path}: {answer}"
        );
    }
    assert!(
        get(&rig, "/%76ersion")
            .await
            .contains("\"ApiVersion\":\"1.51\"")
    );
    assert!(get(&rig, "/v1.41%2f_ping").await.ends_with("OK"));
    assert!(get(&rig, "//info").await.contains("location: /info\r\n"));
    let head = raw(
        &rig,
        "HEAD /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn a_create_that_dockerd_refuses_is_refused() {
    let rig = rig(|_| ()).await;
    for (body, status) in [
        (json!({"Image": "absent/image"}), 404),
        (
            json!({"Image": "allowed/app:1", "HostConfig": {"Binds": ["/:relative"]}}),
            400,
        ),
        (
            json!({"Image": "allowed/app:1", "HostConfig": {"Binds": ["/:/"]}}),
            400,
        ),
        (
            json!({"Image": "allowed/app:1", "HostConfig": {"Binds": ["/:/a:b:c"]}}),
            400,
        ),
        (
            json!({"Image": "allowed/app:1", "HostConfig": {"Binds": ["/:/a:odd"]}}),
            400,
        ),
        (
            json!({"Image": "allowed/app:1", "HostConfig": {"Binds": ["a/b:/a"]}}),
            400,
        ),
        (
            json!({"Image": "allowed/app:1", "HostConfig": {"Mounts": [{"Type": "BIND", "Source": "/", "Target": "/a"}]}}),
            400,
        ),
        (
            json!({"Image": "allowed/app:1", "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/none", "Target": "/a"}]}}),
            400,
        ),
        (json!({"Image": "allowed/app:1", "Tty": "true"}), 400),
        (json!([1]), 400),
    ] {
        let error = rig.client.create(None, &body).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{body}: {error}");
    }
    let named = rig
        .client
        .create(Some("../x"), &body(&["true"], &[]))
        .await
        .unwrap_err();
    assert_eq!(named.status(), Some(400));
    let id = rig
        .client
        .create(None, &body(&["curl"], &[]))
        .await
        .unwrap()
        .id;
    assert_eq!(rig.client.start(&id).await.unwrap_err().status(), Some(400));
    let plain = raw(&rig, "POST /containers/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}").await;
    assert!(plain.starts_with("HTTP/1.1 400"), "{plain}");
    let huge = raw(&rig, "POST /containers/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n").await;
    assert!(huge.starts_with("HTTP/1.1 400"), "{huge}");
}

#[tokio::test]
async fn a_policy_refuses_the_host_and_info_names_it() {
    let rig = rig(|options| {
        options.userns_remap = true;
        options.authorization = Some(AuthorizationPolicy {
            plugin: "authz".to_owned(),
        });
        options.seeds = vec![Seed {
            name: "old".to_owned(),
            body: body(&["sleep", "infinity"], &["/:/host"]),
            running: true,
        }];
    })
    .await;
    let info = rig.client.info().await.unwrap();
    assert_eq!(info.plugins.authorization, Some(vec!["authz".to_owned()]));
    assert!(info.security_options.contains(&"name=userns".to_owned()));
    assert_eq!(info.containers_running, 1);
    let error = rig
        .client
        .create(None, &body(&["true"], &["/:/host"]))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the engine answered 403: authorization denied by plugin authz: host path mounts are refused"
    );
    assert_eq!(
        run(&rig.client, &body(&["true"], &["data:/data"])).await.0,
        0
    );
}

#[tokio::test]
async fn a_pull_makes_an_image_that_can_be_run() {
    let rig = rig(|_| ()).await;
    rig.client.pull("busybox").await.unwrap();
    assert_eq!(
        rig.client.image("busybox:latest").await.unwrap().repo_tags,
        ["busybox:latest"]
    );
    assert_eq!(rig.client.images().await.unwrap().len(), 2);
    assert!(rig.client.pull("").await.is_err());
}

#[tokio::test]
async fn the_api_is_served_on_loopback_tcp_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = EngineOptions::new(dir.path().join("s"), dir.path());
    options.tcp = Some("192.0.2.1:0".parse().unwrap());
    assert!(matches!(
        Engine::start(options).await,
        Err(Error::NotLoopback(_))
    ));

    let rig = rig(|options| options.tcp = Some("127.0.0.1:0".parse().unwrap())).await;
    let mut stream = tokio::net::TcpStream::connect(rig.engine.tcp().unwrap())
        .await
        .unwrap();
    stream
        .write_all(b"GET /_ping HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("OK"));
}

#[tokio::test]
async fn stopping_closes_and_cleans_up() {
    let rig = rig(|options| options.tcp = Some("127.0.0.1:0".parse().unwrap())).await;
    let socket = rig.engine.socket().to_owned();
    let address = rig.engine.tcp().unwrap();
    let id = rig
        .client
        .create(None, &body(&["sleep", "infinity"], &[]))
        .await
        .unwrap()
        .id;
    rig.client.start(&id).await.unwrap();
    let waiting = rig.client.clone();
    let wait = tokio::spawn(async move { waiting.wait(&id).await });
    rig.engine.stop().await;
    assert!(wait.await.is_ok());
    assert!(!Path::new(&socket).exists());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_host_config_is_shown_as_it_was_asked_for() {
    let rig = rig(|_| ()).await;
    let asked = HostConfig {
        privileged: true,
        pid_mode: "host".to_owned(),
        cap_add: Some(vec!["SYS_ADMIN".to_owned()]),
        security_opt: Some(vec![
            "seccomp=unconfined".to_owned(),
            "apparmor=unconfined".to_owned(),
        ]),
        masked_paths: Some(Vec::new()),
        binds: Some(vec!["/etc:/x:ro,rshared".to_owned()]),
        ..HostConfig::default()
    };
    let mut body = body(&["true"], &[]);
    body.host_config = asked.clone();
    let id = rig.client.create(None, &body).await.unwrap().id;
    let shown = rig.client.inspect(&id).await.unwrap();
    assert!(shown.host_config.privileged);
    assert_eq!(shown.host_config.security_opt, asked.security_opt);
    assert_eq!(shown.host_config.masked_paths, Some(Vec::new()));
    assert_eq!(shown.app_armor_profile, "unconfined");
    let mount = &shown.mounts[0];
    assert_eq!(
        (mount.source.as_str(), mount.destination.as_str()),
        ("/etc", "/x")
    );
    assert_eq!((mount.rw, mount.propagation.as_str()), (false, "rshared"));
}

#[tokio::test]
async fn with_mapped_users_a_container_may_do_with_the_host_what_everybody_may() {
    use std::os::unix::fs::PermissionsExt;
    let rig = rig(|options| options.userns_remap = true).await;
    let host = rig.dir.path().join("host");
    std::fs::write(host.join("etc/shadow"), "root:!\n").unwrap();
    std::fs::create_dir(host.join("tmp")).unwrap();
    for (path, mode) in [
        ("", 0o755),
        ("etc/hostname", 0o644),
        ("etc/shadow", 0o600),
        ("tmp", 0o1777),
    ] {
        std::fs::set_permissions(host.join(path), PermissionsExt::from_mode(mode)).unwrap();
    }
    let script = "cat /host/etc/hostname; cat /host/etc/shadow; touch /host/marker; mkdir /host/dir; \
        rm /host/etc/hostname; echo x > /host/etc/hostname; touch /host/tmp/marker";
    let (code, text) = run(&rig.client, &body(&["sh", "-c", script], &["/:/host"])).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("pretend-host\n"), "{text}");
    assert_eq!(text.matches("Permission denied").count(), 5, "{text}");
    assert!(!host.join("marker").exists() && host.join("tmp/marker").exists());
    let mut own_users = body(&["touch", "/host/marker"], &["/:/host"]);
    own_users.host_config.userns_mode = "host".to_owned();
    assert_eq!(run(&rig.client, &own_users).await.0, 0);
    assert!(host.join("marker").exists());
}
