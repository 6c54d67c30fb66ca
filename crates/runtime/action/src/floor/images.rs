//! Images: which may be used, pulled, tagged and removed.

use super::{Caller, Images, Judge};
use crate::image::{ImagePattern, ImageRef, ImageSelector, ImageVersion};
use crate::refusal::{Refusal, Rule, quote};

impl Judge<'_> {
    /// An image that the operator allows or that is the caller's own tag of one.
    pub(super) fn image(&self, image: &ImageRef) -> Result<(), Refusal> {
        if self.caller.own_images.contains(image) {
            Ok(())
        } else {
            self.allowed_image(image)
        }
    }

    fn allowed_image(&self, image: &ImageRef) -> Result<(), Refusal> {
        let Images {
            allow,
            local,
            pull_local: _,
        } = &self.config.images;
        let is_local = *local && self.caller.local_images.contains(image);
        let is_allowed = is_local || allow.iter().any(|pattern| pattern.matches(image));
        if is_allowed && !self.caller.foreign_images.contains(image) {
            return Ok(());
        }
        Err(Refusal::new(
            Rule::ImageNotAllowed,
            format!(
                "{} is not among the allowed images; ask the operator",
                quote(&image.to_string())
            ),
        ))
    }

    /// One's own tag is here already; what comes from a registry must be allowed.
    pub(super) fn image_to_pull(&self, image: &ImageRef) -> Result<(), Refusal> {
        let Caller {
            own_images,
            foreign_images,
            ..
        } = self.caller;
        // A tag that somebody has made brings no repository with it.
        let is_tenants =
            |other: &ImageRef| own_images.contains(other) || foreign_images.contains(other);
        let pulls = self.config.images.pull_local && !foreign_images.contains(image);
        match pulls && self.has_beside(image, is_tenants) {
            true => Ok(()),
            false => self.allowed_image(image),
        }
    }

    pub(super) fn image_to_remove(&self, image: &ImageRef) -> Result<(), Refusal> {
        match self.caller.own_images.contains(image) {
            true => Ok(()),
            false => Err(Refusal::new(
                Rule::ImageNotAllowed,
                format!(
                    "{} is not a tag of yours; others may use it",
                    quote(&image.to_string())
                ),
            )),
        }
    }

    /// Whether the engine has a tag of the repository of an image that is not `apart`, or a digest and
    /// no tag that is: an engine may list a digest for each tag.
    fn has_beside(&self, image: &ImageRef, apart: impl Fn(&ImageRef) -> bool) -> bool {
        let is_tag = |image: &&ImageRef| matches!(image.version(), ImageVersion::Tag(_));
        let names = self.caller.local_images.iter();
        let (apart, rest): (Vec<_>, Vec<_>) = names
            .filter(|other| other.is_version_of(image))
            .partition(|other| apart(other));
        rest.iter().any(is_tag) || (apart.is_empty() && !rest.is_empty())
    }

    /// A new tag must not take the place of an image that others use by its name.
    pub(super) fn tag_target(&self, target: &ImageRef) -> Result<(), Refusal> {
        if let ImageVersion::Digest(_) = target.version() {
            return Err(Refusal::new(Rule::ImageSyntax, "a new name is a tag").at("repo"));
        }
        if self.caller.own_images.contains(target) {
            return Ok(());
        }
        let refuse = |why: &str| {
            let target = quote(&target.to_string());
            Err(Refusal::new(Rule::ImageTag, format!("{target} {why}")).at("repo"))
        };
        let of_others = "is an image of others; choose a name of your own";
        if self.caller.local_images.contains(target) {
            return refuse(of_others);
        }
        // Where whatever the engine has is allowed, a name beside another's is one that others will
        // use: `allowed/app:latest` beside `allowed/app:1`.
        let is_own = |image: &ImageRef| self.caller.own_images.contains(image);
        if self.config.images.local && self.has_beside(target, is_own) {
            return refuse("is beside an image of others; choose a repository of your own");
        }
        let mut allow = self.config.images.allow.iter();
        match allow.find(|pattern| pattern.matches(target)) {
            Some(ImagePattern::Any) => refuse(
                "may be an image of a registry; every one is allowed here, so choose a name that \
                 begins with `localhost/`",
            ),
            Some(_) => refuse(of_others),
            None => Ok(()),
        }
    }
}

/// The name of an image; an id that the broker has not resolved is refused.
pub(super) fn by_name(image: &ImageSelector) -> Result<&ImageRef, Refusal> {
    match image {
        ImageSelector::Name(image) => Ok(image),
        ImageSelector::Id(id) => Err(Refusal::new(
            Rule::ImageId,
            format!("{} is an id without an allowed name", quote(id.as_str())),
        )
        .at("path")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::action::Action;
    use crate::floor::Floor;

    fn floor(config: serde_json::Value) -> Floor {
        Floor::new(serde_json::from_value(config).unwrap())
    }

    #[test]
    fn images_are_allowed_by_name_by_being_there_or_by_being_ones_own() {
        let image = |text| ImageRef::parse(text).unwrap();
        let name = |text| ImageSelector::Name(image(text));
        let caller = Caller {
            own_images: [image("mine/app:dev")].into(),
            local_images: [image("app"), image("mine/app:dev"), image("other/app")].into(),
            ..Caller::default()
        };
        let by_name = floor(json!({ "images": { "allow": ["allowed/app"] } }));
        let any = floor(json!({ "images": { "allow": ["*"], "local": true } }));
        let by_presence = floor(json!({ "images": { "local": true } }));
        let rule = |floor: &Floor, action| floor.judge(action, &caller).err().map(|it| it.rule);

        let inspect = |text| Action::ImageInspect { image: name(text) };
        assert_eq!(rule(&by_name, inspect("allowed/app:9")), None);
        assert_eq!(rule(&by_name, inspect("mine/app:dev")), None);
        assert_eq!(
            rule(&by_name, inspect("other/app")),
            Some(Rule::ImageNotAllowed)
        );
        assert_eq!(rule(&by_presence, inspect("other/app")), None);
        assert_eq!(
            rule(&by_presence, inspect("evil/app")),
            Some(Rule::ImageNotAllowed)
        );

        let pull = |text| Action::ImagePull {
            image: image(text),
            platform: None,
        };
        assert_eq!(rule(&by_name, pull("allowed/app")), None);
        assert_eq!(
            rule(&by_name, pull("mine/app:dev")),
            Some(Rule::ImageNotAllowed)
        );

        let tag = |target| Action::ImageTag {
            image: name("mine/app:dev"),
            target: image(target),
        };
        assert_eq!(rule(&by_name, tag("mine/app:2")), None);
        assert_eq!(rule(&by_name, tag("mine/app:dev")), None);
        assert_eq!(rule(&by_name, tag("allowed/app:1")), Some(Rule::ImageTag));
        assert_eq!(rule(&by_presence, tag("other/app")), Some(Rule::ImageTag));
        // Where every image may be pulled, a tag is below what no registry serves.
        for name in [
            "nginx:1.27",
            "x/y",
            "registry.example/a",
            "localhost:5000/a",
        ] {
            assert_eq!(rule(&any, tag(name)), Some(Rule::ImageTag), "{name}");
            assert_eq!(rule(&any, pull(name)), None, "{name}");
        }
        assert_eq!(rule(&any, tag("localhost/app:2")), None);
        assert_eq!(
            rule(&any, pull("localhost/app:2")),
            Some(Rule::ImageNotAllowed)
        );

        // What is somebody else's is refused like what is not there, whatever is allowed.
        let caller = Caller {
            foreign_images: [image("other/app")].into(),
            ..caller.clone()
        };
        for floor in [&by_name, &by_presence, &any] {
            for action in [inspect("other/app"), pull("other/app")] {
                let refusal = floor.judge(action, &caller).unwrap_err();
                assert_eq!(refusal.rule, Rule::ImageNotAllowed);
            }
        }

        let remove = |text| Action::ImageRemove {
            image: name(text),
            force: false,
            no_prune: false,
        };
        assert_eq!(rule(&by_name, remove("mine/app:dev")), None);
        assert_eq!(
            rule(&by_presence, remove("other/app")),
            Some(Rule::ImageNotAllowed)
        );

        let id = ImageSelector::parse(&"a".repeat(64)).unwrap();
        assert_eq!(
            rule(&by_presence, Action::ImageInspect { image: id }),
            Some(Rule::ImageId)
        );
    }

    #[test]
    fn a_new_tag_beside_the_image_of_others_is_theirs_where_all_that_is_there_is_allowed() {
        let image = |text: &str| ImageRef::parse(text).unwrap();
        let caller = Caller {
            own_images: [image("mine/app:dev")].into(),
            local_images: [
                image("allowed/app:1"),
                image("mine/app:dev"),
                image(&format!("mine/app@sha256:{}", "a".repeat(64))),
                image(&format!("pulled/app@sha256:{}", "a".repeat(64))),
            ]
            .into(),
            ..Caller::default()
        };
        let by_presence = floor(json!({ "images": { "local": true } }));
        let tag = |target| {
            let action = Action::ImageTag {
                image: ImageSelector::Name(image("allowed/app:1")),
                target: image(target),
            };
            let refused = by_presence.judge(action, &caller).err();
            refused.map(|refusal| refusal.rule)
        };
        assert_eq!(tag("allowed/app:latest"), Some(Rule::ImageTag));
        assert_eq!(tag("docker.io/allowed/app:2"), Some(Rule::ImageTag));
        assert_eq!(tag("pulled/app:latest"), Some(Rule::ImageTag));
        assert_eq!(tag("mine/app:2"), None);
        assert_eq!(tag("new/app:1"), None);
        assert_eq!(tag("registry.example/allowed/app:1"), None);
    }

    #[test]
    fn a_pull_may_name_another_version_of_what_is_there_only_where_that_is_configured() {
        let image = |text: &str| ImageRef::parse(text).unwrap();
        let caller = Caller {
            local_images: [image("allowed/app:1")].into(),
            ..Caller::default()
        };
        let pull = |config, text| {
            let action = Action::ImagePull {
                image: image(text),
                platform: None,
            };
            let refused = floor(json!({ "images": config })).judge(action, &caller);
            refused.err().map(|refusal| refusal.rule)
        };
        let digest = format!("allowed/app@sha256:{}", "a".repeat(64));
        for text in ["allowed/app:2", digest.as_str()] {
            let of_dev = json!({ "local": true, "pull_local": true });
            assert_eq!(pull(of_dev, text), None, "{text}");
            let refused = pull(json!({ "local": true }), text);
            assert_eq!(refused, Some(Rule::ImageNotAllowed), "{text}");
        }
        // The tag that is there may be pulled anew, and so be replaced, where either is configured.
        for (config, refused) in [
            (json!({ "local": true }), None),
            (json!({ "pull_local": true }), None),
            (json!({}), Some(Rule::ImageNotAllowed)),
        ] {
            assert_eq!(pull(config.clone(), "allowed/app:1"), refused, "{config}");
        }
        // A tag of the caller's or of somebody else's makes no repository known.
        let caller = Caller {
            own_images: [image("evil/app:mine")].into(),
            foreign_images: [image("evil/tool:theirs"), image("allowed/app:theirs")].into(),
            local_images: [
                image("allowed/app:1"),
                image("allowed/app:theirs"),
                image("evil/app:mine"),
                image("evil/tool:theirs"),
                image(&digest.replace("allowed", "evil")),
            ]
            .into(),
            ..Caller::default()
        };
        let pull = |text| {
            let action = Action::ImagePull {
                image: image(text),
                platform: None,
            };
            let of_dev = json!({ "images": { "local": true, "pull_local": true } });
            floor(of_dev).judge(action, &caller).err().map(|it| it.rule)
        };
        assert_eq!(pull("allowed/app:2"), None);
        for text in [
            "evil/app:1",
            "evil/tool:1",
            "allowed/app:theirs",
            "allowed/app2:1",
            "evil.example/allowed/app:1",
        ] {
            assert_eq!(pull(text), Some(Rule::ImageNotAllowed), "{text}");
        }
    }
}
