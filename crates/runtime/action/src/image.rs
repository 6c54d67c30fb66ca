//! Image references: one normal form, and the patterns an operator allows.
//!
//! The engine resolves `e6b15bc03a4b` to whichever image has that id, `app` to
//! `docker.io/library/app:latest`, and an unknown name to an id that begins so. A reference here
//! always names registry, repository, and one tag or digest.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::is_hex_id;
use crate::refusal::{Refusal, Rule, quote};
use crate::text::parsed_text;

const DEFAULT_REGISTRY: &str = "docker.io";

/// An image by name: registry, repository, and one tag or digest.
///
/// `Display` is the familiar form: without `docker.io/` and `library/`, always with the tag or
/// digest. A reference with both keeps its digest alone, as the engine does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    registry: String,
    repository: String,
    version: ImageVersion,
}

/// What follows the repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageVersion {
    /// A tag, which may be moved.
    Tag(String),
    /// A digest, `sha256:` and 64 hex digits.
    Digest(String),
}

parsed_text! {
    /// An image by its id: `sha256:` and 64 hex digits, or 12 to 64 hex digits alone. It can be
    /// looked at once the broker has found its names; a container is never made from it.
    ImageId, |text: &str| {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let whole = digits.len() == 64 || digits.len() == text.len();
        let lower = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if is_hex_id(digits) && whole && lower { Ok(()) } else {
            Err(Refusal::new(Rule::ImageSyntax, format!("{} is no image id", quote(text))))
        }
    }
}

/// An image to look at or to remove: by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSelector {
    /// By name.
    Name(ImageRef),
    /// By id; the broker must resolve it to names before it is shown.
    Id(ImageId),
}

parsed_text! {
    /// `os[/architecture[/variant]]`, each `[a-z0-9_.]`.
    Platform, |text: &str| {
        let part = |part: &str| {
            let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte);
            !part.is_empty() && part.len() <= 32 && !part.starts_with('.') && part.bytes().all(letters)
        };
        if text.split('/').count() <= 3 && text.split('/').all(part) { Ok(()) } else {
            Err(Refusal::new(Rule::Platform, format!("{} is no platform such as `linux/amd64`", quote(text))))
        }
    }
}

impl ImageRef {
    /// Reads a reference; without tag and digest the tag is `latest`.
    ///
    /// # Errors
    /// [`Rule::ImageId`] for an id, [`Rule::ImageSyntax`] for anything that is not one normal
    /// reference: upper case, dot segments, an empty tag, an unknown digest algorithm.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (registry, repository, version) = split(text)?;
        let version = version.unwrap_or_else(|| ImageVersion::Tag("latest".to_owned()));
        Ok(Self {
            registry,
            repository,
            version,
        })
    }

    /// Reads a repository and its tag or digest as two query keys give them, as `images/create` and
    /// `images/{name}/tag` do.
    ///
    /// # Errors
    /// As [`ImageRef::parse`]; and where both keys, or neither, name a tag: the engine would pull
    /// every tag.
    pub fn from_parts(name: &str, tag: Option<&str>) -> Result<Self, Refusal> {
        let (registry, repository, named) = split(name)?;
        let version = match (named, tag) {
            (Some(version), None) => version,
            (None, Some(tag)) if tag.contains(':') => ImageVersion::Digest(digest(tag, name)?),
            (None, Some(tag)) => ImageVersion::Tag(self::tag(tag, name)?),
            (Some(_), Some(_)) => {
                return Err(Refusal::new(Rule::ImageSyntax, "the tag is given twice"));
            }
            (None, None) => {
                return Err(Refusal::new(
                    Rule::ImageSyntax,
                    format!(
                        "{} has no tag, which means every tag; name one",
                        quote(name)
                    ),
                ));
            }
        };
        Ok(Self {
            registry,
            repository,
            version,
        })
    }

    /// The registry, `docker.io` where none was written.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry, with `library/` on the default one.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag or digest.
    #[must_use]
    pub fn version(&self) -> &ImageVersion {
        &self.version
    }

    /// Whether both are of one repository.
    #[must_use]
    pub fn is_version_of(&self, other: &ImageRef) -> bool {
        self.registry == other.registry && self.repository == other.repository
    }

    /// The familiar name without tag and digest.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return format!("{}/{}", self.registry, self.repository);
        }
        self.repository
            .strip_prefix("library/")
            .unwrap_or(&self.repository)
            .to_owned()
    }
}

impl ImageVersion {
    /// The tag or digest as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            ImageVersion::Tag(text) | ImageVersion::Digest(text) => text,
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.familiar_name();
        match &self.version {
            ImageVersion::Tag(tag) => write!(f, "{name}:{tag}"),
            ImageVersion::Digest(digest) => write!(f, "{name}@{digest}"),
        }
    }
}

impl TryFrom<String> for ImageRef {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse(&text)
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> String {
        image.to_string()
    }
}

impl ImageSelector {
    /// Reads a name or an id.
    ///
    /// # Errors
    /// As [`ImageRef::parse`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if let Ok(id) = ImageId::parse(text) {
            return Ok(Self::Id(id));
        }
        ImageRef::parse(text).map(Self::Name)
    }
}

impl fmt::Display for ImageSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageSelector::Name(image) => image.fmt(f),
            ImageSelector::Id(id) => id.fmt(f),
        }
    }
}

/// Images that an operator allows: `*`, `registry.example/team/*`, `allowed/app`, `allowed/app:1`,
/// `allowed/app@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ImagePattern {
    /// Every image of every registry. `localhost` without a port is none: Podman and others name
    /// what was made on the host so, and nobody serves it.
    Any,
    /// Every repository below a registry or a path of one.
    Below {
        /// The registry.
        registry: String,
        /// The path, with its `/` at the end; empty for the whole registry.
        prefix: String,
    },
    /// One repository, any tag or digest.
    Repository {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// One tag or digest.
    Exact(ImageRef),
}

impl ImagePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`Rule::ImageSyntax`] for what is no pattern.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(prefix) = text.strip_suffix("/*") {
            if is_registry(prefix) {
                return Ok(Self::Below {
                    registry: registry(prefix),
                    prefix: String::new(),
                });
            }
            if prefix.contains(['@', ':']) && !prefix.split('/').next().is_some_and(is_registry) {
                return Err(malformed(text));
            }
            // A component below the prefix makes it a repository whatever it is.
            return match split(&format!("{prefix}/x"))? {
                (registry, repository, None) => {
                    let prefix = repository.strip_suffix('x').unwrap_or_default().to_owned();
                    Ok(Self::Below { registry, prefix })
                }
                _ => Err(malformed(text)),
            };
        }
        let (registry, repository, version) = split(text)?;
        Ok(match version {
            None => Self::Repository {
                registry,
                repository,
            },
            Some(version) => Self::Exact(ImageRef {
                registry,
                repository,
                version,
            }),
        })
    }

    /// Whether the pattern allows an image.
    #[must_use]
    pub fn matches(&self, image: &ImageRef) -> bool {
        match self {
            ImagePattern::Any => image.registry != "localhost",
            ImagePattern::Below { registry, prefix } => {
                *registry == image.registry && image.repository.starts_with(prefix.as_str())
            }
            ImagePattern::Repository {
                registry,
                repository,
            } => *registry == image.registry && *repository == image.repository,
            ImagePattern::Exact(exact) => exact == image,
        }
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImagePattern::Any => f.write_str("*"),
            ImagePattern::Below { registry, prefix } => write!(f, "{registry}/{prefix}*"),
            ImagePattern::Repository {
                registry,
                repository,
            } => {
                write!(f, "{registry}/{repository}")
            }
            ImagePattern::Exact(image) => image.fmt(f),
        }
    }
}

impl TryFrom<String> for ImagePattern {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::parse(&text)
    }
}

impl From<ImagePattern> for String {
    fn from(pattern: ImagePattern) -> String {
        pattern.to_string()
    }
}

type Parts = (String, String, Option<ImageVersion>);

/// Registry, repository, and what version is written.
fn split(text: &str) -> Result<Parts, Refusal> {
    if ImageId::parse(text).is_ok() || text.starts_with("sha256:") {
        return Err(Refusal::new(
            Rule::ImageId,
            format!(
                "{} is an id, which no allow-list can name; use the image's name",
                quote(text)
            ),
        ));
    }
    let (name, written_digest) = match text.split_once('@') {
        Some((name, written)) => (name, Some(digest(written, text)?)),
        None => (text, None),
    };
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, written_tag) = match name[last..].split_once(':') {
        Some((head, written)) => (&name[..last + head.len()], Some(tag(written, text)?)),
        None => (name, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (self::registry(first), rest),
        _ => (DEFAULT_REGISTRY.to_owned(), name),
    };
    if path.len() > 255 || !path.split('/').all(is_component) {
        return Err(malformed(text));
    }
    let repository = match registry == DEFAULT_REGISTRY && !path.contains('/') {
        true => format!("library/{path}"),
        false => path.to_owned(),
    };
    let version = written_digest
        .map(ImageVersion::Digest)
        .or_else(|| written_tag.map(ImageVersion::Tag));
    Ok((registry, repository, version))
}

fn registry(text: &str) -> String {
    match text {
        "index.docker.io" => DEFAULT_REGISTRY.to_owned(),
        other => other.to_owned(),
    }
}

/// Whether a first component is a registry: it has a dot or a port, or is `localhost`.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let label = |label: &str| {
        let letters = label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        !label.is_empty() && letters && !label.starts_with('-') && !label.ends_with('-')
    };
    let port_is_number = port.is_none_or(|port| {
        !port.starts_with('0')
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    });
    let names_a_host = host.contains('.') || port.is_some() || host == "localhost";
    names_a_host && port_is_number && host.len() <= 253 && host.split('.').all(label)
}

/// `[a-z0-9]+` joined by `.`, `_`, `__` or dashes.
fn is_component(text: &str) -> bool {
    let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let edges = bytes.first().is_some_and(letter) && bytes.last().is_some_and(letter);
    let separators = text
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .filter(|run| !run.is_empty())
        .all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'));
    edges && separators
}

fn tag(text: &str, whole: &str) -> Result<String, Refusal> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = text.bytes().next().is_some_and(word);
    let rest = text.bytes().all(|byte| word(byte) || b".-".contains(&byte));
    if first && rest && text.len() <= 128 {
        Ok(text.to_owned())
    } else {
        Err(malformed(whole))
    }
}

fn digest(text: &str, whole: &str) -> Result<String, Refusal> {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match text.strip_prefix("sha256:") {
        Some(digits) if digits.len() == 64 && digits.bytes().all(hex) => Ok(text.to_owned()),
        _ => Err(malformed(whole)),
    }
}

fn malformed(text: &str) -> Refusal {
    Refusal::new(
        Rule::ImageSyntax,
        format!(
            "{} is no image reference such as `registry.example/team/app:1`",
            quote(text)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn familiar(text: &str) -> String {
        ImageRef::parse(text).unwrap().to_string()
    }

    #[test]
    fn spellings_of_one_image_are_one_reference() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(familiar("alpine"), "alpine:latest");
        assert_eq!(familiar("docker.io/library/alpine:3"), "alpine:3");
        assert_eq!(familiar("index.docker.io/allowed/app:1"), "allowed/app:1");
        assert_eq!(familiar("localhost:5000/a/b"), "localhost:5000/a/b:latest");
        assert_eq!(
            familiar(&format!("app:1@{digest}")),
            format!("app@{digest}")
        );
        assert_eq!(familiar("a.b/c__d/e-f.g:V_1.0-x"), "a.b/c__d/e-f.g:V_1.0-x");
    }

    #[test]
    fn what_is_not_one_normal_reference_is_refused() {
        for text in [
            "ALLOWED/app:1",
            "registry-1.docker.io/allowed/../evil/app",
            "allowed/app:",
            "allowed/app@",
            "allowed/app@sha512:00",
            "/app",
            "a//b",
            "a/",
            "",
            "a b",
            "app:1:2",
            "host:99999/app",
            "-a/b",
            "a___b",
            "a.-b",
        ] {
            assert_eq!(
                ImageRef::parse(text).unwrap_err().rule,
                Rule::ImageSyntax,
                "{text}"
            );
        }
        for id in [
            "e6b15bc03a4b",
            &format!("sha256:{}", "a".repeat(64)),
            "sha256:abc",
        ] {
            assert_eq!(ImageRef::parse(id).unwrap_err().rule, Rule::ImageId, "{id}");
        }
    }

    #[test]
    fn a_pull_names_exactly_one_version() {
        let parts = |name, tag| ImageRef::from_parts(name, tag).map(|image| image.to_string());
        assert_eq!(parts("allowed/app", Some("1")).unwrap(), "allowed/app:1");
        assert!(parts("allowed/app:1", None).is_ok());
        assert!(parts("allowed/app", None).is_err());
        assert!(parts("allowed/app:1", Some("2")).is_err());
        assert!(parts("allowed/app", Some("../x")).is_err());
    }

    #[test]
    fn a_pattern_allows_whole_components_only() {
        let allows = |pattern: &str, image: &str| {
            ImagePattern::parse(pattern)
                .unwrap()
                .matches(&ImageRef::parse(image).unwrap())
        };
        assert!(allows("allowed/app", "docker.io/allowed/app:9"));
        assert!(!allows("allowed/app", "allowed/app2"));
        assert!(!allows("allowed/app", "registry-1.docker.io/allowed/app"));
        assert!(allows("allowed/*", "allowed/x/y:1"));
        assert!(!allows("allowed/*", "allowed2/x"));
        assert!(allows("registry.example/*", "registry.example/a"));
        assert!(!allows("registry.example/*", "registry.example.evil/a"));
        assert!(allows("app:1", "app:1"));
        assert!(!allows("app:1", "app:2"));
        assert!(allows("*", "evil.example/x"));
        assert!(allows("*", "localhost:5000/x"));
        assert!(!allows("*", "localhost/x") && allows("localhost/*", "localhost/x"));
    }

    #[test]
    fn a_pattern_survives_being_written() {
        for text in [
            "*",
            "allowed/*",
            "registry.example/*",
            "registry.example/t/*",
            "a/b",
            "a/b:1",
        ] {
            let pattern = ImagePattern::parse(text).unwrap();
            assert_eq!(
                ImagePattern::parse(&pattern.to_string()).unwrap(),
                pattern,
                "{text}"
            );
        }
    }

    #[test]
    fn an_image_is_selected_by_name_or_by_id() {
        let id = ImageSelector::parse(&"a".repeat(64)).unwrap();
        assert!(matches!(id, ImageSelector::Id(_)));
        assert!(matches!(
            ImageSelector::parse("cafe").unwrap(),
            ImageSelector::Name(_)
        ));
        assert!(Platform::parse("linux/arm64/v8").is_ok());
        assert_eq!(
            Platform::parse("linux/amd64/../..").unwrap_err().rule,
            Rule::Platform
        );
    }
}
