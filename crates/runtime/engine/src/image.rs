//! The images: none has any content, each has a name and what a container of it runs.

use crate::answer::Refusal;
use crate::state::{Inner, MOST, full, random_id};
use cofferdam_docker::wire::{Image, ImageConfig};
use std::io;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Inner {
    /// The key of the image that an id, a prefix of one, or a reference names.
    pub(crate) fn find_image(&self, key: &str) -> Result<String, Refusal> {
        let reference = with_tag(key);
        let hex = key.strip_prefix("sha256:").unwrap_or(key);
        let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let named = |image: &&Image| {
            image.repo_tags.contains(&reference) || image.repo_digests.contains(&reference)
        };
        let by_id = |image: &&Image| is_hex && image.id["sha256:".len()..].starts_with(hex);
        let images = self.images.values();
        let found = images
            .clone()
            .find(named)
            .or_else(|| images.clone().find(by_id));
        found
            .map(|image| image.id.clone())
            .ok_or_else(|| Refusal::not_found(format!("No such image: {reference}")))
    }

    pub(crate) fn image(&self, key: &str) -> Result<&Image, Refusal> {
        let id = self.find_image(key)?;
        self.images
            .get(&id)
            .ok_or_else(|| Refusal::not_found(format!("No such image: {key}")))
    }

    /// Pretends that an image was pulled; false when it is there already.
    pub(crate) fn add_image(&mut self, reference: &str) -> io::Result<bool> {
        let reference = with_tag(reference);
        if self.image(&reference).is_ok() {
            return Ok(false);
        }
        if self.images.len() >= MOST {
            return Err(io::Error::other(full("images").message));
        }
        let id = format!("sha256:{}", random_id()?);
        let (repo_tags, repo_digests) = match reference.contains('@') {
            true => (Vec::new(), vec![reference]),
            false => (vec![reference], Vec::new()),
        };
        let image = Image {
            id: id.clone(),
            repo_tags,
            repo_digests,
            created: "2026-01-15T09:00:00Z".to_owned(),
            config: ImageConfig {
                env: Some(vec![format!("PATH={PATH}")]),
                cmd: Some(
                    ["/bin/sh", "-c", "echo ready; sleep infinity"]
                        .map(str::to_owned)
                        .to_vec(),
                ),
                working_dir: "/".to_owned(),
                ..ImageConfig::default()
            },
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            size: 7_800_000,
        };
        self.images.insert(id, image);
        Ok(true)
    }
}

/// A reference with the tag that it implies.
pub(crate) fn with_tag(reference: &str) -> String {
    let reference = reference
        .strip_prefix("docker.io/library/")
        .or_else(|| reference.strip_prefix("docker.io/"))
        .unwrap_or(reference);
    let last = reference.rsplit('/').next().unwrap_or_default();
    if last.contains(':') || last.contains('@') {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

/// Whether dockerd takes this as a reference, roughly: its letters and its length.
pub(crate) fn valid_reference(reference: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    !reference.is_empty()
        && reference.len() <= 255
        && reference.bytes().all(allowed)
        && reference.starts_with(|first: char| first.is_ascii_alphanumeric())
}
