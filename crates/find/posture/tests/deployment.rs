//! Real files together: what is joined, which line is named, what stays unknown.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use cofferdam_finding::{Condition, Confidence, Finding, Severity, Truth};
use cofferdam_posture::{Deployment, Format, Input, LiveFile, LiveProc, SocketProbe};

const COMPOSE: &[u8] = include_bytes!("data/compose.yaml");
const INSPECT: &[u8] = include_bytes!("data/inspect.json");
const INFO: &[u8] = include_bytes!("data/info.json");

fn read(files: &[(&str, &[u8])]) -> Deployment {
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|(name, bytes)| Input { name, bytes })
        .collect();
    Deployment::read(&inputs).unwrap()
}

fn of<'a>(deployment: &'a Deployment, workload: &str, check: &str) -> Vec<&'a Finding> {
    let findings = &deployment.workload(workload).unwrap().findings;
    findings
        .iter()
        .filter(|finding| finding.check == check)
        .collect()
}

fn line_of(needle: &str) -> Option<u32> {
    let text = std::str::from_utf8(COMPOSE).unwrap();
    let at = text.lines().position(|line| line.contains(needle)).unwrap();
    u32::try_from(at + 1).ok()
}

#[test]
fn a_compose_file_alone_names_lines_and_leaves_the_image_unknown() {
    let deployment = read(&[("deploy/compose.yaml", COMPOSE)]);
    assert_eq!(deployment.files[0].format, Format::Compose);
    let names: Vec<_> = deployment
        .workloads
        .iter()
        .map(|w| w.name.as_str())
        .collect();
    assert_eq!(names, ["api", "worker", "metrics"]);
    let api = deployment.workload("api").unwrap();
    for (condition, truth) in [
        (Condition::SockDocker, Truth::Yes),
        (Condition::SockRo, Truth::Yes),
        (Condition::MountRun, Truth::Yes),
        (Condition::MountEtc, Truth::Yes),
        (Condition::MountRo, Truth::No),
        (Condition::UserRoot, Truth::Unknown),
        (Condition::UsernsNone, Truth::Unknown),
        (Condition::EngineRootful, Truth::Unknown),
        (Condition::Privileged, Truth::No),
        (Condition::CapNetRaw, Truth::Yes),
        (Condition::CapSysAdmin, Truth::No),
        (Condition::SeccompOff, Truth::No),
        (Condition::LsmOff, Truth::Unknown),
        (Condition::VolumeShared, Truth::Yes),
        (Condition::SecretsEnv, Truth::Yes),
        (Condition::RestartHook, Truth::Yes),
        (Condition::NetHostport, Truth::No),
        (Condition::SaAutomount, Truth::No),
    ] {
        assert_eq!(api.facts.truth(condition), truth, "{condition}");
    }
    let socket = of(&deployment, "api", "posture.runtime-socket")[0];
    assert_eq!(socket.severity, Severity::Critical);
    assert_eq!(socket.confidence, Confidence::Firm);
    assert_eq!(
        socket.places[0].file.as_deref(),
        Some("deploy/compose.yaml")
    );
    assert_eq!(socket.places[0].line, line_of("/run:/host/run:ro"));
    let etc = of(&deployment, "api", "posture.host-path");
    assert_eq!(
        etc[0].places[0].line,
        line_of("SHARED_ETC"),
        "a default counts"
    );
    let root = of(&deployment, "api", "posture.root")[0];
    assert_eq!(root.confidence, Confidence::Tentative, "the image decides");

    let worker = deployment.workload("worker").unwrap();
    assert_eq!(worker.facts.truth(Condition::UserRoot), Truth::No);
    assert_eq!(worker.facts.truth(Condition::CapNetRaw), Truth::No);
    assert_eq!(worker.facts.truth(Condition::NnpOff), Truth::No);
    assert_eq!(worker.facts.truth(Condition::SockDocker), Truth::No);
    assert_eq!(api.shares_volumes_with, ["worker"]);
    assert!(
        worker.shares_volumes_with.is_empty(),
        "it cannot write there"
    );

    let metrics: Vec<_> = of(&deployment, "metrics", "posture.host-namespace")
        .iter()
        .map(|finding| finding.places[0].line)
        .collect();
    assert_eq!(
        metrics,
        [line_of("pid: host"), line_of("network_mode: host")]
    );
}

#[test]
fn three_files_speak_of_one_container() {
    let deployment = read(&[
        ("compose.yaml", COMPOSE),
        ("i.json", INSPECT),
        ("info", INFO),
    ]);
    assert_eq!(
        deployment.workloads.len(),
        3,
        "the inspected one is the service that its label names"
    );
    let api = deployment.workload("api").unwrap();
    assert_eq!(api.sources.len(), 2);
    for (condition, truth) in [
        (Condition::UserRoot, Truth::Yes),
        (Condition::UsernsNone, Truth::Yes),
        (Condition::EngineRootful, Truth::Yes),
        (Condition::LsmOff, Truth::No),
        (Condition::CgroupV1rw, Truth::No),
        (Condition::RuncVuln, Truth::No),
        (Condition::RuntimeShared, Truth::Yes),
        // The compose file has what the running container has not yet: the worse one stands.
        (Condition::MountEtc, Truth::Yes),
    ] {
        assert_eq!(api.facts.truth(condition), truth, "{condition}");
    }
    let socket = of(&deployment, "api", "posture.runtime-socket");
    assert_eq!(socket.len(), 1, "one cause, whichever file shows it");
    let files: Vec<_> = socket[0]
        .places
        .iter()
        .filter_map(|p| p.file.as_deref())
        .collect();
    assert!(
        files.contains(&"compose.yaml") && files.contains(&"i.json"),
        "{files:?}"
    );
    let engine = deployment.engine.as_ref().unwrap();
    assert_eq!(engine.name.as_deref(), Some("build-1"));
    assert_eq!(engine.findings[0].check, "posture.engine-rootful");
    assert_eq!(engine.findings[0].places[0].container, None);
    // The engine holds for the others too.
    let worker = deployment.workload("worker").unwrap();
    assert_eq!(worker.facts.truth(Condition::EngineRootful), Truth::Yes);
    assert_eq!(worker.facts.truth(Condition::LsmOff), Truth::No);
}

#[test]
fn the_container_of_a_port_is_found() {
    let deployment = read(&[("compose.yaml", COMPOSE)]);
    let names = |port| -> Vec<&str> {
        let candidates = deployment.candidates(port);
        candidates
            .iter()
            .map(|workload| workload.name.as_str())
            .collect()
    };
    assert_eq!(names(Some(4711)), ["api"]);
    assert_eq!(
        names(Some(9)),
        ["api"],
        "a proxy of the host may stand before it"
    );
    assert_eq!(names(None), ["api"]);
}

#[test]
fn no_secret_of_a_file_is_in_what_comes_out() {
    let deployment = read(&[("compose.yaml", COMPOSE), ("i.json", INSPECT)]);
    let debug = format!("{deployment:?}");
    let json = serde_json::to_string(&deployment).unwrap();
    assert!(!debug.contains("not-really-secret") && !json.contains("not-really-secret"));
    let back: Deployment = serde_json::from_str(&json).unwrap();
    assert_eq!(back, deployment);
}

#[test]
fn a_rootless_engine_changes_what_root_means() {
    let info = br#"{"ServerVersion":"28","SecurityOptions":["name=seccomp,profile=builtin","name=rootless"]}"#;
    let deployment = read(&[("compose.yaml", COMPOSE), ("info", info)]);
    let api = deployment.workload("api").unwrap();
    assert_eq!(api.facts.truth(Condition::EngineRootful), Truth::No);
    assert_eq!(api.facts.truth(Condition::UsernsNone), Truth::No);
    let engine = deployment.engine.as_ref().unwrap();
    assert!(engine.findings.is_empty());
}

#[test]
fn what_is_not_followed_is_said_and_stays_unknown() {
    let text = b"include: [other.yaml]\nservices:\n  api:\n    extends: {file: base.yaml, service: x}\n    env_file: .env\n";
    let deployment = read(&[("c.yaml", text)]);
    assert_eq!(deployment.notes.len(), 3, "{:?}", deployment.notes);
    let facts = &deployment.workload("api").unwrap().facts;
    for condition in [
        Condition::Privileged,
        Condition::SockDocker,
        Condition::SecretsEnv,
        Condition::NnpOff,
    ] {
        assert_eq!(facts.truth(condition), Truth::Unknown, "{condition}");
    }
}

#[test]
fn a_variable_without_a_default_leaves_what_it_decides_unknown() {
    let text = b"services:\n  a:\n    privileged: ${P}\n    user: ${U}\n    pid: ${PID_MODE}\n    volumes: [\"${WHERE}:/data\"]\n  \
                 b:\n    volumes: [\"${SOCK}:/var/run/docker.sock\"]\n";
    let deployment = read(&[("c.yaml", text)]);
    let a = &deployment.workload("a").unwrap().facts;
    for condition in [
        Condition::Privileged,
        Condition::UserRoot,
        Condition::NsPid,
        Condition::SockDocker,
        Condition::MountRoot,
    ] {
        assert_eq!(a.truth(condition), Truth::Unknown, "{condition}");
    }
    let b = &deployment.workload("b").unwrap().facts;
    assert_eq!(
        b.truth(Condition::SockDocker),
        Truth::Yes,
        "where it goes says what it is"
    );
}

#[test]
fn two_compose_files_are_laid_over_each_other() {
    let base = b"services:\n  api:\n    image: x\n    volumes: [\"data:/d\"]\nvolumes: {data: }\n";
    let over = b"services:\n  api:\n    privileged: true\n    user: \"1000\"\n";
    let deployment = read(&[("compose.yaml", base), ("compose.override.yaml", over)]);
    assert_eq!(deployment.workloads.len(), 1);
    let facts = &deployment.workloads[0].facts;
    assert_eq!(facts.truth(Condition::Privileged), Truth::Yes);
    assert_eq!(facts.truth(Condition::UserRoot), Truth::No);
}

#[test]
fn services_of_one_name_in_two_projects_are_two_workloads() {
    let container = |project: &str, privileged: bool| {
        format!(
            "{{\"Id\":\"1\",\"Name\":\"/{project}-db-1\",\"HostConfig\":{{\"Privileged\":{privileged}}},\
             \"Config\":{{\"User\":\"1\",\"Labels\":{{\"com.docker.compose.service\":\"db\",\
             \"com.docker.compose.project\":\"{project}\"}}}}}}"
        )
    };
    let text = format!("[{},{}]", container("shop", false), container("wiki", true));
    let deployment = read(&[("i.json", text.as_bytes())]);
    let names: Vec<_> = deployment
        .workloads
        .iter()
        .map(|w| w.name.as_str())
        .collect();
    assert_eq!(names, ["db", "wiki-db-1"]);
    assert_eq!(
        deployment.workloads[0].facts.truth(Condition::Privileged),
        Truth::No
    );
    assert_eq!(
        deployment.workloads[1].facts.truth(Condition::Privileged),
        Truth::Yes
    );
}

#[test]
fn a_socket_below_the_mounted_root_is_the_same_cause() {
    let live = |probe: &str| LiveProc {
        mountinfo: Some(LiveFile {
            text: "1 0 0:50 / / ro - overlay overlay rw\n\
                   2 1 8:1 /var/lib/docker/containers/a/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
                   3 1 8:1 / /host rw - ext4 /dev/sda1 rw\n"
                .to_owned(),
            evidence: Vec::new(),
        }),
        sockets: vec![SocketProbe {
            path: probe.to_owned(),
            exists: true,
            evidence: Vec::new(),
        }],
        ..LiveProc::default()
    };
    let checks = |probe: &str| -> Vec<String> {
        let facts = live(probe).facts();
        assert_eq!(facts.truth(Condition::SockDocker), Truth::Yes);
        let found = cofferdam_posture::findings("api", &facts);
        found.into_iter().map(|finding| finding.check).collect()
    };
    assert_eq!(checks("/host/run/docker.sock"), ["posture.host-path"]);
    assert_eq!(
        checks("/run/docker.sock"),
        ["posture.runtime-socket", "posture.host-path"]
    );
}
