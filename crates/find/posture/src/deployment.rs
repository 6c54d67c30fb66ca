//! Deployment files, joined: one workload per container, whichever files speak of it.

use crate::engine::Engine;
use crate::input::{Format, Input, Parsed, parse};
use crate::rules::{self, Subject};
use crate::settings::{At, PublishedPort, Settings};
use crate::{Error, conditions};
use cofferdam_finding::{Facts, Finding};
use serde::{Deserialize, Serialize};

/// Most files of one reading.
pub const MAX_INPUTS: usize = 64;

/// What the deployment files say, all of them together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The files, as they were named, and what each turned out to be.
    pub files: Vec<File>,
    /// The containers, in the order in which the files name them.
    pub workloads: Vec<Workload>,
    /// What `docker info` says; absent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineReport>,
    /// What was not read and may matter, one sentence each.
    pub notes: Vec<String>,
}

/// One file of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// As the user named it.
    pub name: String,
    /// What it turned out to be.
    pub format: Format,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The compose service, else the container's name.
    pub name: String,
    /// Where it is described, in the order of the files.
    pub sources: Vec<cofferdam_finding::SourceLine>,
    /// Its image, where a file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The ports that the host offers on its behalf.
    pub published: Vec<PublishedPort>,
    /// The conditions that hold, that do not, and why.
    pub facts: Facts,
    /// What the rules say.
    pub findings: Vec<Finding>,
    /// The workloads with which it shares a writable volume, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares_volumes_with: Vec<String>,
}

/// The engine that runs the containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineReport {
    /// The host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The engine's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The conditions that hold for every container of this engine. They are part of every
    /// workload's facts.
    pub facts: Facts,
    /// What the rules say about the engine.
    pub findings: Vec<Finding>,
}

impl Deployment {
    /// Reads deployment files, whatever they are called, and joins them.
    ///
    /// Containers of `docker inspect` are joined with the compose service that their label names,
    /// else by the container's name; `docker info` holds for all of them.
    ///
    /// # Errors
    /// The first file that is not read, and why. More than [`MAX_INPUTS`] files or a file above
    /// [`crate::MAX_INPUT_BYTES`] are refused.
    pub fn read(inputs: &[Input<'_>]) -> Result<Self, Error> {
        if let Some(extra) = inputs.get(MAX_INPUTS) {
            return Err(Error::NotADeployment {
                file: extra.name.to_owned(),
                what: "one file too many",
                advice: "give at most 64 deployment files",
            });
        }
        let mut deployment = Deployment::default();
        let mut compose: Vec<Settings> = Vec::new();
        let mut inspected: Vec<Settings> = Vec::new();
        let mut engine: Option<Engine> = None;
        for input in inputs {
            let parsed = parse(*input)?;
            deployment.files.push(File {
                name: input.name.to_owned(),
                format: parsed.format(),
            });
            match parsed {
                Parsed::Compose(file) => {
                    compose.extend(file.services);
                    deployment.notes.extend(file.notes);
                }
                Parsed::Inspect(containers) => inspected.extend(containers),
                Parsed::Engine(found) if engine.is_none() => engine = Some(*found),
                Parsed::Engine(_) => deployment.notes.push(format!(
                    "{}: a second docker info is not used: one engine at a time",
                    input.name
                )),
            }
        }
        deployment.join(&compose, &inspected, engine.as_ref());
        Ok(deployment)
    }

    /// The workload of this name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|workload| workload.name == name)
    }

    /// The workloads that publish `port` on the host. Where none does, every workload that
    /// publishes any port, since a proxy of the host may stand before it; where there is none
    /// either, all of them.
    pub fn candidates(&self, port: Option<u16>) -> Vec<&Workload> {
        let by = |wanted: &dyn Fn(&PublishedPort) -> bool| -> Vec<&Workload> {
            self.workloads
                .iter()
                .filter(|workload| workload.published.iter().any(wanted))
                .collect()
        };
        let exact = by(&|published| port.is_some() && published.host == port);
        if !exact.is_empty() {
            return exact;
        }
        let any = by(&|_| true);
        if any.is_empty() {
            self.workloads.iter().collect()
        } else {
            any
        }
    }

    fn join(&mut self, compose: &[Settings], inspected: &[Settings], engine: Option<&Engine>) {
        let mut groups: Vec<(String, Vec<&Settings>)> = Vec::new();
        for settings in compose.iter().chain(inspected) {
            let known = groups
                .iter_mut()
                .find(|(name, members)| is_of(settings, name, members));
            match known {
                Some((_, members)) => members.push(settings),
                None => {
                    let service = settings.service.as_ref().unwrap_or(&settings.name);
                    let taken = groups.iter().any(|(name, _)| name == service);
                    let name = if taken { &settings.name } else { service };
                    groups.push((name.clone(), vec![settings]));
                }
            }
        }
        let of_compose: Vec<&Settings> = compose.iter().collect();
        let of_inspect: Vec<&Settings> = inspected.iter().collect();
        let engine_facts = engine.map(conditions::of_engine).unwrap_or_default();
        for (name, members) in &groups {
            let mut facts = Facts::new();
            for member in members {
                let file = match member.origin {
                    crate::Origin::Compose => &of_compose,
                    crate::Origin::Inspect => &of_inspect,
                };
                facts.merge(&conditions::of(member, file, engine));
            }
            facts.merge(&engine_facts);
            let sharers = sharers(name, &groups);
            self.workloads.push(workload(name, members, facts, sharers));
        }
        if let Some(engine) = engine {
            self.engine = Some(EngineReport {
                name: engine.name.clone(),
                version: engine.version.clone(),
                findings: rules::engine_findings(&engine_facts, &engine.at.file),
                facts: engine_facts,
            });
        }
    }
}

/// Whether a description is of the container that `members` describe: the same service of the same
/// project, as far as both name one, or the same container name.
fn is_of(settings: &Settings, name: &str, members: &[&Settings]) -> bool {
    let service = settings.service.as_deref().unwrap_or(&settings.name);
    let same_project = members.iter().all(|member| {
        member.project.is_none() || settings.project.is_none() || member.project == settings.project
    });
    let same_service = members
        .iter()
        .any(|member| member.service.as_deref().unwrap_or(name) == service);
    let same_name = members.iter().any(|member| {
        member.container_name.is_some() && member.container_name == settings.container_name
    });
    same_name || (same_service && same_project)
}

fn workload(name: &str, members: &[&Settings], facts: Facts, shares: Vec<String>) -> Workload {
    let mut published: Vec<PublishedPort> = Vec::new();
    for At { value, .. } in members.iter().flat_map(|member| &member.published) {
        if !published.contains(value) {
            published.push(value.clone());
        }
    }
    let findings = rules::workload_findings(&Subject {
        name,
        facts: &facts,
        descriptions: members,
    });
    Workload {
        name: name.to_owned(),
        sources: members.iter().map(|member| member.at.clone()).collect(),
        image: members
            .iter()
            .find_map(|member| member.image.as_ref().map(|image| image.value.clone())),
        published,
        facts,
        findings,
        shares_volumes_with: shares,
    }
}

fn sharers(name: &str, groups: &[(String, Vec<&Settings>)]) -> Vec<String> {
    use crate::settings::MountSource;
    let volumes = |members: &[&Settings], writable: bool| -> Vec<String> {
        members
            .iter()
            .flat_map(|member| &member.mounts)
            .filter(|mount| !(writable && mount.value.read_only))
            .filter_map(|mount| match &mount.value.source {
                MountSource::Volume(volume) if !volume.is_empty() => Some(volume.clone()),
                _ => None,
            })
            .collect()
    };
    let Some((_, own)) = groups.iter().find(|(known, _)| known == name) else {
        return Vec::new();
    };
    let own = volumes(own, true);
    groups
        .iter()
        .filter(|(other, _)| other != name)
        .filter(|(_, members)| {
            volumes(members, false)
                .iter()
                .any(|volume| own.contains(volume))
        })
        .map(|(other, _)| other.clone())
        .collect()
}

/// What the rules say of a container that was read live, or of facts from anywhere else.
pub fn findings(name: &str, facts: &Facts) -> Vec<Finding> {
    rules::workload_findings(&Subject {
        name,
        facts,
        descriptions: &[],
    })
}
