//! The model of an assessment: everything that a report shows, in the shape of the JSON report.
//!
//! Member names are public. They may grow in number; none is renamed, removed or given another
//! meaning without a new major number in [`SCHEMA_VERSION`].

use cofferdam_finding::{
    Condition, Confidence, Control, Evidence, Facts, Finding, Place, Severity, State,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The version of the JSON report, `major.minor`, a string so that `1.10` follows `1.9`. A member
/// more raises the minor number; anything that could break a reader raises the major one.
pub const SCHEMA_VERSION: &str = "1.0";

/// One assessment: of a running service, of its deployment files, or of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: String,
    /// What made it.
    pub tool: Tool,
    /// The base URL that was scanned, without credentials; absent when only files were read.
    pub target: Option<String>,
    /// When it started, RFC 3339 in UTC.
    pub started: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether everything that was asked for was done. When it is false, what stands here is true
    /// but not all.
    pub complete: bool,
    /// Why it is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete_because: Option<String>,
    /// 0 to 100, higher is better; absent when nothing was reached and no file was read.
    pub score: Option<u8>,
    /// The letter of `score`.
    pub grade: Option<Grade>,
    /// The same per category of checks (the part of a check's id before the point).
    pub scores: BTreeMap<String, CategoryScore>,
    /// As whom requests were sent, in the order of the columns of `operations`.
    pub identities: Vec<Identity>,
    /// What the deployment files say; absent when none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// What was reached as whom, in the order of the inventory.
    pub operations: Vec<Operation>,
    /// What held, what failed and what could not be told, by check.
    pub controls: Vec<Control>,
    /// What was found, the worst and surest first.
    pub findings: Vec<Finding>,
    /// The ways to what an attacker wants: those to the host first, of these the firm ones first,
    /// then the cheapest first; after them the cheapest way to each other harm.
    pub paths: Vec<Path>,
    /// The cheapest set of fixes after which no path to the host is left that is at least firm, or,
    /// where none is firm, no path at all. Empty when no fix is known for one of them.
    pub fixes: Vec<Fix>,
    /// What a reader should know about how this came about.
    pub notes: Vec<String>,
    /// What a second identity, a signing key or a deployment file would add.
    pub advice: Vec<String>,
    /// How many requests were sent.
    pub requests: u64,
    /// The state that paths start from where no scan showed one (`cofferdam posture --assume`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed: Option<State>,
}

/// The program that made a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `cofferdam`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One identity, or the absence of one, as whom requests were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name that the user gave it, or `no token`, `garbage token`.
    pub name: String,
    /// The scopes that its holder should have, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// A letter for a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grade {
    /// 90 and above.
    A,
    /// 75 to 89.
    B,
    /// 60 to 74.
    C,
    /// 40 to 59.
    D,
    /// Below 40, and whenever a path to the host is at least firm.
    F,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Grade::A => "A",
            Grade::B => "B",
            Grade::C => "C",
            Grade::D => "D",
            Grade::F => "F",
        })
    }
}

/// The score of one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryScore {
    /// 0 to 100; absent when nothing of the category could be tested.
    pub score: Option<u8>,
    /// The letter of `score`.
    pub grade: Option<Grade>,
    /// Findings of the category that count: those at `firm` or above.
    pub findings: u32,
}

/// What the deployment files say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The files, by the names that the user gave.
    pub files: Vec<String>,
    /// The containers that they describe, and the one that was read through a flaw.
    pub workloads: Vec<Workload>,
    /// Why those with `api` set were taken for the API.
    pub chosen_because: String,
}

/// One container of the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The compose service or container name.
    pub name: String,
    /// The file that describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its image, where a file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether paths start in it. More than one when it could not be told which one the API is.
    pub api: bool,
    /// What is known of its conditions; what is absent is unknown.
    pub conditions: Facts,
}

/// One operation of the API and what each identity got from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The method.
    pub method: String,
    /// The path template.
    pub path: String,
    /// Whether a valid identity got the answer that is meant for one who may.
    pub reached: bool,
    /// Why it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What each identity got. An identity that is absent did not ask.
    pub answers: Vec<Answer>,
    /// Where the API description declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Place>,
}

/// What one identity got from one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The name of the identity.
    pub identity: String,
    /// The status code; absent when no answer came.
    pub status: Option<u16>,
    /// What the answer means: `accepted`, `refused`, `forbidden`, `not found`, …
    pub verdict: String,
}

/// One way from where an attacker starts to what they want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// `P1`, `P2`, … within this report.
    pub id: String,
    /// Where it starts.
    pub from: State,
    /// Where it ends.
    pub to: State,
    /// That of its least sure step.
    pub confidence: Confidence,
    /// The container that it runs through, where the deployment files told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The steps, in order; never empty.
    pub steps: Vec<Step>,
    /// What it takes for given and nothing told, as sentences. Not empty: at most tentative.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<String>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What the attacker holds before it.
    pub from: State,
    /// What the attacker holds after it.
    pub to: State,
    /// What makes it possible, one line.
    pub title: String,
    /// The finding that makes it possible, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<FindingRef>,
    /// The edge of the attack graph's data, where a fact makes it possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<String>,
    /// The conditions of the deployment that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Condition>,
    /// The container whose conditions they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// How sure it is.
    pub confidence: Confidence,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// The operation or the line of a file where it is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The conditions that it takes for given, since nothing tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<Condition>,
    /// ATT&CK technique ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attack: Vec<String>,
}

/// A finding of the same report, by its ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRef {
    /// Its check.
    pub check: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

/// Something to do, after which paths are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// `1`, `2`, … within this report, the one that cuts most first.
    pub id: String,
    /// What to do, one line.
    pub title: String,
    /// Whose work it is: `api` or `deployment`.
    pub side: Side,
    /// Where to do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The findings that it mends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingRef>,
    /// The conditions that it takes away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The container that it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The ids of the paths that fall with it alone.
    pub cuts: Vec<String>,
}

/// Whose work a fix is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The code of the API.
    Api,
    /// The deployment files or the host.
    Deployment,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Side::Api => "api",
            Side::Deployment => "deployment",
        })
    }
}

impl Assessment {
    /// The severity of the worst finding that is at least `confidence` sure. With
    /// [`Confidence::Firm`] it decides the exit status.
    pub fn worst(&self, confidence: Confidence) -> Option<Severity> {
        self.findings
            .iter()
            .filter(|finding| finding.confidence >= confidence)
            .map(|finding| finding.severity)
            .max()
    }

    /// The paths to the host, the cheapest first.
    pub fn paths_to_host(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(|path| path.to == State::Host)
    }

    /// How sure the paths to the host are that `fixes` cut: all that are at least firm, or, where
    /// none is, all.
    pub fn fixed_level(&self) -> Confidence {
        let firm = |path: &Path| path.confidence >= Confidence::Firm;
        if self.paths_to_host().any(firm) {
            Confidence::Firm
        } else {
            Confidence::Tentative
        }
    }

    /// How many paths to the host `fixes` cut together, and how many, all tentative, are left.
    pub fn cut_and_left(&self) -> (usize, usize) {
        let level = self.fixed_level();
        let (cut, left): (Vec<&Path>, Vec<&Path>) = self.paths_to_host().partition(|path| {
            path.confidence >= level || self.fixes.iter().any(|fix| fix.cuts.contains(&path.id))
        });
        (cut.len(), left.len())
    }

    /// The finding that a step or a fix names.
    pub fn finding(&self, named: &FindingRef) -> Option<&Finding> {
        self.findings
            .iter()
            .find(|finding| finding.fingerprint == named.fingerprint)
    }
}
