//! What the engine says of itself and what therefore holds for every container.

use crate::engine::Engine;
use cofferdam_finding::{Condition, Confidence, Fact, Facts, Truth};

/// The facts of the engine that hold for every container.
pub(crate) fn of_engine(engine: &Engine) -> Facts {
    let mut facts = Facts::new();
    let mut learn = |condition, truth, confidence, evidence| {
        facts.learn(
            condition,
            Fact {
                truth,
                confidence,
                evidence: vec![evidence],
            },
        );
    };
    if let Some(options) = &engine.security_options {
        let plugins = engine
            .authorization
            .as_ref()
            .filter(|p| !p.value.is_empty());
        if engine.security("rootless").is_some() {
            let evidence = options.shows("the engine is rootless");
            learn(
                Condition::EngineRootful,
                Truth::No,
                Confidence::Firm,
                evidence,
            );
        } else if let Some(plugins) = plugins {
            let evidence = plugins.shows("an authorization plugin decides over every request");
            learn(
                Condition::EngineRootful,
                Truth::No,
                Confidence::Firm,
                evidence,
            );
        } else {
            let evidence =
                options.shows("the engine runs as root, and no plugin restricts its API");
            learn(
                Condition::EngineRootful,
                Truth::Yes,
                Confidence::Firm,
                evidence,
            );
        }
    }
    if let Some(version) = &engine.cgroup_version {
        let truth = if version.value == "1" {
            Truth::Yes
        } else {
            Truth::No
        };
        let evidence = version.shows(format!("the host has cgroup version {}", version.value));
        learn(Condition::CgroupV1rw, truth, Confidence::Firm, evidence);
    }
    if let Some(runc) = &engine.runc {
        let (truth, confidence) = if runc.value.is_vulnerable_runc() {
            // Distributions mend old versions without a new number.
            (Truth::Yes, Confidence::Tentative)
        } else {
            (Truth::No, Confidence::Firm)
        };
        let evidence = runc.shows(format!("runc is version {}", runc.value.text()));
        learn(Condition::RuncVuln, truth, confidence, evidence);
    }
    if let Some(containerd) = &engine.containerd {
        let (truth, confidence) = if containerd.value.has_abstract_shim() {
            (Truth::Yes, Confidence::Tentative)
        } else {
            (Truth::No, Confidence::Firm)
        };
        let evidence =
            containerd.shows(format!("containerd is version {}", containerd.value.text()));
        learn(Condition::ShimAbstract, truth, confidence, evidence);
    }
    if let Some(open) = &engine.open_tcp {
        let evidence = open.shows("the engine warns that its API is open on TCP");
        learn(
            Condition::NetDockerTcp,
            Truth::Yes,
            Confidence::Firm,
            evidence,
        );
    }
    facts
}
