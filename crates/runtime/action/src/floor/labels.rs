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
    "io.containers",
    "io.cri-containerd",
    "io.cri-o",
    "io.kubernetes",
    "io.podman",
    "org.cofferdam",
    "org.systemd",
    "podman_systemd_unit",
    "run.oci",
];

/// Bytes of all keys and values together. The engine repeats them in everybody's lists and in each
/// event of the object.
const LABELS: usize = 64 << 10;

impl Judge<'_> {
    pub(super) fn labels(&self, labels: &Labels, field: &str) -> Result<(), Refusal> {
        let texts = labels.0.iter().flat_map(|(key, value)| [key, value]);
        text_at_most(LABELS, texts.map(|text| text.len())).map_err(|refusal| refusal.at(field))?;
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

/// Refuses texts that have more than so many bytes together.
pub(super) fn text_at_most(
    bytes: usize,
    texts: impl Iterator<Item = usize>,
) -> Result<(), Refusal> {
    match texts.sum::<usize>() > bytes {
        true => Err(Refusal::new(
            Rule::TextLimit,
            format!(
                "it has more than {} KiB of text; put it into a file or a volume",
                bytes >> 10
            ),
        )),
        false => Ok(()),
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
        rule_of(key, "")
    }

    fn rule_of(key: &str, value: &str) -> Option<Rule> {
        let (config, caller) = (FloorConfig::default(), Caller::default());
        let judge = Judge {
            config: &config,
            caller: &caller,
            host_paths: vec![],
            exceptions: vec![],
        };
        let labels = Labels([(key.to_owned(), value.to_owned())].into());
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
            "com.datadoghq.ad.logs",
            "co.elastic.logs/enabled",
            "deck-chores.dump.command",
        ] {
            assert_eq!(rule(key), Some(Rule::LabelController), "{key}");
        }
        for key in [
            "com.cofferdam.owner",
            "COM.COFFERDAM.x",
            "io.kubernetes.pod.name",
            "com.cofferdam",
            "PODMAN_SYSTEMD_UNIT",
            "io.containers.autoupdate",
            "io.containers.capabilities",
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

    #[test]
    fn labels_are_not_larger_than_lists_and_events_can_carry() {
        assert_eq!(rule_of("key", &"x".repeat(LABELS - 3)), None);
        let one_more = "x".repeat(LABELS - 2);
        assert_eq!(rule_of("key", &one_more), Some(Rule::TextLimit));
        assert_eq!(rule_of(&one_more, "key"), Some(Rule::TextLimit));
    }
}
