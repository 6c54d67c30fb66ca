//! Assessments for the tests of every renderer: a vulnerable service with a path to the host, with
//! texts in it that a hostile service would choose; a sound one; deployment files alone.

use self::findings::findings;
use cofferdam_assess::{
    Answer, Assessment, Deployment, FindingRef, Fix, Identity, Operation, Path, SCHEMA_VERSION,
    Side, Step, Tool, Workload, score,
};
use cofferdam_finding::{
    Condition, Confidence, Control, ControlStatus, Evidence, Fact, Facts, Finding, Meta, Place,
    RequestRecord, ResponseRecord, Severity, SourceLine, State, Truth,
};

mod findings;

/// What a hostile service puts wherever it can: markup, an escape sequence, a bidirectional
/// override, a C1 control, a quote of each kind.
pub(crate) const HOSTILE: &str =
    "</script><img src=x onerror=alert(1)>\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}live\u{9b}31m\"'`&";

/// A vulnerable container API: two ways to the host, one of them proven in two of three steps.
pub(crate) fn vulnerable() -> Assessment {
    let findings = findings();
    let controls = controls();
    let paths = paths(&findings);
    let fixes = fixes(&findings);
    let overall = score::overall(&findings, &paths, None);
    Assessment {
        schema_version: SCHEMA_VERSION.to_owned(),
        tool: tool(),
        target: Some("http://127.0.0.1:4711".to_owned()),
        started: "2026-11-24T09:15:00Z".to_owned(),
        elapsed_ms: 14_320,
        complete: true,
        incomplete_because: None,
        score: Some(overall),
        grade: Some(score::grade(overall)),
        scores: score::by_category(&findings, &controls),
        identities: ["alice", "bob", "no token", "garbage token"]
            .map(|name| Identity {
                name: name.to_owned(),
                scopes: if name == "alice" {
                    vec!["containers:read".to_owned()]
                } else {
                    Vec::new()
                },
            })
            .to_vec(),
        deployment: Some(deployment()),
        operations: operations(),
        controls,
        findings,
        paths,
        fixes,
        notes: vec![
            "the target answered 429 three times and was paced down to 20 requests a second"
                .to_owned(),
            format!("the description names another server, which was not followed: {HOSTILE}"),
        ],
        advice: vec![
            "with `--signing-key` of a staging issuer, tokens for another audience or from another issuer can be minted: 6 controls are untested without it".to_owned(),
        ],
        requests: 1204,
        assumed: None,
    }
}

/// The same service with everything closed.
pub(crate) fn sound() -> Assessment {
    let mut sound = vulnerable();
    sound.findings.clear();
    sound.paths.clear();
    sound.fixes.clear();
    sound.notes.clear();
    for control in &mut sound.controls {
        if control.status == ControlStatus::Failed {
            control.status = ControlStatus::Held;
            control.reason = "refused on 9 operations".to_owned();
        }
    }
    rescored(sound)
}

/// Only tentative paths: no deployment file, so the socket is a guess.
pub(crate) fn tentative() -> Assessment {
    let mut guessed = vulnerable();
    guessed.deployment = None;
    guessed.fixes.truncate(1);
    guessed.paths.truncate(1);
    guessed.fixes[0].cuts = vec!["P1".to_owned()];
    for path in &mut guessed.paths {
        path.confidence = Confidence::Tentative;
        path.assumes = vec![
            "sock.docker: Docker API socket reachable in the container".to_owned(),
            "engine.rootful: the engine runs as root".to_owned(),
        ];
        for step in &mut path.steps[1..] {
            step.confidence = Confidence::Tentative;
            step.evidence.clear();
            step.place = None;
        }
    }
    rescored(guessed)
}

/// An interrupted scan that reached nothing.
pub(crate) fn interrupted() -> Assessment {
    let mut empty = sound();
    empty.complete = false;
    empty.incomplete_because = Some("interrupted after 2 s".to_owned());
    empty.score = None;
    empty.grade = None;
    for operation in &mut empty.operations {
        operation.reached = false;
        operation.reason = Some("no answer within 10 s".to_owned());
        operation.answers.clear();
    }
    for control in &mut empty.controls {
        control.status = ControlStatus::Untested;
        control.reason = "nothing was reached".to_owned();
        control.operations = 0;
    }
    empty.scores = score::by_category(&[], &empty.controls);
    empty
}

/// Deployment files alone, from an assumed state.
pub(crate) fn posture() -> Assessment {
    let mut files = vulnerable();
    files.target = None;
    files.identities.clear();
    files.operations.clear();
    files.requests = 0;
    files.notes.clear();
    files.assumed = Some(State::Exec);
    files
        .findings
        .retain(|finding| finding.check.starts_with("posture."));
    files
        .controls
        .retain(|control| control.check.starts_with("posture."));
    files.paths.truncate(1);
    for path in &mut files.paths {
        path.from = State::Exec;
        path.steps.remove(0);
        path.confidence = Confidence::Firm;
        for step in &mut path.steps {
            step.confidence = Confidence::Firm;
        }
    }
    files.fixes.remove(0);
    files.fixes[0].id = "1".to_owned();
    files.fixes[0].cuts = vec!["P1".to_owned()];
    files.advice = vec!["`cofferdam scan` shows whether a caller of the API gets there".to_owned()];
    rescored(files)
}

/// Every assessment of this file.
pub(crate) fn all() -> [Assessment; 6] {
    [
        vulnerable(),
        sound(),
        tentative(),
        interrupted(),
        posture(),
        tangled(),
    ]
}

/// Many ways through many states, as a service with several holes in an open deployment has them.
pub(crate) fn tangled() -> Assessment {
    use State::{
        Exec, ExecRoot, FileRead, ForgedIdentity, Host, HostFileWrite, NodeCredentials,
        RuntimeControl, RuntimeRead, SsrfFull, SsrfUnix, TokenHolder, ToolControl,
    };
    let mut tangled = vulnerable();
    let ways: [&[State]; 9] = [
        &[TokenHolder, Exec, Host],
        &[TokenHolder, Exec, RuntimeControl, Host],
        &[TokenHolder, SsrfFull, RuntimeControl, Host],
        &[TokenHolder, SsrfUnix, RuntimeControl, Host],
        &[TokenHolder, Exec, ExecRoot, HostFileWrite, Host],
        &[TokenHolder, FileRead, NodeCredentials, Host],
        &[TokenHolder, ToolControl, RuntimeControl, Host],
        &[TokenHolder, FileRead, ForgedIdentity, RuntimeControl, Host],
        &[TokenHolder, SsrfFull, RuntimeRead, NodeCredentials, Host],
    ];
    let sample = tangled.paths[0].clone();
    tangled.paths = ways
        .iter()
        .enumerate()
        .map(|(index, way)| {
            let mut path = sample.clone();
            path.id = format!("P{}", index + 1);
            path.steps = way
                .windows(2)
                .map(|pair| Step {
                    from: pair[0],
                    to: pair[1],
                    title: format!("from {} to {}", pair[0], pair[1]),
                    finding: (pair[0] == TokenHolder).then(|| FindingRef {
                        check: format!("reach.{}", pair[1].id().replace('_', "-")),
                        fingerprint: sample.steps[0].finding.clone().unwrap().fingerprint,
                    }),
                    facts: match pair[0] {
                        TokenHolder => Vec::new(),
                        RuntimeControl => vec![Condition::EngineRootful],
                        _ => vec![Condition::SockDocker, Condition::UserRoot],
                    },
                    ..sample.steps[index % 3].clone()
                })
                .collect();
            path
        })
        .collect();
    let all: Vec<String> = tangled.paths.iter().map(|path| path.id.clone()).collect();
    tangled.fixes[0].cuts = all.clone();
    tangled.fixes[1].cuts = all;
    rescored(tangled)
}

fn rescored(mut assessment: Assessment) -> Assessment {
    let overall = score::overall(&assessment.findings, &assessment.paths, assessment.assumed);
    assessment.score = Some(overall);
    assessment.grade = Some(score::grade(overall));
    assessment.scores = score::by_category(&assessment.findings, &assessment.controls);
    assessment
}

fn tool() -> Tool {
    Tool {
        name: "cofferdam".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn meta(
    id: &'static str,
    title: &'static str,
    severity: Severity,
    remediation: &'static str,
    cwe: &'static [u16],
) -> Meta {
    Meta {
        id,
        title,
        severity,
        confidence: Confidence::Proven,
        since: "0.1.0",
        active: false,
        remediation,
        cwe,
        owasp_api: Some("API8:2023"),
        attack: &["T1611"],
    }
}

fn exchange(
    shows: &str,
    identity: &str,
    request: (&str, &str, &str),
    answer: (u16, &str),
) -> Evidence {
    let (method, target, body) = request;
    let mut evidence = Evidence::new(shows);
    evidence.identity = Some(identity.to_owned());
    evidence.request = Some(RequestRecord {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![
            ("host".to_owned(), "127.0.0.1:4711".to_owned()),
            (
                "authorization".to_owned(),
                "Bearer [redacted alice]".to_owned(),
            ),
        ],
        body: body.to_owned(),
    });
    evidence.response = Some(ResponseRecord {
        status: answer.0,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: answer.1.to_owned(),
        length: answer.1.len() as u64,
    });
    evidence
}

fn compose(line: u32, text: &str) -> SourceLine {
    SourceLine {
        file: "compose.yaml".to_owned(),
        line: Some(line),
        text: text.to_owned(),
    }
}

fn named(findings: &[Finding], check: &str) -> FindingRef {
    let finding = findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap();
    FindingRef {
        check: finding.check.clone(),
        fingerprint: finding.fingerprint.clone(),
    }
}

fn paths(findings: &[Finding]) -> Vec<Path> {
    let injection = &findings[0];
    let exec = Step {
        from: State::TokenHolder,
        to: State::Exec,
        title: injection.title.clone(),
        finding: Some(named(findings, "process.injection")),
        edge: None,
        facts: Vec::new(),
        container: None,
        confidence: Confidence::Proven,
        evidence: injection.evidence.clone(),
        place: injection.places.first().cloned(),
        assumes: Vec::new(),
        attack: vec!["T1059".to_owned()],
    };
    let socket = |from, confidence, title: &str| Step {
        from,
        to: State::RuntimeControl,
        title: title.to_owned(),
        finding: None,
        edge: Some("E01".to_owned()),
        facts: vec![Condition::SockDocker, Condition::UserDockergid],
        container: Some("api".to_owned()),
        confidence,
        evidence: vec![
            Evidence::new("/run of the host is mounted, with docker.sock in it")
                .source(compose(14, "- /run:/host/run")),
            Evidence::new("seen through step 1").observed("/host/run/docker.sock is a socket"),
        ],
        place: Some(Place::file("compose.yaml", Some(14), Some("api"))),
        assumes: Vec::new(),
        attack: vec!["T1611".to_owned()],
    };
    let host = Step {
        from: State::RuntimeControl,
        to: State::Host,
        title: "The engine runs as root and starts any container".to_owned(),
        finding: None,
        edge: Some("E01".to_owned()),
        facts: vec![Condition::EngineRootful],
        container: Some("api".to_owned()),
        confidence: Confidence::Firm,
        evidence: vec![
            Evidence::new("no user namespaces in SecurityOptions").source(SourceLine {
                file: "docker-info.json".to_owned(),
                line: None,
                text: String::new(),
            }),
        ],
        place: None,
        assumes: Vec::new(),
        attack: vec!["T1610".to_owned()],
    };
    let tool = Step {
        from: State::TokenHolder,
        to: State::ToolControl,
        title: "A tool of the model acts on containers".to_owned(),
        finding: Some(named(findings, "agent.acting-tool")),
        edge: None,
        facts: Vec::new(),
        container: None,
        confidence: Confidence::Tentative,
        evidence: findings[5].evidence.clone(),
        place: findings[5].places.first().cloned(),
        assumes: Vec::new(),
        attack: Vec::new(),
    };
    let tenant = Step {
        from: State::TokenHolder,
        to: State::OtherTenant,
        title: findings[2].title.clone(),
        finding: Some(named(findings, "object.foreign-read")),
        edge: None,
        facts: Vec::new(),
        container: None,
        confidence: Confidence::Proven,
        evidence: findings[2].evidence.clone(),
        place: findings[2].places.first().cloned(),
        assumes: Vec::new(),
        attack: Vec::new(),
    };
    let path = |id: &str, to, confidence, steps: Vec<Step>| Path {
        id: id.to_owned(),
        from: State::TokenHolder,
        to,
        confidence,
        container: Some("api".to_owned()),
        steps,
        assumes: Vec::new(),
    };
    let mut guessed = path(
        "P2",
        State::Host,
        Confidence::Tentative,
        vec![
            tool,
            socket(
                State::ToolControl,
                Confidence::Tentative,
                "The tool speaks to the runtime socket",
            ),
            host.clone(),
        ],
    );
    guessed.assumes = vec!["agent.shell_tool: LLM agent has a shell tool".to_owned()];
    vec![
        path(
            "P1",
            State::Host,
            Confidence::Firm,
            vec![
                exec,
                socket(
                    State::Exec,
                    Confidence::Proven,
                    "/run is mounted, with docker.sock in it",
                ),
                host,
            ],
        ),
        guessed,
        path("P3", State::OtherTenant, Confidence::Proven, vec![tenant]),
    ]
}

fn fixes(findings: &[Finding]) -> Vec<Fix> {
    vec![
        Fix {
            id: "1".to_owned(),
            title: "No shell: start the program with a fixed argument list".to_owned(),
            side: Side::Api,
            place: Some(Place::operation("POST", "/v1/diagnostics")),
            findings: vec![named(findings, "process.injection")],
            conditions: Vec::new(),
            container: None,
            cuts: vec!["P1".to_owned()],
        },
        Fix {
            id: "2".to_owned(),
            title: "Do not mount /run; act on containers through a gate".to_owned(),
            side: Side::Deployment,
            place: Some(Place::file("compose.yaml", Some(14), Some("api"))),
            findings: vec![named(findings, "posture.socket-mounted")],
            conditions: vec![Condition::SockDocker],
            container: None,
            cuts: vec!["P1".to_owned(), "P2".to_owned()],
        },
    ]
}

fn controls() -> Vec<Control> {
    let control = |check: &str, title: &str, status, reason: &str, operations| Control {
        check: check.to_owned(),
        title: title.to_owned(),
        status,
        reason: reason.to_owned(),
        operations,
    };
    use ControlStatus::{Failed, Held, Untested};
    vec![
        control(
            "token.absent",
            "A request without a token is accepted",
            Held,
            "refused on 24 operations",
            24,
        ),
        control(
            "token.outlived",
            "An expired token is accepted",
            Held,
            "refused on 9 operations",
            9,
        ),
        control(
            "token.unverified",
            "The signature of a token is never checked",
            Failed,
            "accepted on 9 operations",
            9,
        ),
        control(
            "token.addressee",
            "A token for another audience is accepted",
            Untested,
            "no --signing-key",
            0,
        ),
        control(
            "object.foreign-read",
            "An object of one tenant is readable with another's token",
            Failed,
            "1 of 4 operations",
            4,
        ),
        control(
            "process.injection",
            "A parameter is run by a shell",
            Failed,
            "1 of 3 operations",
            3,
        ),
        control(
            "posture.socket-mounted",
            "The runtime socket is mounted into the container",
            Failed,
            "compose.yaml:14",
            0,
        ),
        control(
            "posture.all-privileges",
            "A container is privileged",
            Held,
            "2 services",
            0,
        ),
    ]
}

fn operations() -> Vec<Operation> {
    let answer = |identity: &str, status, verdict: &str| Answer {
        identity: identity.to_owned(),
        status,
        verdict: verdict.to_owned(),
    };
    let operation = |method: &str, path: &str, alice: u16, bob: u16, line| {
        let meaning = |status: u16| match status {
            200..=299 => "accepted",
            403 => "forbidden",
            _ => "failed",
        };
        Operation {
            method: method.to_owned(),
            path: path.to_owned(),
            reached: alice < 300 || bob < 300,
            reason: (alice >= 300 && bob >= 300).then(|| "needs a queue".to_owned()),
            answers: vec![
                answer("alice", Some(alice), meaning(alice)),
                answer("bob", Some(bob), meaning(bob)),
                answer("no token", Some(401), "refused"),
                answer("garbage token", Some(401), "refused"),
            ],
            source: Some(Place::file("openapi.yaml", Some(line), None)),
        }
    };
    let mut echo = operation("GET", &format!("/v1/echo/{HOSTILE}"), 200, 200, 90);
    echo.answers[2] = answer("no token", None, "no answer");
    vec![
        operation("GET", "/v1/me", 200, 200, 12),
        operation("GET", "/v1/containers", 200, 200, 20),
        operation("GET", "/v1/containers/{id}", 200, 403, 31),
        operation("POST", "/v1/diagnostics", 200, 200, 58),
        operation("POST", "/v1/jobs", 503, 503, 70),
        echo,
        Operation {
            method: "DELETE".to_owned(),
            path: "/v1/containers/{id}".to_owned(),
            reached: false,
            reason: Some("needs --active".to_owned()),
            answers: Vec::new(),
            source: Some(Place::file("openapi.yaml", Some(44), None)),
        },
    ]
}

fn deployment() -> Deployment {
    let mut facts = Facts::new();
    let mut learn = |condition, truth, confidence, line, text: &str| {
        facts.learn(
            condition,
            Fact {
                truth,
                confidence,
                evidence: vec![Evidence::new("the file says so").source(compose(line, text))],
            },
        );
    };
    learn(
        Condition::Privileged,
        Truth::No,
        Confidence::Firm,
        9,
        "api:",
    );
    learn(
        Condition::MountRun,
        Truth::Yes,
        Confidence::Firm,
        14,
        "- /run:/host/run",
    );
    learn(
        Condition::SockDocker,
        Truth::Yes,
        Confidence::Proven,
        14,
        "- /run:/host/run",
    );
    learn(Condition::UserRoot, Truth::Yes, Confidence::Firm, 9, "api:");
    Deployment {
        files: vec!["compose.yaml".to_owned(), "docker-info.json".to_owned()],
        workloads: vec![
            Workload {
                name: "api".to_owned(),
                file: Some("compose.yaml".to_owned()),
                image: None,
                api: true,
                conditions: facts,
            },
            Workload {
                name: "db".to_owned(),
                file: Some("compose.yaml".to_owned()),
                image: None,
                api: false,
                conditions: Facts::new(),
            },
        ],
        chosen_because: "`api` publishes port 4711".to_owned(),
    }
}
