//! The deployment, read through a proven flaw: `/proc`, sockets, the service-account token.

use crate::{Context, Halt, Jwt};
use cofferdam_finding::{Condition, Confidence, Evidence, Fact, Facts, Truth};
use cofferdam_posture::{LiveFile, LiveProc, SocketProbe, environ_names};
use futures_util::future::BoxFuture;

/// A way to look at the inside that a check has proven.
pub(crate) trait LiveReader: Sync {
    /// The content of a file and the proof of the read; `None` when it cannot be read.
    fn read<'a>(&'a self, path: &'a str)
    -> BoxFuture<'a, Result<Option<(String, Evidence)>, Halt>>;

    /// The proof that a socket is at `path`; `None` when none is shown to be.
    fn socket<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Evidence>, Halt>>;
}

/// Where runtimes put their sockets, and where deployments mount them.
const SOCKETS: &[&str] = &[
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/host/run/docker.sock",
    "/host/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
];

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What the deployment is, as far as `reader` can tell; every fact `proven`. Secrets are looked at
/// and not kept.
pub(crate) async fn posture_of(cx: &Context, reader: &dyn LiveReader) -> Result<Facts, Halt> {
    let read = async |path: &'static str| -> Result<Option<LiveFile>, Halt> {
        let found = reader.read(path).await?;
        Ok(found.map(|(text, evidence)| LiveFile {
            text,
            evidence: vec![evidence],
        }))
    };
    let mut live = LiveProc {
        status: read("/proc/self/status").await?,
        mountinfo: read("/proc/self/mountinfo").await?,
        attr_current: read("/proc/self/attr/current").await?,
        uid_map: read("/proc/self/uid_map").await?,
        cgroup: read("/proc/self/cgroup").await?,
        comm: read("/proc/1/comm").await?,
        ..LiveProc::default()
    };
    live.environ_names = read("/proc/self/environ").await?.map(without_values);
    let mounted = live
        .mountinfo
        .as_ref()
        .map(|file| sockets_of(&file.text))
        .unwrap_or_default();
    let mut seen = std::collections::BTreeSet::new();
    for path in SOCKETS.iter().map(|path| (*path).to_owned()).chain(mounted) {
        if !seen.insert(path.clone()) {
            continue;
        }
        if let Some(evidence) = reader.socket(&path).await? {
            live.sockets.push(SocketProbe {
                path,
                exists: true,
                evidence: vec![evidence],
            });
        }
    }
    let mut facts = live.facts();
    if let Some((text, evidence)) = reader.read(TOKEN).await?
        && let Some(jwt) = Jwt::read(text.trim())
    {
        let whose = jwt.text("sub").unwrap_or("a service account").to_owned();
        let evidence = without_body(evidence, "[a token; it is not kept]")
            .observed(format!("the token of {}", cx.redact(&whose)));
        let fact = Fact {
            truth: Truth::Yes,
            confidence: Confidence::Proven,
            evidence: vec![evidence],
        };
        facts.learn(Condition::SaAutomount, fact);
    }
    Ok(facts)
}

/// The names of the variables alone, in the text and in the proof.
fn without_values(file: LiveFile) -> LiveFile {
    let raw = match file.text.contains('\0') {
        true => file.text,
        // A shell printed one a line.
        false => file.text.replace('\n', "\0"),
    };
    let names = environ_names(raw.as_bytes());
    let evidence = file
        .evidence
        .into_iter()
        .map(|piece| {
            without_body(
                piece,
                "[names and values of variables; the values are not kept]",
            )
        })
        .collect();
    LiveFile {
        text: names.join("\n"),
        evidence,
    }
}

fn without_body(mut evidence: Evidence, instead: &str) -> Evidence {
    if let Some(response) = &mut evidence.response {
        instead.clone_into(&mut response.body);
    }
    evidence.observed = None;
    evidence
}

/// Paths at which a mount may show a runtime socket: the socket itself, or one below a directory
/// of the host in which runtimes keep theirs. The format is that of proc_pid_mountinfo(5).
fn sockets_of(mountinfo: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in mountinfo.lines() {
        let mut fields = line.split(' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else {
            continue;
        };
        let plain = |path: &str| {
            path.starts_with('/')
                && path
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
        };
        if !plain(point) || point == "/" {
            continue;
        }
        let below = |path: &str| format!("{}/{path}", point.trim_end_matches('/'));
        if point.ends_with(".sock") || root.ends_with(".sock") {
            found.push(point.to_owned());
        } else if matches!(root, "/run" | "/var/run") || point.ends_with("/run") {
            found.push(below("docker.sock"));
            found.push(below("containerd/containerd.sock"));
            found.push(below("podman/podman.sock"));
            found.push(below("crio/crio.sock"));
        } else if root == "/"
            && !["/proc", "/sys", "/dev", "/etc"]
                .iter()
                .any(|own| point.starts_with(own))
        {
            found.push(below("run/docker.sock"));
            found.push(below("run/containerd/containerd.sock"));
        }
    }
    found.truncate(16);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_finding::ResponseRecord;

    #[test]
    fn a_mount_says_where_a_socket_may_be() {
        let text = "\
            36 35 0:31 / / rw,relatime - overlay overlay rw\n\
            40 36 0:5 / /proc rw - proc proc rw\n\
            41 36 8:1 /run /host/run rw,relatime - tmpfs tmpfs rw\n\
            42 36 0:25 /docker.sock /engine.sock rw - tmpfs tmpfs rw\n\
            43 36 8:1 / /mnt/node rw - ext4 /dev/sda1 rw\n\
            44 36 8:1 /etc/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n\
            broken line";
        let found = sockets_of(text);
        for path in [
            "/host/run/docker.sock",
            "/engine.sock",
            "/mnt/node/run/docker.sock",
        ] {
            assert!(found.iter().any(|known| known == path), "{path}: {found:?}");
        }
        assert!(
            !found
                .iter()
                .any(|path| path.starts_with("/proc") || path.starts_with("/etc"))
        );
    }

    #[test]
    fn the_values_of_variables_are_gone_from_text_and_proof() {
        for text in [
            "PATH=/bin\0DB_PASSWORD=hunter22\0",
            "PATH=/bin\nDB_PASSWORD=hunter22",
        ] {
            let mut evidence = Evidence::new("read").observed("DB_PASSWORD=hunter22");
            evidence.response = Some(ResponseRecord {
                status: 200,
                headers: Vec::new(),
                body: text.to_owned(),
                length: 30,
            });
            let file = without_values(LiveFile {
                text: text.to_owned(),
                evidence: vec![evidence],
            });
            assert_eq!(file.text, "PATH\nDB_PASSWORD");
            assert!(!format!("{file:?}").contains("hunter22"));
        }
    }
}
