//! The units in `deploy/systemd`, judged by systemd's own tools where they are installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Trial;

use crate::trials;

const SERVICES: [&str; 3] = ["broker", "gate", "keys"];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = where_installed(
        "systemd-analyze",
        trials![
            systemd_finds_no_mistake_in_the_units,
            systemd_counts_little_exposure,
        ],
    );
    trials.extend(where_installed(
        "systemd-sysusers",
        trials![the_users_can_be_made],
    ));
    trials
}

fn where_installed(tool: &str, trials: Vec<Trial>) -> Vec<Trial> {
    let installed = Command::new(tool).arg("--version").output().is_ok();
    let skip = |trial: Trial| {
        eprintln!("SKIPPED, since `{tool}` is not installed: {}", trial.name());
        trial.with_ignored_flag(true)
    };
    match installed {
        true => trials,
        false => trials.into_iter().map(skip).collect(),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/systemd")
}

/// The units with a program in place of ours, which need not be installed here.
fn units() -> tempfile::TempDir {
    let units = tempfile::tempdir().unwrap();
    for service in SERVICES {
        let name = format!("cofferdam-{service}.service");
        let unit = fs::read_to_string(folder().join(&name)).unwrap();
        let program = match service {
            "broker" => "/usr/bin/cofferdam-broker",
            _ => "/usr/bin/cofferdam",
        };
        let start = format!("\nExecStart={program} ");
        assert!(unit.contains(&start), "{name}");
        let unit = unit.replace(&start, "\nExecStart=/bin/true ");
        fs::write(units.path().join(name), unit).unwrap();
    }
    let timer = "cofferdam-keys.timer";
    fs::copy(folder().join(timer), units.path().join(timer)).unwrap();
    units
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn systemd_finds_no_mistake_in_the_units() {
    let units = units();
    let verify = |extra: &str| {
        let broker = units.path().join("cofferdam-broker.service");
        let unit = fs::read_to_string(&broker).unwrap();
        fs::write(&broker, format!("{unit}{extra}")).unwrap();
        let files = fs::read_dir(units.path())
            .unwrap()
            .map(|it| it.unwrap().path());
        let mut command = Command::new("systemd-analyze");
        command
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .args(files);
        said(&command.output().unwrap())
    };
    assert_eq!(verify(""), "");
    // So that its silence means something.
    assert!(verify("\n[Service]\nPrivateNetwurk=yes\n").contains("PrivateNetwurk"));
}

/// `systemd-analyze security` counts from 0 (all closed) to 10.0 (all open).
fn systemd_counts_little_exposure() {
    let units = units();
    for (service, most) in [("broker", "0.5"), ("gate", "1.3"), ("keys", "1.2")] {
        let unit = units.path().join(format!("cofferdam-{service}.service"));
        let mut command = Command::new("systemd-analyze");
        command
            .args(["security", "--offline=true", "--no-pager"])
            .arg(unit);
        let said = said(&command.output().unwrap());
        let level = said.lines().find_map(|line| line.split_once(".service: "));
        let (_, level) = level.unwrap_or_else(|| panic!("{said}"));
        let level: f32 = level.split(' ').next().unwrap().parse().unwrap();
        assert!(level <= most.parse().unwrap(), "{service}: {said}");
    }
}

fn the_users_can_be_made() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let output = Command::new("systemd-sysusers")
        .arg(format!("--root={}", root.path().display()))
        .arg(folder().join("sysusers.d/cofferdam.conf"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let users = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    for service in SERVICES {
        assert!(
            users.contains(&format!("cofferdam-{service}:x:")),
            "{users}"
        );
        let unit = folder().join(format!("cofferdam-{service}.service"));
        let unit = fs::read_to_string(unit).unwrap();
        assert!(unit.contains(&format!("\nUser=cofferdam-{service}\n")));
    }
}
