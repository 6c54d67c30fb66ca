//! A file outside of the served directory is read by naming it.
//!
//! # What it finds
//! Parameters, parts of the path and members of the body that name a file, where `..`, an absolute
//! path, or an encoding of one of them leads out of the directory that is meant to be served.
//!
//! # Why it matters
//! The caller reads what the process can read: its configuration and keys, `/proc/self/environ`
//! with the secrets of the deployment, the service-account token, and everything of the host that is
//! mounted. `/proc` also tells how the container is confined, and so which way out is open.
//!
//! # How it is proved
//! A file that is on nearly every Linux system is named, and the answer holds a line of its grammar
//! (the superuser in passwd(5), the identification in os-release(5), a process's status in proc(5)).
//! The same request for a file that cannot exist does not, the path without the climb does not, and
//! the unchanged request did not. The same file under another spelling of its path, or a second file
//! with a grammar of its own, is answered in the same way. Through the proven read, the scan then
//! reads how the container is deployed; values of secrets are not kept.
//!
//! # How to fix
//! Do not build a path from what the caller sent. Look the name up in a list of what may be served,
//! or open it below the served directory with `openat2` and `RESOLVE_BENEATH`. Comparing text is not
//! enough: encodings and symbolic links lead around it.
//!
//! # References
//! - CWE-22 Improper Limitation of a Pathname to a Restricted Directory
//! - CWE-73 External Control of File Name or Path
//! - openat2(2), `RESOLVE_BENEATH`
//! - ATT&CK T1552.001 Credentials In Files, T1613 Container and Resource Discovery

use crate::probes::{
    self, Input, KNOWN_FILES, KnownFile, LiveReader, Spot, Technique, caller, find_text, inputs,
    techniques,
};
use crate::{Context, Exchange, Halt, Operation, Outcome, Protection, Reach, Request};
use cofferdam_finding::{Confidence, Evidence, Finding, Meta, Severity, State};
use futures_util::future::BoxFuture;
use std::sync::Arc;

pub(crate) static META: Meta = Meta {
    id: "reach.path-traversal",
    title: "A file outside of the served directory is read by naming it",
    severity: Severity::High,
    confidence: Confidence::Proven,
    since: "0.1.0",
    active: false,
    remediation: "Look the name up in a list of what may be served, or open it below the served \
                  directory with `openat2` and `RESOLVE_BENEATH`; never join a path with what the \
                  caller sent.",
    cwe: &[22, 73],
    owasp_api: Some("API1:2023"),
    attack: &["T1190", "T1552.001", "T1613"],
};

/// Words in names of what takes a file.
const FILE_WORDS: &[&str] = &[
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "filepath",
    "dir",
    "directory",
    "folder",
    "template",
    "page",
    "document",
    "doc",
    "include",
    "download",
    "log",
    "logfile",
    "attachment",
    "asset",
    "resource",
    "artifact",
    "manifest",
    "theme",
    "locale",
    "lang",
    "language",
    "image",
    "img",
    "source",
    "src",
    "report",
    "export",
    "backup",
    "view",
    "static",
    "media",
    "upload",
];

pub(crate) async fn run(cx: &Context) -> Result<Outcome, Halt> {
    let mut candidates = Vec::new();
    for operation in cx
        .operations()
        .iter()
        .filter(|operation| cx.may_send(operation))
    {
        let Some(request) = cx.request(operation, caller(cx, operation)) else {
            continue;
        };
        for input in inputs(operation, &request) {
            let likely = likelihood(operation, &input);
            if likely > 0 {
                candidates.push((
                    likely,
                    Candidate {
                        operation,
                        request: request.clone(),
                        input,
                    },
                ));
            }
        }
    }
    candidates.sort_by_key(|(likely, _)| std::cmp::Reverse(*likely));
    let tried = candidates.iter().filter(|(likely, _)| *likely > 1).count();
    let results = cx
        .each(candidates, |(likely, candidate)| async move {
            let proof = candidate.prove(cx, likely).await?;
            Ok(proof.map(|proof| (candidate, proof)))
        })
        .await?;

    let mut causes: Vec<(Candidate<'_>, Proof, Vec<cofferdam_finding::Place>)> = Vec::new();
    for (candidate, proof) in results.into_iter().flatten() {
        let place = candidate.input.place(cx, candidate.operation);
        let same = causes.iter_mut().find(|(known, known_proof, _)| {
            known.input.name == candidate.input.name
                && known_proof.technique.name == proof.technique.name
        });
        match same {
            // The same name misused in the same way is most likely the same code.
            Some((_, _, places)) => places.push(place),
            None => causes.push((candidate, proof, vec![place])),
        }
    }
    for (candidate, proof, places) in causes {
        let open = matches!(
            cx.baseline(candidate.operation).protection,
            Protection::Public
        );
        let mut description = format!(
            "`{}` of {} takes {}, and the content of `{}` comes back",
            candidate.input.name, candidate.operation, proof.technique.name, proof.file.path
        );
        if open {
            description.push_str("; no token is needed");
        }
        let reader = Reader {
            cx,
            candidate: &candidate,
            proof: &proof,
        };
        cx.report(
            Finding::new(&META, places, proof.evidence.clone())
                .described(description)
                .grants([State::FileRead]),
        );
        let facts = probes::posture_of(cx, &reader).await?;
        cx.learn(&facts);
    }
    if tried == 0 {
        return Ok(Outcome::untested(
            "no operation that may be sent takes the name of a file",
        ));
    }
    Ok(Outcome::tried(u32::try_from(tried).unwrap_or(u32::MAX)))
}

/// One input that could name a file, with the request that it is a part of.
struct Candidate<'a> {
    operation: &'a Operation,
    request: Request,
    input: Input,
}

struct Proof {
    technique: Technique,
    file: KnownFile,
    spot: Spot,
    evidence: Vec<Evidence>,
}

impl Candidate<'_> {
    async fn name(
        &self,
        cx: &Context,
        technique: &Technique,
        file: &str,
    ) -> Result<Arc<Exchange>, Halt> {
        let value = technique.value(file, self.input.example.as_deref());
        cx.send(self.input.put_raw(self.operation, &self.request, &value))
            .await
    }

    /// Tries the ways out, the likely ones first, and stops at the first proof.
    async fn prove(&self, cx: &Context, likely: u8) -> Result<Option<Proof>, Halt> {
        let ways = techniques(&self.input);
        let (ways_first, others): (usize, usize) = match likely {
            0 | 1 => (2, 0),
            2 => (4, 2),
            _ => (ways.len(), 4),
        };
        let first = KNOWN_FILES[0];
        for technique in ways.iter().take(ways_first) {
            if let Some(proof) = self.prove_one(cx, *technique, first, likely).await? {
                return Ok(Some(proof));
            }
        }
        // Small images have no passwd file.
        for file in &KNOWN_FILES[1..] {
            for technique in ways.iter().take(others) {
                if let Some(proof) = self.prove_one(cx, *technique, *file, likely).await? {
                    return Ok(Some(proof));
                }
            }
        }
        Ok(None)
    }

    async fn prove_one(
        &self,
        cx: &Context,
        technique: Technique,
        file: KnownFile,
        likely: u8,
    ) -> Result<Option<Proof>, Halt> {
        let probe = self.name(cx, &technique, file.path).await?;
        if probe.status().is_none_or(|status| status >= 500) {
            return Ok(None);
        }
        let Some((spot, line)) = find_text(&probe, file.telling) else {
            return Ok(None);
        };
        let tells = |exchange: &Exchange| {
            find_text(exchange, file.telling).is_some_and(|(_, found)| found == line)
        };

        // What holds the line without having read the file: the unchanged answer, a document about
        // the name, a fixed text for whatever has dots in it.
        if tells(&*cx.send(self.request.clone()).await?) {
            return Ok(None);
        }
        let parent = file.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let absent_path = format!("{parent}/{}", cx.nonce());
        let absent = self.name(cx, &technique, &absent_path).await?;
        if find_text(&absent, file.telling).is_some() {
            return Ok(None);
        }
        let bare = file.path.trim_start_matches('/');
        let bare = cx
            .send(self.input.put(self.operation, &self.request, bare))
            .await?;
        if tells(&bare) {
            return Ok(None);
        }

        // The same file under another name, which a list of texts does not know but the system does.
        let base = file.path.rsplit('/').next().unwrap_or_default();
        let again = self
            .name(cx, &technique, &format!("{parent}/./{base}"))
            .await?;
        let same = tells(&again);
        let second = match KNOWN_FILES.iter().find(|known| known.path != file.path) {
            Some(known) if !same || likely < 2 => {
                let exchange = self.name(cx, &technique, known.path).await?;
                find_text(&exchange, known.telling).map(|_| exchange)
            }
            _ => None,
        };
        let confirmed = match (&second, same, likely) {
            (Some(exchange), _, _) => exchange,
            (None, true, 2..) => &again,
            _ => return Ok(None),
        };
        let evidence = vec![
            cx.evidence_of(
                format!("{} is answered with its content", file.path),
                &probe,
                &line,
            ),
            cx.evidence(
                "control: a file that does not exist is not answered",
                &absent,
            ),
            cx.evidence(
                "another name or another file of the system is answered as well",
                confirmed,
            ),
        ];
        Ok(Some(Proof {
            technique,
            file,
            spot,
            evidence,
        }))
    }
}

/// How likely `input` names a file: 3 and 2 are tried in full, 1 with a few payloads, 0 not.
fn likelihood(operation: &Operation, input: &Input) -> u8 {
    if !input.is_free() {
        return 0;
    }
    let tagged = operation.reaches(Reach::File);
    let named = input.named(FILE_WORDS)
        || input.hints_at("file")
        || input.hints_at("directory")
        || input.hints_at("path ");
    let looks = input.example.as_deref().is_some_and(|example| {
        let name = example.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').is_some_and(|(stem, end)| {
            !stem.is_empty()
                && (1..=5).contains(&end.len())
                && end.chars().all(char::is_alphanumeric)
                && !end.chars().all(char::is_numeric)
        })
    });
    match (tagged, named, looks) {
        (true, true, _) | (_, true, true) | (true, _, true) => 3,
        (_, true, _) | (true, ..) | (_, _, true) => 2,
        // Every other text of a request that changes nothing gets a small set.
        _ if operation.is_safe() => 1,
        // A URL may be one of a file.
        _ if operation.reaches(Reach::Outbound) && input.named(&["url", "uri"]) => 1,
        _ => 0,
    }
}

/// Reads more through the proven flaw.
struct Reader<'a> {
    cx: &'a Context,
    candidate: &'a Candidate<'a>,
    proof: &'a Proof,
}

impl Reader<'_> {
    async fn read_file(&self, path: &str) -> Result<Option<(String, Evidence)>, Halt> {
        let exchange = self
            .candidate
            .name(self.cx, &self.proof.technique, path)
            .await?;
        if !probes::succeeded(&exchange) {
            return Ok(None);
        }
        let Some(text) = self
            .proof
            .spot
            .read(&exchange)
            .filter(|text| !text.is_empty())
        else {
            return Ok(None);
        };
        let absent = format!("{path}-{}", self.cx.nonce());
        let absent = self
            .candidate
            .name(self.cx, &self.proof.technique, &absent)
            .await?;
        if self.proof.spot.read(&absent).as_deref() == Some(text.as_str()) {
            return Ok(None);
        }
        let evidence = self.cx.evidence(format!("{path} is read"), &exchange);
        Ok(Some((text, evidence)))
    }

    /// A socket cannot be opened as a file: ENXIO, where an absent path gives ENOENT.
    async fn find_socket(&self, path: &str) -> Result<Option<Evidence>, Halt> {
        let exchange = self
            .candidate
            .name(self.cx, &self.proof.technique, path)
            .await?;
        let says = |exchange: &Exchange| {
            let text = exchange.text();
            ["os error 6)", "No such device or address", "ENXIO"]
                .into_iter()
                .find(|words| text.contains(words))
        };
        let Some(words) = says(&exchange) else {
            return Ok(None);
        };
        let absent = format!("{path}-{}", self.cx.nonce());
        let absent = self
            .candidate
            .name(self.cx, &self.proof.technique, &absent)
            .await?;
        if says(&absent).is_some() {
            return Ok(None);
        }
        Ok(Some(self.cx.evidence_of(
            format!(
                "{path} is a socket: opening it fails with ENXIO, while an absent path is not found"
            ),
            &exchange,
            words,
        )))
    }
}

impl LiveReader for Reader<'_> {
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

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:100:100::/srv:/bin/false\n";
    let files = |path: &str| match path {
        "/srv/files/readme.txt" => Some("welcome".to_owned()),
        "/etc/passwd" => Some(PASSWD.to_owned()),
        "/etc/os-release" => Some("NAME=\"Sample\"\nID=sample\n".to_owned()),
        _ => None,
    };
    /// Resolves `.` and `..` the way the kernel does, in a pretend system of three files.
    fn resolve(path: &str) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }
    let by_query = || {
        api(json!({ "/files": { "get": { "parameters": [
            { "name": "name", "in": "query", "required": true, "description": "the file to read",
              "schema": { "type": "string" }, "example": "readme.txt" }
        ] } } }))
    };
    let by_path = || {
        api(json!({ "/files/{name}": { "get": { "parameters": [
            { "name": "name", "in": "path", "required": true,
              "schema": { "type": "string" }, "example": "readme.txt" }
        ] } } }))
    };
    let refused = || Response::json(401, json!({ "error": "token required" }));
    let absent = || {
        Response::json(
            404,
            json!({ "error": "No such file or directory (os error 2)" }),
        )
    };
    let content = move |text: Option<String>| match text {
        Some(text) => Response::json(200, json!({ "content": text })),
        None => absent(),
    };
    Samples::new()
        .flawed(
            Sample::new("joined query", by_query(), move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                let name = request.query("name").unwrap_or_default();
                content(files(&resolve(&format!("/srv/files/{name}"))))
            })
            .reports(["GET /files (name)"]),
        )
        .flawed(
            Sample::new(
                "encoded slashes in the path",
                by_path(),
                move |request: &Request| {
                    if request.subject().is_none() {
                        return refused();
                    }
                    let name = request.path().trim_start_matches("/files/").to_owned();
                    let name = percent_encoding::percent_decode_str(&name)
                        .decode_utf8_lossy()
                        .into_owned();
                    match files(&resolve(&format!("/srv/files/{name}"))) {
                        Some(text) => Response::text(200, text),
                        None => absent(),
                    }
                },
            )
            .reports(["GET /files/{name} (name)"]),
        )
        .flawed(
            Sample::new(
                "dots are taken out once",
                by_query(),
                move |request: &Request| {
                    if request.subject().is_none() {
                        return refused();
                    }
                    let name = request.query("name").unwrap_or_default().replace("../", "");
                    content(files(&resolve(&format!("/srv/files/{name}"))))
                },
            )
            .reports(["GET /files (name)"]),
        )
        .sound(Sample::new(
            "held below the directory",
            by_query(),
            move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                let name = request.query("name").unwrap_or_default();
                let path = resolve(&format!("/srv/files/{name}"));
                content(
                    path.starts_with("/srv/files/")
                        .then(|| files(&path))
                        .flatten(),
                )
            },
        ))
        .sound(Sample::new(
            "a fixed text for dots",
            by_query(),
            move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                let name = request.query("name").unwrap_or_default();
                if name.contains("..") || name.starts_with('/') {
                    return content(Some(PASSWD.to_owned()));
                }
                content(files(&format!("/srv/files/{name}")))
            },
        ))
        .sound(Sample::new(
            "documents about the file",
            by_query(),
            move |request: &Request| {
                if request.subject().is_none() {
                    return refused();
                }
                let name = request.query("name").unwrap_or_default();
                if name.contains("passwd") {
                    let text = format!("The file begins with this line:\n{PASSWD}");
                    return Response::json(
                        200,
                        json!({ "hits": [{ "title": "passwd(5)", "text": text }] }),
                    );
                }
                Response::json(200, json!({ "hits": [{ "title": name }] }))
            },
        ))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Request, Response, Sample, api, scanned};
    use cofferdam_finding::{Condition, Confidence, Truth};
    use serde_json::json;

    fn container(path: &str) -> Result<&'static str, &'static str> {
        match path {
            "/etc/os-release" => Ok("NAME=\"Sample\"\nID=sample\n"),
            "/proc/self/status" => Ok(
                "Name:\tapi\nPid:\t1\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0\n\
                 CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\nThreads:\t2\n",
            ),
            "/proc/self/mountinfo" => Ok("36 35 0:31 / / rw,relatime - overlay overlay rw\n\
                 41 36 0:25 / /host/run rw,relatime - tmpfs tmpfs rw\n"),
            "/proc/self/environ" => Ok("PATH=/bin\0JWT_SECRET=u7Tq9-very-hidden\0"),
            "/var/run/secrets/kubernetes.io/serviceaccount/token" => Ok(
                "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6cHJvZDphcGkifQ.c2lnbmF0dXJl",
            ),
            "/host/run/docker.sock" => Err("No such device or address (os error 6)"),
            _ => Err("No such file or directory (os error 2)"),
        }
    }

    #[tokio::test]
    async fn a_proven_read_tells_how_the_container_is_deployed_and_keeps_no_secret() {
        let description = api(json!({ "/files": { "get": { "parameters": [
            { "name": "path", "in": "query", "required": true, "schema": { "type": "string" },
              "example": "/srv/a.txt" }
        ] } } }));
        let sample = Sample::new("reads any path", description, |request: &Request| {
            if request.subject().is_none() {
                return Response::json(401, json!({ "error": "token required" }));
            }
            let path = request
                .query("path")
                .unwrap_or_default()
                .replace("/./", "/");
            match container(&path) {
                Ok(text) => Response::json(200, json!({ "content": text })),
                Err(error) => Response::json(404, json!({ "error": error })),
            }
        });
        let scan = scanned(super::META.id, sample).await;
        assert_eq!(scan.findings.len(), 1);
        for (condition, truth) in [
            (Condition::UserRoot, Truth::Yes),
            (Condition::SockDocker, Truth::Yes),
            (Condition::SecretsEnv, Truth::Yes),
            (Condition::SaAutomount, Truth::Yes),
            (Condition::SeccompOff, Truth::No),
            (Condition::SockContainerd, Truth::Unknown),
        ] {
            assert_eq!(scan.facts.truth(condition), truth, "{condition}");
        }
        let fact = scan.facts.fact(Condition::SockDocker).unwrap();
        assert_eq!(fact.confidence, Confidence::Proven);
        let kept = serde_json::to_string(&scan).unwrap();
        assert!(!kept.contains("very-hidden") && !kept.contains("c2lnbmF0dXJl"));
    }
}
