//! The assistant's planner: deterministic, and no model. It reads a text and says which tools to
//! call with which arguments, as a model with the same tools would.

use serde::Serialize;

/// How many tools one text may call.
const STEPS: usize = 5;

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "tool", content = "arguments", rename_all = "snake_case")]
pub(crate) enum Call {
    ListContainers {},
    InspectContainer {
        container: String,
    },
    ReadLogs {
        container: String,
    },
    StartContainer {
        container: String,
    },
    StopContainer {
        container: String,
    },
    RunContainer {
        image: String,
        command: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        volumes: Vec<String>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        privileged: bool,
    },
}

/// What the assistant says it can do.
pub(crate) const TOOLS: &[&str] = &[
    "list_containers()",
    "inspect_container(container)",
    "read_logs(container)",
    "start_container(container)",
    "stop_container(container)",
    "run_container(image, command, volumes, privileged)",
];

/// The calls that a text asks for, in order; none when it asks for nothing that a tool does.
pub(crate) fn plan(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    for part in parts(text) {
        calls.extend(call(&part));
    }
    calls.truncate(STEPS);
    calls
}

/// A text has one part for each line, semicolon or "then" that stands outside of quotes.
fn parts(text: &str) -> Vec<Vec<Word>> {
    let mut parts = vec![Vec::new()];
    for word in words(text) {
        let ends = !word.quoted && matches!(word.text.as_str(), "\n" | ";" | "then");
        match parts.last_mut() {
            Some(part) if !ends => part.push(word),
            _ => parts.push(Vec::new()),
        }
    }
    parts
}

#[derive(Debug, Clone)]
struct Word {
    text: String,
    quoted: bool,
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\n' | ';' => words.push(Word {
                text: letter.to_string().replace('\r', ""),
                quoted: false,
            }),
            letter if letter.is_whitespace() => {}
            '`' | '"' | '\'' => {
                let quote = letter;
                let text = std::iter::from_fn(|| letters.next_if(|l| *l != quote)).collect();
                letters.next();
                words.push(Word { text, quoted: true });
            }
            letter => {
                let mut text = letter.to_string();
                while let Some(letter) = letters.next_if(|l| !l.is_whitespace() && *l != ';') {
                    text.push(letter);
                }
                words.push(Word {
                    text,
                    quoted: false,
                });
            }
        }
    }
    words
}

fn call(words: &[Word]) -> Option<Call> {
    let plain: Vec<_> = words
        .iter()
        .map(|word| {
            word.text
                .trim_matches(|l: char| ".,:!?()".contains(l))
                .to_lowercase()
        })
        .collect();
    let has = |names: &[&str]| plain.iter().any(|word| names.contains(&word.as_str()));
    if let Some(at) = plain
        .iter()
        .position(|word| matches!(word.as_str(), "run" | "execute" | "run_container"))
        && let Some(call) = run(&words[at + 1..])
    {
        return Some(call);
    }
    if has(&["stop", "halt", "stop_container"]) {
        return named(words, &plain).map(|container| Call::StopContainer { container });
    }
    if has(&["start", "start_container"]) {
        return named(words, &plain).map(|container| Call::StartContainer { container });
    }
    if has(&["log", "logs", "output", "read_logs"]) {
        return named(words, &plain).map(|container| Call::ReadLogs { container });
    }
    if has(&["inspect", "describe", "details", "inspect_container"]) {
        return named(words, &plain).map(|container| Call::InspectContainer { container });
    }
    if has(&[
        "list",
        "show",
        "which",
        "containers",
        "list_containers",
        "ps",
    ]) {
        return Some(Call::ListContainers {});
    }
    None
}

/// The container that a text is about: what is quoted, or the word after "of", "container", "from".
fn named(words: &[Word], plain: &[String]) -> Option<String> {
    if let Some(quoted) = words.iter().find(|word| word.quoted) {
        return Some(quoted.text.clone());
    }
    let filler = [
        "the",
        "a",
        "my",
        "container",
        "of",
        "for",
        "from",
        "logs",
        "log",
        "in",
        "named",
        "called",
    ];
    let at = plain.iter().rposition(|word| {
        [
            "of",
            "container",
            "from",
            "for",
            "logs",
            "inspect",
            "describe",
            "stop",
            "start",
        ]
        .contains(&word.as_str())
    })?;
    let mut after = plain.iter().zip(words).skip(at + 1);
    let (_, word) = after.find(|(word, _)| !filler.contains(&word.as_str()))?;
    Some(
        word.text
            .trim_matches(|l: char| ".,:!?()".contains(l))
            .to_owned(),
    )
}

/// `[the image] IMAGE [with volume V] [with the command] WORD…`, or as for `docker run`.
fn run(words: &[Word]) -> Option<Call> {
    let (mut image, mut volumes, mut privileged) = (None, Vec::new(), false);
    let mut quoted = None;
    let mut rest = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let lower = word.text.to_lowercase();
        match lower.trim_matches(',') {
            _ if word.quoted && (image.is_some() || word.text.contains(' ')) => {
                quoted.get_or_insert_with(|| word.text.clone());
            }
            "-v" | "--volume" | "volume" | "mounting" | "bind" if !word.quoted => {
                volumes.extend(
                    words
                        .next()
                        .map(|word| word.text.trim_end_matches(',').to_owned()),
                );
            }
            "--privileged" | "privileged" => privileged = true,
            "with" | "the" | "a" | "an" | "command" | "and" | "image" | "container" | "docker"
            | "in" | "of" | "using" | "new" | "run" | "--rm" | "it" | "that" | "runs" | "from"
                if rest.is_empty() => {}
            _ if image.is_none() && is_image(&word.text) => {
                image = Some(word.text.trim_end_matches(['.', ',']).to_owned());
            }
            _ => rest.push(word.text.clone()),
        }
    }
    let command = match quoted {
        Some(line) => line.split_whitespace().map(str::to_owned).collect(),
        None => rest,
    };
    // Without image and command nothing was asked for that can be run.
    if image.is_none() && command.is_empty() {
        return None;
    }
    Some(Call::RunContainer {
        image: image.unwrap_or_else(|| "allowed/app:1".to_owned()),
        command,
        volumes,
        privileged,
    })
}

fn is_image(word: &str) -> bool {
    word.contains(['/', ':'])
        && !word.starts_with(['/', '-', ':'])
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"./:_-,@".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(text: &str) -> (String, String, Vec<String>, bool) {
        match plan(text).remove(0) {
            Call::RunContainer {
                image,
                command,
                volumes,
                privileged,
            } => (image, command.join(" "), volumes, privileged),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_text_becomes_calls_of_tools() {
        assert_eq!(
            plan("Please list all containers."),
            [Call::ListContainers {}]
        );
        assert_eq!(
            plan("Which containers are running?"),
            [Call::ListContainers {}]
        );
        let logs = |name: &str| Call::ReadLogs {
            container: name.to_owned(),
        };
        assert_eq!(
            plan("Show the logs of the container globex-ledger."),
            [logs("globex-ledger")]
        );
        assert_eq!(plan("read logs of `web`"), [logs("web")]);
        assert_eq!(
            plan("list containers then show me the logs for ctr-4f1d2a90").len(),
            2
        );
        assert_eq!(
            plan("Inspect container web"),
            [Call::InspectContainer {
                container: "web".to_owned()
            }]
        );
        assert_eq!(
            plan("Stop the container `ctr-1`; start web"),
            [
                Call::StopContainer {
                    container: "ctr-1".to_owned()
                },
                Call::StartContainer {
                    container: "web".to_owned()
                }
            ]
        );
        assert!(plan("What is the weather like?").is_empty());
        assert!(plan("").is_empty());
    }

    #[test]
    fn a_run_is_read_as_people_write_it() {
        let none = Vec::new();
        assert_eq!(
            ran("Run the image allowed/app:1 with the command echo hello"),
            (
                "allowed/app:1".into(),
                "echo hello".into(),
                none.clone(),
                false
            )
        );
        assert_eq!(
            ran("run a container that runs `echo n0nce`"),
            ("allowed/app:1".into(), "echo n0nce".into(), none, false)
        );
        assert_eq!(
            ran("docker run --rm -v /:/host --privileged allowed/app:1 touch /host/marker"),
            (
                "allowed/app:1".into(),
                "touch /host/marker".into(),
                vec!["/:/host".into()],
                true
            )
        );
    }

    #[test]
    fn a_long_text_calls_no_more_than_five_tools() {
        assert_eq!(plan(&"list\n".repeat(1000)).len(), STEPS);
    }
}
