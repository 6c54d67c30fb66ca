//! A value that the caller sends is run as a command.
//!
//! # What it finds
//! Parameters and members of the body that end up in the command line of a shell: the host of a
//! `ping`, the branch of a `git`, a file name in a script.
//!
//! # Why it matters
//! The caller runs any program with the rights of the service, inside its container. What the
//! container may touch, a runtime socket above all, the caller may touch as well; unlike a read of a
//! file, a process can connect to that socket.
//!
//! # How it is proved
//! With `--active` only. The value gets a second command that prints the product of two random
//! numbers between two random marks. What is sent holds the factors, never the product, so an echo
//! of the value is no proof; the unchanged request is the control. Through the proven step, files in
//! `/proc` are read and paths are tested for sockets with what every shell has built in; nothing is
//! written and no program is started beside the shell. No delays are used.
//!
//! # How to fix
//! Start the program directly with a list of arguments, no shell between, and put `--` before what
//! the caller sent; better, call a library. Filtering characters does not hold.
//!
//! # References
//! - CWE-78 Improper Neutralization of Special Elements used in an OS Command
//! - CWE-88 Argument Injection
//! - ATT&CK T1059.004 Unix Shell, T1190 Exploit Public-Facing Application

use crate::probes::{
    self, Canary, Injection, Input, LiveReader, Spot, caller, find_text, injections, inputs,
    item_path, read_back, remove,
};
use crate::{Context, Halt, Level, Operation, Outcome, Reach, Request};
use cofferdam_finding::{
    Condition, Confidence, Evidence, Finding, Meta, Place, Severity, State, Truth,
};
use futures_util::future::BoxFuture;

pub(crate) static META: Meta = Meta {
    id: "reach.command-injection",
    title: "A value that the caller sends is run as a command",
    severity: Severity::Critical,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: true,
    remediation: "Start the program directly with a list of arguments and no shell between, with \
                  `--` before what the caller sent; better, call a library.",
    cwe: &[78, 88],
    owasp_api: Some("API8:2023"),
    attack: &["T1190", "T1059.004"],
};

/// Words in names of what ends up in command lines.
const PROCESS_WORDS: &[&str] = &[
    "cmd",
    "command",
    "exec",
    "execute",
    "host",
    "hostname",
    "target",
    "ip",
    "domain",
    "ping",
    "args",
    "arg",
    "arguments",
    "flags",
    "script",
    "shell",
    "interface",
    "branch",
    "dns",
    "lookup",
    "traceroute",
    "expr",
    "expression",
];

/// Words of what may. Each try of an unsafe request could make something, so these count only
/// where a request changes nothing.
const WEAKER_WORDS: &[&str] = &[
    "addr", "address", "option", "options", "ref", "repo", "run", "tool", "server", "probe",
    "check", "filter", "pattern", "query", "format", "file", "filename", "path", "name",
];

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    if cx.options().level < Level::Active {
        return Ok(Outcome::untested(
            "needs --active: it runs a command where the flaw is",
        ));
    }
    let mut candidates = Vec::new();
    for operation in cx
        .operations()
        .iter()
        .filter(|operation| cx.may_send(operation))
    {
        let who = caller(cx, operation);
        let Some(request) = cx.request(operation, who) else {
            continue;
        };
        for input in inputs(operation, &request) {
            let likely = likelihood(operation, &input);
            if likely > 0 {
                let request = request.clone();
                candidates.push((
                    likely,
                    Candidate {
                        operation,
                        request,
                        input,
                        who,
                    },
                ));
            }
        }
    }
    candidates.sort_by_key(|(likely, _)| std::cmp::Reverse(*likely));
    let tried = candidates.iter().filter(|(likely, _)| *likely > 1).count();
    let results = cx
        .each(candidates, |(likely, candidate)| async move {
            let at_most = match likely {
                1 => 2,
                2 => 6,
                _ => 9,
            };
            let proof = candidate.prove(cx, at_most).await?;
            Ok(proof.map(|proof| (candidate, proof)))
        })
        .await?;

    let mut causes: Vec<(Candidate<'_>, Proof, Vec<Place>)> = Vec::new();
    for (candidate, proof) in results.into_iter().flatten() {
        let place = candidate.input.place(cx, candidate.operation);
        match causes.iter_mut().find(|(known, _, _)| {
            known.input.name == candidate.input.name
                && known.operation.path == candidate.operation.path
        }) {
            Some((_, _, places)) => places.push(place),
            None => causes.push((candidate, proof, vec![place])),
        }
    }
    for (candidate, proof, places) in causes {
        let shell = Shell {
            cx,
            candidate: &candidate,
            proof: &proof,
        };
        let finding = Finding::new(&META, places, proof.evidence.clone())
            .described(format!(
                "`{}` of {} reaches a shell: a command behind {} was run",
                candidate.input.name, candidate.operation, proof.way.name
            ))
            .grants([State::Exec]);
        // Kept before more is asked, in case the scan ends there.
        cx.report(finding.clone());
        if proof.spot.is_none() {
            continue;
        }
        let facts = probes::posture_of(cx, &shell).await?;
        cx.learn(&facts);
        if facts.truth(Condition::UserRoot) == Truth::Yes {
            cx.report(finding.grants([State::ExecRoot]));
        }
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation that may be sent takes what a process could get",
        ));
    }
    Ok(Outcome::tried(u32::try_from(tried).unwrap_or(u32::MAX)))
}

struct Candidate<'a> {
    operation: &'a Operation,
    request: Request,
    input: Input,
    who: usize,
}

struct Proof {
    way: Injection,
    /// Where the output stands in the answer itself; `None` when it was read later.
    spot: Option<Spot>,
    evidence: Vec<Evidence>,
}

impl Candidate<'_> {
    fn inject(&self, way: &Injection, command: &str) -> Request {
        let example = self.input.example.as_deref().unwrap_or("x");
        self.input
            .put(self.operation, &self.request, &way.value(example, command))
    }

    async fn prove(&self, cx: &Context, at_most: usize) -> Result<Option<Proof>, Halt> {
        for way in injections(at_most) {
            let canary = Canary::new(cx);
            let expected = canary.expected();
            let exchange = cx.send_fresh(self.inject(&way, &canary.shell())).await?;
            let here = find_text(&exchange, |text| text.contains(&expected).then_some(()));
            let made = exchange.status() == Some(201);
            let later = match &here {
                // What is queued tells its output later.
                None if matches!(exchange.status(), Some(201 | 202)) => {
                    read_back(cx, self.operation, &exchange, self.who)
                        .await?
                        .into_iter()
                        .find(|later| probes::shown(later, &expected))
                }
                _ => None,
            };
            if made {
                remove(cx, self.operation, &exchange, self.who).await?;
            }
            let proving = match (&here, &later) {
                (Some(_), _) => &exchange,
                (None, Some(later)) => later,
                (None, None) => continue,
            };
            let mut evidence = Vec::new();
            if later.is_some() {
                evidence.push(cx.evidence("the command is sent here", &exchange));
            }
            evidence.push(cx.evidence_of(
                "a product comes back of which only the factors were sent",
                proving,
                &expected,
            ));
            let plain = cx.send_fresh(self.request.clone()).await?;
            evidence.push(cx.evidence("control: the unchanged request", &plain));
            return Ok(Some(Proof {
                way,
                spot: here.map(|(spot, ())| spot),
                evidence,
            }));
        }
        Ok(None)
    }
}

/// How likely `input` gets into a command line: 3 and 2 are tried in full, 1 with a few, 0 not.
fn likelihood(operation: &Operation, input: &Input) -> u8 {
    if !input.is_free() || is_command_of_an_object(operation, input) {
        return 0;
    }
    let tagged = operation.reaches(Reach::Process);
    let named = input.named(PROCESS_WORDS)
        || (operation.is_safe() && !input.in_path() && input.named(WEAKER_WORDS));
    match (tagged, named) {
        (true, true) => 3,
        (true, false) => 2,
        // An identifier in the path is looked up, not run.
        (false, true) if !input.in_path() => 2,
        (false, _) if operation.is_safe() => 1,
        _ => 0,
    }
}

/// Whether `input` is a command by design: that of a container which the caller names, or which
/// the request makes. It runs there, not in the service.
fn is_command_of_an_object(operation: &Operation, input: &Input) -> bool {
    input.named(&[
        "cmd",
        "command",
        "entrypoint",
        "args",
        "arguments",
        "script",
        "shell",
    ]) && (item_path(&operation.path).is_some()
        || operation.body.as_ref().is_some_and(|body| {
            let text = format!(
                "{} {}",
                body.schema["properties"],
                body.example.clone().unwrap_or_default()
            );
            text.contains("\"image\"") || text.contains("\"Image\"")
        }))
}

/// Runs more through the proven flaw.
struct Shell<'a> {
    cx: &'a Context,
    candidate: &'a Candidate<'a>,
    proof: &'a Proof,
}

impl Shell<'_> {
    /// What `command` prints. The marks around it are computed, so that an echo has none.
    async fn output(
        &self,
        command: &str,
    ) -> Result<Option<(String, std::sync::Arc<crate::Exchange>)>, Halt> {
        let (start, end) = (Canary::new(self.cx), Canary::new(self.cx));
        let script = format!("{};{command};{}", start.shell(), end.shell());
        let exchange = self
            .cx
            .send_fresh(self.candidate.inject(&self.proof.way, &script))
            .await?;
        let (start, end) = (start.expected(), end.expected());
        let found = self
            .proof
            .spot
            .as_ref()
            .and_then(|spot| spot.read(&exchange))
            .and_then(|text| {
                let (_, rest) = text.split_once(&start)?;
                let (output, _) = rest.split_once(&end)?;
                Some(output.trim_matches(['\r', '\n']).to_owned())
            });
        Ok(found.map(|output| (output, exchange)))
    }

    async fn read_file(&self, path: &str) -> Result<Option<(String, Evidence)>, Halt> {
        // No `cat`: the shell may stand alone in its root. A last line without its end counts too;
        // zero bytes, as in `environ`, do not pass through a variable of the shell.
        let command = if path.ends_with("/environ") {
            format!("tr '\\0' '\\n' <{path}")
        } else {
            format!("while IFS= read -r l||[ -n \"$l\" ];do echo \"$l\";done <{path}")
        };
        let Some((output, exchange)) = self.output(&command).await? else {
            return Ok(None);
        };
        if output.is_empty() {
            return Ok(None);
        }
        let evidence = self.cx.evidence(format!("{path} is read"), &exchange);
        Ok(Some((output, evidence)))
    }

    async fn find_socket(&self, path: &str) -> Result<Option<Evidence>, Halt> {
        let there = Canary::new(self.cx);
        let command = format!("[ -S {path} ]&&{}", there.shell());
        let Some((output, exchange)) = self.output(&command).await? else {
            return Ok(None);
        };
        let expected = there.expected();
        Ok(output.contains(&expected).then(|| {
            self.cx
                .evidence_of(format!("{path} is a socket"), &exchange, &expected)
        }))
    }
}

impl LiveReader for Shell<'_> {
    fn read<'a>(
        &'a self,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Option<(String, Evidence)>, Halt>> {
        Box::pin(self.read_file(path))
    }

    fn socket<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Evidence>, Halt>> {
        Box::pin(self.find_socket(path))
    }
}

#[cfg(test)]
pub(crate) fn samples() -> crate::testing::Samples {
    use crate::testing::{Request, Response, Sample, Samples, api};
    use serde_json::json;
    use std::process::Command;

    let description = || {
        api(
            json!({ "/diagnostics": { "post": { "summary": "Run a network check",
            "requestBody": { "required": true, "content": { "application/json": {
                "schema": { "type": "object", "properties": { "target": { "type": "string" } } },
                "example": { "target": "127.0.0.1" }
        } } } } } }),
        )
    };
    let refused = || Response::json(401, json!({ "error": "token required" }));
    let target = |request: &Request| {
        let body = request.json().unwrap_or_default();
        body["target"].as_str().unwrap_or_default().to_owned()
    };
    // The sample's shell is a real one. All that the check sends is printing and reading.
    let shell = |line: String| {
        let output = Command::new("sh")
            .arg("-c")
            .arg(line)
            .env_clear()
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let active = |options: &mut crate::ScanOptions| options.level = Level::Active;
    Samples::new()
        .flawed(
            Sample::new("a shell line", description(), move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                Response::json(
                    200,
                    json!({ "output": shell(format!("echo checking {}", target(request))) }),
                )
            })
            .options(active)
            .reports(["POST /diagnostics (target)"]),
        )
        .flawed(
            Sample::new(
                "in double quotes",
                description(),
                move |request: &Request| {
                    if request.subject().is_none() {
                        return refused();
                    }
                    Response::text(200, shell(format!("echo \"checking {}\"", target(request))))
                },
            )
            .options(active)
            .reports(["POST /diagnostics (target)"]),
        )
        .sound(
            Sample::new(
                "a list of arguments",
                description(),
                move |request: &Request| {
                    if request.subject().is_none() {
                        return refused();
                    }
                    let output = Command::new("echo").arg(target(request)).output().unwrap();
                    Response::text(200, String::from_utf8_lossy(&output.stdout).into_owned())
                },
            )
            .options(active),
        )
        .sound(
            Sample::new(
                "an echo and a fixed output",
                description(),
                move |request: &Request| {
                    if request.subject().is_none() {
                        return refused();
                    }
                    let error = format!("bad host `{}`; uid=0(root) gid=0(root)", target(request));
                    Response::json(400, json!({ "error": error }))
                },
            )
            .options(active),
        )
}

#[cfg(test)]
mod tests {
    use crate::Level;
    use crate::testing::{Request, Response, Sample, api, scanned};
    use cofferdam_finding::{Condition, Confidence, Truth};
    use serde_json::json;
    use std::process::Command;

    #[tokio::test]
    async fn a_proven_command_tells_how_the_process_is_confined() {
        let description = api(json!({ "/checks": { "post": {
            "requestBody": { "required": true, "content": { "application/json": {
                "schema": { "type": "object", "properties": { "host": { "type": "string" } } },
                "example": { "host": "127.0.0.1" }
        } } } } } }));
        let sample = Sample::new("a shell line", description, |request: &Request| {
            if request.subject().is_none() {
                return Response::json(401, json!({ "error": "token required" }));
            }
            let body = request.json().unwrap_or_default();
            let line = format!("echo {}", body["host"].as_str().unwrap_or_default());
            let output = Command::new("sh")
                .arg("-c")
                .arg(line)
                .env_clear()
                .output()
                .unwrap();
            Response::json(
                200,
                json!({ "output": String::from_utf8_lossy(&output.stdout) }),
            )
        })
        .options(|options| options.level = Level::Active);
        let scan = scanned(super::META.id, sample).await;
        assert_eq!(scan.findings.len(), 1);
        // Whatever this machine is, its own `/proc` says so.
        let fact = scan.facts.fact(Condition::UserRoot).unwrap();
        assert_eq!(fact.confidence, Confidence::Proven);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
        assert_eq!(fact.truth, if root { Truth::Yes } else { Truth::No });
    }
}
