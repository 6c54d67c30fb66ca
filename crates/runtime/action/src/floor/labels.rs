//! Labels: data of the caller, but for those that others obey.

use super::Judge;
use crate::refusal::{Refusal, Rule, quote};
use crate::value::Labels;

/// Words that mark ownership here, or that runtimes read as orders.
const RESERVED: &[&str] = &[
    "com.cofferdam",
    "com.docker.desktop",
    "com.docker.extension",
    "com.docker.stack",
    "com.docker.swarm",
    "com.nvidia",
    "io.cofferdam",
    "io.containerd",
    "io.cri-containerd",
    "io.cri-o",
    "io.kubernetes",
    "io.podman",
    "org.cofferdam",
    "org.systemd",
    "run.oci",
];

impl Judge<'_> {
    pub(super) fn labels(&self, labels: &Labels, field: &str) -> Result<(), Refusal> {
        for key in labels.0.keys() {
            let at = |refusal: Refusal| refusal.at(format!("{field}[{}]", quote(key)));
            if RESERVED.iter().any(|word| continues(key, word)) {
                return Err(at(Refusal::new(
                    Rule::LabelReserved,
                    "it marks ownership or steers the runtime; choose another label",
                )));
            }
            if self
                .config
                .labels
                .controllers
                .iter()
                .any(|word| continues(key, word))
            {
                return Err(at(Refusal::new(
                    Rule::LabelController,
                    "a controller on the host acts on it; ask the operator",
                )));
            }
        }
        Ok(())
    }
}

/// Whether `key` is `word`, or goes on after it with something that is no letter or digit. Case
/// does not count: some controllers fold it.
fn continues(key: &str, word: &str) -> bool {
    let Some(head) = key.get(..word.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(word)
        && !key[word.len()..].starts_with(|letter: char| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::{Caller, FloorConfig};

    fn rule(key: &str) -> Option<Rule> {
        let (config, caller) = (FloorConfig::default(), Caller::default());
        let judge = Judge {
            config: &config,
            caller: &caller,
            host_paths: vec![],
            exceptions: vec![],
        };
        let labels = Labels([(key.to_owned(), String::new())].into());
        judge
            .labels(&labels, "Labels")
            .err()
            .map(|refusal| refusal.rule)
    }

    #[test]
    fn labels_that_others_obey_are_refused() {
        for key in [
            "traefik.http.routers.x.rule",
            "Traefik.enable",
            "caddy",
            "caddy_0",
            "ofelia.job-exec.x",
        ] {
            assert_eq!(rule(key), Some(Rule::LabelController), "{key}");
        }
        for key in [
            "com.cofferdam.owner",
            "COM.COFFERDAM.x",
            "io.kubernetes.pod.name",
            "com.cofferdam",
        ] {
            assert_eq!(rule(key), Some(Rule::LabelReserved), "{key}");
        }
    }

    #[test]
    fn other_labels_are_data() {
        for key in [
            "a",
            "Key",
            "com.docker.compose.project",
            "org.testcontainers",
            "caddyshack",
            "é",
            "",
        ] {
            assert_eq!(rule(key), None, "{key}");
        }
    }
}
