//! What is planted in the lab, as data: the holes and the decoys of `manifest.toml`.
//!
//! It is for whoever judges a scanner. The scanner itself never reads it.

use crate::hole::Hole;
use serde::Deserialize;
use std::sync::LazyLock;

/// The whole manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The holes, in the order of [`Hole::ALL`].
    #[serde(rename = "hole")]
    pub holes: Vec<Planted>,
    /// What looks like a hole and is none.
    #[serde(rename = "decoy")]
    pub decoys: Vec<Decoy>,
}

/// One hole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planted {
    /// [`Hole::id`].
    pub id: String,
    /// The check that must report it; none for a hole of the deployment.
    #[serde(default)]
    pub check: Option<String>,
    /// The posture rule that must report it; none for a hole of the API, and for a fact about the
    /// surroundings.
    #[serde(default)]
    pub rule: Option<String>,
    /// Other posture rules that report it too, with good reason.
    #[serde(default)]
    pub also: Vec<String>,
    /// Holes that it is a part of: while one of these is open, that one's finding stands for it.
    #[serde(default)]
    pub within: Vec<String>,
    /// The conditions of the edge data that hold while it is open.
    #[serde(default)]
    pub conditions: Vec<String>,
    /// Holes without which it gives no finding: it is a fact about the surroundings, and an edge of
    /// a path only together with one of these.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The operations, as `GET /v1/images`.
    #[serde(default)]
    pub operations: Vec<String>,
    /// The parameter that carries it, where there is one.
    #[serde(default)]
    pub parameter: Option<String>,
    /// The weakness, as `CWE-347`.
    pub class: String,
    /// What proves it.
    pub proof: String,
    /// The states of the edge data that it gives.
    #[serde(default)]
    pub grants: Vec<String>,
    /// The fixes of the edge data that close it.
    pub fixes: Vec<String>,
}

/// What looks like a hole and is none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoy {
    /// Its name.
    pub id: String,
    /// Where it is.
    pub operation: String,
    /// The check that it could mislead.
    pub tempts: String,
    /// Why it is fine.
    pub why: String,
}

static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the file is part of the crate, and a test reads it"
    )]
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is well-formed")
});

/// The manifest.
pub fn manifest() -> &'static Manifest {
    &MANIFEST
}

impl Hole {
    /// What the manifest says of it.
    pub fn planted(self) -> &'static Planted {
        let found = manifest()
            .holes
            .iter()
            .find(|planted| planted.id == self.id());
        #[expect(
            clippy::expect_used,
            reason = "a test holds that every hole is in the manifest"
        )]
        found.expect("every hole is in the manifest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_every_hole_once_and_in_order() {
        let named: Vec<_> = manifest()
            .holes
            .iter()
            .map(|planted| planted.id.as_str())
            .collect();
        let holes: Vec<_> = Hole::ALL.iter().map(|hole| hole.id()).collect();
        assert_eq!(named, holes);
        for planted in &manifest().holes {
            assert!(!planted.fixes.is_empty(), "{}", planted.id);
            assert!(
                planted.check.is_some() != planted.operations.is_empty(),
                "{}",
                planted.id
            );
            assert!(
                planted.rule.is_some() != (planted.check.is_some() || !planted.needs.is_empty()),
                "{}",
                planted.id
            );
            assert!(
                planted.operations.is_empty() != planted.conditions.is_empty(),
                "{}",
                planted.id
            );
        }
    }
}
