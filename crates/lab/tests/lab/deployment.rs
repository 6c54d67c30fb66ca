//! The deployment files and the live `/proc` say what the switches say.

use crate::client::{alice, get, hardened, lab, with};
use cofferdam_lab::{Hole, Lab, Switches};
use serde_json::Value;

fn file(lab: &Lab, name: &str) -> String {
    let path = lab
        .deployment_files()
        .iter()
        .find(|path| path.ends_with(name));
    std::fs::read_to_string(path.unwrap()).unwrap()
}

fn inspect(lab: &Lab) -> Value {
    let all: Value = serde_json::from_str(&file(lab, "docker-inspect.json")).unwrap();
    all[0].clone()
}

#[test]
fn the_hardened_deployment_gives_nothing_away() {
    let lab = hardened();
    let compose = file(&lab, "compose.yaml");
    for word in [
        "privileged",
        "docker.sock",
        "cap_add",
        "unconfined",
        "host",
        "PASSWORD",
        "ports:",
    ] {
        assert!(!compose.contains(word), "{word} in\n{compose}");
    }
    for word in [
        "read_only: true",
        "user: \"10001:10001\"",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
    ] {
        assert!(compose.contains(word), "{word} not in\n{compose}");
    }
    let container = inspect(&lab);
    let host = &container["HostConfig"];
    assert_eq!(container["Config"]["User"], "10001:10001");
    assert_eq!(
        (&host["Privileged"], &host["ReadonlyRootfs"]),
        (&Value::from(false), &Value::from(true))
    );
    assert_eq!(container["AppArmorProfile"], "docker-default");
    let info: Value = serde_json::from_str(&file(&lab, "docker-info.json")).unwrap();
    assert!(
        info["SecurityOptions"]
            .as_array()
            .unwrap()
            .contains(&Value::from("name=rootless"))
    );
}

#[test]
fn each_deployment_hole_shows_in_the_files() {
    let shows: &[(Hole, &str, &str, &str)] = &[
        (
            Hole::RuntimeSocket,
            "/run/docker.sock:/run/docker.sock",
            "/Mounts/0/Source",
            "/run/docker.sock",
        ),
        (Hole::RunsAsRoot, "user: \"0:0\"", "/Config/User", "0:0"),
        (Hole::HostMount, "- /:/host", "/Mounts/0/Source", "/"),
        (
            Hole::Privileged,
            "privileged: true",
            "/HostConfig/Privileged",
            "true",
        ),
        (Hole::HostPid, "pid: host", "/HostConfig/PidMode", "host"),
        (
            Hole::HostNetwork,
            "network_mode: host",
            "/HostConfig/NetworkMode",
            "host",
        ),
        (
            Hole::DangerousCapability,
            "cap_add: [SYS_ADMIN]",
            "/HostConfig/CapAdd/0",
            "SYS_ADMIN",
        ),
        (
            Hole::SeccompUnconfined,
            "seccomp=unconfined",
            "/HostConfig/SecurityOpt/1",
            "seccomp=unconfined",
        ),
        (
            Hole::AppArmorUnconfined,
            "apparmor=unconfined",
            "/AppArmorProfile",
            "unconfined",
        ),
    ];
    for (hole, compose, pointer, value) in shows {
        let lab = lab(Switches::only(*hole));
        assert!(file(&lab, "compose.yaml").contains(compose), "{hole}");
        let container = inspect(&lab);
        let shown = container
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{hole}: {container}"));
        assert_eq!(
            shown.as_str().map_or(shown.to_string(), str::to_owned),
            *value,
            "{hole}"
        );
    }
    let lab = lab(Switches::only(Hole::NewPrivileges));
    assert!(!file(&lab, "compose.yaml").contains("no-new-privileges"));
    let lab = crate::client::only(Hole::SecretsInEnvironment);
    assert!(file(&lab, "compose.yaml").contains("DATABASE_PASSWORD"));
    assert!(
        inspect(&lab)["Config"]["Env"]
            .to_string()
            .contains("DATABASE_PASSWORD")
    );
    let lab = crate::client::only(Hole::EngineRootful);
    let info: Value = serde_json::from_str(&file(&lab, "docker-info.json")).unwrap();
    assert!(!info["SecurityOptions"].to_string().contains("rootless"));
}

#[test]
fn the_live_proc_agrees_with_the_switches() {
    let read = |lab: &Lab, path: &str| {
        get(lab, &format!("/v1/workspace/file?path={path}"), alice(lab)).body
    };
    let closed = with(&[Hole::PathTraversal]);
    let status = read(&closed, "/proc/self/status");
    for line in [
        "Uid:\t10001\t",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{line} not in\n{status}");
    }
    assert_eq!(read(&closed, "/proc/1/comm"), "cofferdam-api\n");
    assert_eq!(
        read(&closed, "/proc/self/attr/current"),
        "docker-default (enforce)\n"
    );
    assert!(read(&closed, "/proc/self/uid_map").contains("100000"));
    assert!(!read(&closed, "/proc/self/environ").contains("PASSWORD"));
    assert!(read(&closed, "/proc/self/mountinfo").starts_with("611 520 0:52 / / ro,"));
    assert!(read(&closed, "/proc/net/dev").contains("eth0:"));
    assert!(
        read(
            &closed,
            "/var/run/secrets/kubernetes.io/serviceaccount/token"
        )
        .contains("os error 2")
    );

    let open = lab(Switches::all_open());
    let status = read(&open, "/proc/self/status");
    for line in [
        "Uid:\t0\t",
        "CapEff:\t000001ffffffffff",
        "NoNewPrivs:\t0",
        "Seccomp:\t0",
    ] {
        assert!(status.contains(line), "{line} not in\n{status}");
    }
    assert_eq!(read(&open, "/proc/1/comm"), "systemd\n");
    assert_eq!(read(&open, "/proc/self/comm"), "cofferdam-api\n");
    assert_eq!(read(&open, "/proc/self/attr/current"), "unconfined\n");
    assert!(read(&open, "/proc/self/uid_map").contains("4294967295"));
    assert!(read(&open, "/proc/self/environ").contains("PASSWORD"));
    let mounts = read(&open, "/proc/self/mountinfo");
    assert!(
        mounts.contains(" / /host rw,") && mounts.contains("/run/docker.sock"),
        "{mounts}"
    );
    assert!(read(&open, "/proc/net/tcp").contains(":0947 "));
    assert!(read(&open, "/host/etc/hostname").contains("dock-1"));
    assert!(read(&open, "/host/run/docker.sock").contains("os error 6"));
    assert_eq!(
        read(&open, "/var/run/secrets/kubernetes.io/serviceaccount/token")
            .split('.')
            .count(),
        3
    );
}

#[test]
fn a_fix_closes_what_it_is_meant_to_close() {
    let mut switches = Switches::all_open();
    assert_eq!(switches.apply_fix("F.app.path"), [Hole::PathTraversal]);
    assert!(!switches.is_open(Hole::PathTraversal));
    assert!(switches.apply_fix("F.app.path").is_empty());
    for hole in Hole::ALL {
        for fix in &hole.planted().fixes {
            switches.apply_fix(fix);
        }
    }
    assert_eq!(switches, Switches::all_closed());
}
