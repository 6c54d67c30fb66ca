//! The two request files: every escape is refused by the rule that is meant for it, or needs an
//! object that the broker must know to be the caller's; every benign request goes through.

use std::collections::BTreeMap;

use cofferdam_action::action::{Action, ActionKind, Reference};
use cofferdam_action::encode::encode;
use cofferdam_action::refusal::Rule;

use crate::support::{requests, runner, runner_with_exec};

/// What is meant to stop a request.
#[derive(Debug, PartialEq)]
enum Stop {
    /// A rule of the dialect or the floor.
    By(Rule),
    /// The broker's ownership: the action refers to this object, which is another's.
    Owner(&'static str),
    /// The broker's filter: the answer shows the caller's own objects only.
    Filter(ActionKind),
}

/// The stop of a whole class; single requests differ below.
fn of_class(class: &str) -> Rule {
    match class {
        "privileged" => Rule::Privileged,
        "capability" => Rule::Capability,
        "host-bind" => Rule::HostPath,
        "mount" | "volume-driver" => Rule::VolumeDriver,
        "security-opt" => Rule::SecurityOption,
        "json-differential" => Rule::JsonDuplicate,
        "path-differential" | "identity-confusion" => Rule::Target,
        "legacy-api" => Rule::Version,
        "form-body" => Rule::FormBody,
        "http-differential" => Rule::Header,
        "build" | "buildkit" | "image" | "libpod" | "network-system" | "plugin" | "swarm" => {
            Rule::NotOffered
        }
        "container-action" => Rule::NotOffered,
        other => panic!("no rule is meant for the class `{other}` as a whole"),
    }
}

fn of_request(id: &str) -> Option<Stop> {
    use Rule::*;
    let rule = match id {
        "cap-090" => JsonUnknown,
        "bind-091" => VolumeDriver,
        "mount-001" | "mount-002" | "mount-006" | "mount-007" => HostPath,
        "mount-003" | "mount-027" | "mount-093" => MountOption,
        "mount-024" | "mount-025" => MountType,
        "mount-090" => VolumesFrom,
        "vol-020" => NotOffered,
        "ns-001" | "ns-011" => PidNamespace,
        "ns-003" | "ns-013" => IpcNamespace,
        "ns-006" => UserNamespace,
        "ns-007" | "ns-012" => CgroupNamespace,
        "ns-010" => NetworkNamespace,
        "sec-090" | "sec-091" | "sec-092" => SecurityPaths,
        "res-001" | "res-005" | "res-006" | "res-008" | "res-010" => Device,
        "res-012" | "res-013" | "res-014" => DeviceRequest,
        "res-015" | "res-017" => CgroupParent,
        "res-021" => Sysctl,
        "res-023" | "res-024" | "res-025" | "res-026" | "res-027" | "res-042" => Runtime,
        "res-029" | "res-030" => OomLimit,
        "res-033" | "res-034" => UlimitLimit,
        "res-037" => ShmLimit,
        "res-038" | "res-039" => StorageLimit,
        "res-041" => Group,
        "res-090" => JsonUnknown,
        "misc-004" | "misc-005" | "misc-006" | "misc-007" => Log,
        "misc-009" => Privileged,
        "misc-010" => Link,
        "misc-011" => HostPort,
        "misc-014" | "misc-015" => ExtraHost,
        "misc-018" | "ctr-007" => Environment,
        "misc-019" | "ctr-005" => WorkingDirectory,
        "misc-021" => RootUser,
        "misc-022" => Command,
        "misc-023" => HealthInterval,
        "misc-024" | "img-016" => ImageNotAllowed,
        "misc-026" => ImageId,
        "misc-027" | "misc-028" | "img-007" => ImageSyntax,
        "misc-030" => LabelController,
        "misc-032" => StopTimeout,
        "misc-033" => HostPath,
        "misc-080" | "id-009" => Name,
        "misc-081" => Platform,
        "id-001" => NameHex,
        "id-010" => QueryCase,
        "img-009" | "img-011" => QueryDuplicate,
        "bk-005" => Target,
        "sys-004" | "sys-005" | "sys-008" | "sys-010" => NetworkDriver,
        "sys-006" | "sys-007" | "sys-011" => NetworkAddress,
        "sys-016" | "ctr-034" => PruneOwn,
        "sys-025" => Route,
        "json-002" | "json-003" | "json-006" | "json-008" | "json-009" | "json-011" | "ctr-002" => {
            JsonCase
        }
        "json-023" | "json-024" | "json-033" | "json-080" | "json-081" => JsonSyntax,
        "json-026" | "json-027" => JsonUnknown,
        "json-082" => BodySize,
        "path-001" => Privileged,
        "path-008" | "path-011" | "path-012" | "path-025" => Version,
        "form-006" | "form-007" | "form-010" => NotOffered,
        "http-002" | "http-004" | "cp-003" | "cp-005" => ContentType,
        "http-005" | "http-006" | "http-008" => Transfer,
        "http-007" => Body,
        "ctr-012" | "ctr-013" | "ctr-016" => ArchivePath,
        "ctr-020" | "ctr-021" => ProcessColumns,
        "ctr-031" => Target,
        "cp-001" | "cp-002" | "cp-004" => Archive,
        "ctr-004" | "ctr-011" | "ctr-015" | "ctr-019" | "ctr-027" | "ctr-032" | "ctr-035"
        | "ctr-036" | "sys-012" => return Some(Stop::Owner("other")),
        "mount-022" | "vol-021" => return Some(Stop::Owner("otheruser-secrets")),
        "ns-002" => return Some(Stop::Owner("privileged-helper")),
        "cp-007" => {
            let exec = "0000000000000000000000000000000000000000000000000000000000000001";
            return Some(Stop::Owner(exec));
        }
        "ctr-039" => return Some(Stop::Filter(ActionKind::ContainerList)),
        "sys-018" => return Some(Stop::Filter(ActionKind::Info)),
        "sys-019" => return Some(Stop::Filter(ActionKind::DiskUsage)),
        _ => return None,
    };
    Some(Stop::By(rule))
}

#[test]
fn every_escape_is_refused_by_the_rule_that_is_meant_for_it() {
    let mut classes = BTreeMap::<String, usize>::new();
    for (request, entry) in requests("escape_requests.json") {
        let meant = of_request(&request.id).unwrap_or_else(|| Stop::By(of_class(&request.class)));
        let outcome = request.judge(&runner_with_exec());
        match (&meant, outcome) {
            (Stop::By(rule), Err(refusal)) => {
                assert_eq!(*rule, refusal.rule, "{}: {refusal}", request.id);
                // The command line shows this sentence, so it must be one.
                assert!(refusal.to_string().len() < 600, "{}: {refusal}", request.id);
                assert!(
                    !refusal.to_string().contains('\n'),
                    "{}: {refusal}",
                    request.id
                );
            }
            (Stop::Owner(name), Ok(approved)) => {
                let named =
                    approved
                        .action()
                        .references()
                        .iter()
                        .any(|reference| match reference {
                            Reference::Container(container) => container.as_str() == *name,
                            Reference::Volume(volume) => volume.as_str() == *name,
                            Reference::Network(network) => network.as_str() == *name,
                            Reference::Exec(exec) => exec.as_str() == *name,
                            Reference::Image(_) => false,
                        });
                assert!(named, "{} does not refer to `{name}`", request.id);
            }
            (Stop::Filter(kind), Ok(approved)) => {
                assert_eq!(approved.action().kind(), *kind, "{}", request.id);
                let by_condition = entry["condition"] == "answer is not filtered by owner";
                assert!(
                    by_condition || entry["expect"] == "deny-or-filter",
                    "{}",
                    request.id
                );
            }
            (meant, outcome) => panic!("{}: {meant:?} is meant, and it is {outcome:?}", request.id),
        }
        *classes.entry(request.class).or_default() += 1;
    }
    assert_eq!(classes.values().sum::<usize>(), 310);
    assert_eq!(classes.len(), 23);
}

#[test]
fn a_health_command_takes_the_scope_of_exec() {
    let all = requests("benign_requests.json");
    let (health, _) = all
        .iter()
        .find(|(request, _)| request.id == "cli-health")
        .unwrap();
    assert!(health.judge(&runner_with_exec()).is_ok());
    assert_eq!(
        health.judge(&runner()).unwrap_err().rule,
        Rule::HealthCommand
    );
}

#[test]
fn every_benign_request_goes_through_and_reaches_the_engine_hardened() {
    let all = requests("benign_requests.json");
    assert_eq!(all.len(), 85);
    for (request, _) in all {
        let approved = request
            .judge(&runner_with_exec())
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", request.id));
        assert!(approved.exceptions().is_empty() && approved.host_paths().is_empty());
        let Some(encoded) = encode(approved.action()) else {
            assert_eq!(request.id, "ctr-prune-own");
            continue;
        };
        assert!(encoded.target.starts_with("/v1.41/"), "{}", encoded.target);
        if let Action::ContainerCreate(create) = approved.action() {
            assert!(create.security.no_new_privileges && create.security.cap_drop_all);
            assert!(create.resources.pids.is_some() && create.resources.memory.is_some());
        }
    }
}
