//! Known escapes that an API request can trigger, each with requests that would do it and the rule
//! that refuses them. `docs/gate/cves.md` is written from this table: `UPDATE_PAGES=1 cargo test -p
//! cofferdam-action cves`.

use std::fmt::Write as _;

use cofferdam_action::refusal::Rule;

use crate::support::{Request, runner_with_exec};

struct Cve {
    ids: &'static str,
    what: &'static str,
    tries: &'static [Try],
    /// What the rules leave open, or what else holds it.
    besides: &'static str,
}

struct Try {
    method: &'static str,
    target: &'static str,
    body: Body,
    rule: Rule,
}

enum Body {
    None,
    Json(&'static str),
    Bytes(&'static str, &'static [u8]),
    /// JSON of more than one MiB.
    Large,
}

const fn create(body: &'static str, rule: Rule) -> Try {
    Try {
        method: "POST",
        target: "/v1.41/containers/create",
        body: Body::Json(body),
        rule,
    }
}

const fn exec(body: &'static str, rule: Rule) -> Try {
    Try {
        method: "POST",
        target: "/v1.41/containers/web/exec",
        body: Body::Json(body),
        rule,
    }
}

const fn post(target: &'static str, rule: Rule) -> Try {
    Try {
        method: "POST",
        target,
        body: Body::None,
        rule,
    }
}

const OWN: &str =
    "A copy reaches the caller's own containers alone. The race itself is the engine's: update it.";
const BUILD: &str = "There are no builds: run a rootless BuildKit beside the gate.";
const IMAGES: &str = "Only allowed images run.";

const TABLE: &[Cve] = &[
    Cve {
        ids: "CVE-2018-15664, CVE-2019-14271, CVE-2026-41568, CVE-2026-42306",
        what: "`docker cp` follows links that the container swaps, or loads libraries out of it",
        tries: &[
            Try {
                method: "GET",
                target: "/v1.41/containers/web/archive?path=/proc/1/root/etc",
                body: Body::None,
                rule: Rule::ArchivePath,
            },
            Try {
                method: "HEAD",
                target: "/v1.41/containers/web/archive?path=/a/../../etc",
                body: Body::None,
                rule: Rule::ArchivePath,
            },
        ],
        besides: OWN,
    },
    Cve {
        ids: "CVE-2019-5736",
        what: "a command that is `/proc/self/exe` overwrites runc on the host",
        tries: &[
            exec(r#"{"Cmd":["/proc/self/exe"]}"#, Rule::Command),
            create(
                r#"{"Image":"allowed/app:1","Entrypoint":["/proc/self/exe"]}"#,
                Rule::Command,
            ),
        ],
        besides: IMAGES,
    },
    Cve {
        ids: "CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642",
        what: "a volume over `/proc` or `/sys` takes AppArmor and SELinux out of the way",
        tries: &[
            create(
                r#"{"Image":"allowed/app:1","HostConfig":{"Binds":["data:/proc"]}}"#,
                Rule::MountTarget,
            ),
            create(
                r#"{"Image":"allowed/app:1","Volumes":{"/sys/kernel":{}}}"#,
                Rule::MountTarget,
            ),
        ],
        besides: IMAGES,
    },
    Cve {
        ids: "CVE-2020-15257",
        what: "the network of the host reaches containerd's abstract sockets",
        tries: &[create(
            r#"{"Image":"allowed/app:1","HostConfig":{"NetworkMode":"host"}}"#,
            Rule::NetworkNamespace,
        )],
        besides: "",
    },
    Cve {
        ids: "CVE-2021-30465",
        what: "two containers race on a volume that they share while it is mounted",
        tries: &[create(
            r#"{"Image":"allowed/app:1","HostConfig":{"VolumesFrom":["other"]}}"#,
            Rule::VolumesFrom,
        )],
        besides: "A volume has one owner. One owner's own containers can still race: update runc.",
    },
    Cve {
        ids: "CVE-2022-0492",
        what: "`release_agent` of a cgroup runs a program on the host",
        tries: &[
            create(
                r#"{"Image":"allowed/app:1","HostConfig":{"CapAdd":["SYS_ADMIN"]}}"#,
                Rule::Capability,
            ),
            create(
                r#"{"Image":"allowed/app:1","HostConfig":{"SecurityOpt":["seccomp=unconfined"]}}"#,
                Rule::SecurityOption,
            ),
        ],
        besides: "",
    },
    Cve {
        ids: "CVE-2022-0811",
        what: "a kernel parameter names a program that the host runs",
        tries: &[create(
            r#"{"Image":"allowed/app:1","HostConfig":{"Sysctls":{"kernel.core_pattern":"|/x"}}}"#,
            Rule::Sysctl,
        )],
        besides: "",
    },
    Cve {
        ids: "CVE-2022-36109, CVE-2022-24769",
        what: "additional groups, and capabilities that are inherited",
        tries: &[create(
            r#"{"Image":"allowed/app:1","HostConfig":{"GroupAdd":["0"]}}"#,
            Rule::Group,
        )],
        besides: "Every container gets `no-new-privileges` and the kept capabilities alone.",
    },
    Cve {
        ids: "CVE-2024-21626",
        what: "a working directory that is a descriptor runc forgot to close",
        tries: &[
            create(
                r#"{"Image":"allowed/app:1","WorkingDir":"/proc/self/fd/8"}"#,
                Rule::WorkingDirectory,
            ),
            exec(
                r#"{"Cmd":["ls"],"WorkingDir":"/proc/self/fd/8"}"#,
                Rule::WorkingDirectory,
            ),
        ],
        besides: IMAGES,
    },
    Cve {
        ids: "CVE-2024-23651, CVE-2024-23652, CVE-2024-23653, CVE-2026-33747, CVE-2026-33748, GHSA-7236-3392-c5c6, GHSA-hw3h-2gp9-cxpv",
        what: "BuildKit: mounts of a build, front ends, and git addresses",
        tries: &[
            post("/v1.41/build?version=2&remote=git%23x", Rule::NotOffered),
            post("/v1.41/build?version=2", Rule::NotOffered),
            post("/v1.41/session", Rule::NotOffered),
            post("/v1.41/grpc", Rule::NotOffered),
        ],
        besides: BUILD,
    },
    Cve {
        ids: "CVE-2024-24557",
        what: "a build takes layers from a cache that somebody else filled",
        tries: &[post("/v1.41/build?cachefrom=x", Rule::NotOffered)],
        besides: BUILD,
    },
    Cve {
        ids: "CVE-2024-0132, CVE-2025-23359, CVE-2026-24260, CVE-2025-23266",
        what: "the hooks of NVIDIA's toolkit run on the host, on what the container says",
        tries: &[
            create(
                r#"{"Image":"allowed/app:1","HostConfig":{"DeviceRequests":[{"Count":-1}]}}"#,
                Rule::DeviceRequest,
            ),
            create(
                r#"{"Image":"allowed/app:1","HostConfig":{"Runtime":"nvidia"}}"#,
                Rule::Runtime,
            ),
            create(
                r#"{"Image":"allowed/app:1","Env":["LD_PRELOAD=/x.so"]}"#,
                Rule::Environment,
            ),
        ],
        besides: IMAGES,
    },
    Cve {
        ids: "CVE-2024-41110, CVE-2026-34040",
        what: "an authorization plug-in is shown another body than the engine reads: none, or one that is too long",
        tries: &[
            create("", Rule::Body),
            Try {
                method: "POST",
                target: "/v1.41/containers/create",
                body: Body::Large,
                rule: Rule::BodySize,
            },
        ],
        besides: "The engine gets what is written anew from the typed action, never the caller's bytes.",
    },
    Cve {
        ids: "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881",
        what: "runc's masked paths, `/dev/console` and writes to `/proc` go elsewhere",
        tries: &[
            create(
                r#"{"Image":"allowed/app:1","HostConfig":{"MaskedPaths":[]}}"#,
                Rule::SecurityPaths,
            ),
            create(
                r#"{"Image":"allowed/app:1","HostConfig":{"ReadonlyPaths":[]}}"#,
                Rule::SecurityPaths,
            ),
        ],
        besides: "A hostile image can still race inside its own container: allow images by name, and update runc.",
    },
    Cve {
        ids: "CVE-2026-33997",
        what: "the privileges of a plug-in are not checked",
        tries: &[post("/v1.41/plugins/pull?remote=x", Rule::NotOffered)],
        besides: "",
    },
    Cve {
        ids: "CVE-2026-41567",
        what: "an upload is unpacked by `xz` or `unpigz` out of the container, as root on the host",
        tries: &[Try {
            method: "PUT",
            target: "/v1.41/containers/web/archive?path=/tmp",
            body: Body::Bytes("application/x-tar", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46"),
            rule: Rule::Archive,
        }],
        besides: "",
    },
    Cve {
        ids: "CVE-2026-53488",
        what: "a label of an image becomes a command on the host when it is pulled",
        tries: &[
            post(
                "/v1.41/images/create?fromImage=evil/app&tag=1",
                Rule::ImageNotAllowed,
            ),
            create(r#"{"Image":"evil/app:1"}"#, Rule::ImageNotAllowed),
        ],
        besides: "",
    },
];

impl Try {
    fn request(&self) -> Request {
        let (content_type, body) = match self.body {
            Body::None => (None, Vec::new()),
            Body::Json(text) => (Some("application/json"), text.as_bytes().to_vec()),
            Body::Bytes(kind, bytes) => (Some(kind), bytes.to_vec()),
            Body::Large => {
                let text = format!(
                    r#"{{"Image":"allowed/app:1","Cmd":["{}"]}}"#,
                    "x".repeat(1 << 20)
                );
                (Some("application/json"), text.into_bytes())
            }
        };
        let headers = content_type.map(|kind| ("Content-Type".to_owned(), kind.to_owned()));
        Request {
            id: String::new(),
            class: String::new(),
            method: self.method.to_owned(),
            target: self.target.to_owned(),
            headers: headers.into_iter().collect(),
            body,
        }
    }
}

#[test]
fn every_request_that_triggers_a_known_escape_is_refused_by_its_rule() {
    for cve in TABLE {
        for attempt in cve.tries {
            let refusal = attempt.request().judge(&runner_with_exec());
            let rule = refusal.err().map(|refusal| refusal.rule);
            assert_eq!(
                rule,
                Some(attempt.rule),
                "{}: {} {}",
                cve.ids,
                attempt.method,
                attempt.target
            );
        }
    }
}

#[test]
fn the_page_of_known_escapes_is_this_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/gate/cves.md");
    let page = page();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(path, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page,
        "run `UPDATE_PAGES=1 cargo test -p cofferdam-action cves`"
    );
}

fn page() -> String {
    let mut page = String::from(
        "<!-- Written by `UPDATE_PAGES=1 cargo test -p cofferdam-action cves`. -->\n\
         # Known escapes\n\n\
         Vulnerabilities of container engines and runtimes that a request to the engine's API can trigger. The\n\
         requests of each are sent through the parser and the floor by the test\n\
         `every_request_that_triggers_a_known_escape_is_refused_by_its_rule`, which expects the rules in the\n\
         third column. Updating the engine remains the first thing to do.\n\n\
         | vulnerability | what it does | refused by | besides |\n|---|---|---|---|\n",
    );
    for cve in TABLE {
        let mut rules: Vec<String> = Vec::new();
        for attempt in cve.tries {
            let rule = format!("`{}`", attempt.rule);
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            cve.ids,
            cve.what,
            rules.join(", "),
            cve.besides
        );
    }
    page.push_str(
        "\nNot triggered by a request, and so not held here: CVE-2025-9074 (Docker Desktop's API open to\n\
         containers; the scanner looks for it, `reach.runtime-api`), CVE-2024-25621 and CVE-2025-64329 (local\n\
         to the host).\n",
    );
    page
}
