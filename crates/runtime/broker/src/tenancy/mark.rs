//! The broker's marks on what it makes.

use cofferdam_action::action::Action;
use cofferdam_action::container::Mount;
use cofferdam_action::value::Labels;

use super::owner::Owner;

/// What begins every label of the broker's.
pub(crate) const PREFIX: &str = "com.cofferdam.";

/// The label that names the request that made an object.
pub(crate) const OPERATION: &str = "com.cofferdam.operation";

/// The label that names the owner.
pub(crate) const OWNER: &str = "com.cofferdam.owner";

/// Marks what an action makes with the request and the owner: containers, networks, volumes, and
/// volumes that a mount makes. It comes after the floor, which refuses such labels from callers.
///
/// Nothing is decided by a mark, since an image can have labels too; it only leads to the intent in
/// the audit log, when the broker died before it could take note of what the engine had made.
pub fn mark(action: &mut Action, owner: &Owner, request: &str) {
    let put = |labels: &mut Labels| {
        labels.0.insert(OPERATION.to_owned(), request.to_owned());
        labels.0.insert(OWNER.to_owned(), owner.to_string());
    };
    match action {
        Action::ContainerCreate(create) => {
            put(&mut create.labels);
            for mount in &mut create.storage.mounts {
                match mount {
                    Mount::Volume { labels, .. } => put(labels),
                    Mount::Tmpfs { .. } | Mount::Host { .. } => {}
                }
            }
        }
        Action::NetworkCreate(network) => put(&mut network.labels),
        Action::VolumeCreate { labels, .. } => put(labels),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_marked() {
        let owner = Owner::of("i", "alice");
        let create = serde_json::json!({
            "image": "app",
            "labels": { "a": "b" },
            "storage": { "mounts": [{ "volume": { "source": "v1", "target": "/v" } }] },
        });
        let mut action: Action =
            serde_json::from_value(serde_json::json!({ "ContainerCreate": create })).unwrap();
        mark(&mut action, &owner, "r1");
        let Action::ContainerCreate(create) = action else {
            panic!("it stays a create")
        };
        let Mount::Volume { labels, .. } = &create.storage.mounts[0] else {
            panic!("it stays a volume")
        };
        for labels in [labels, &create.labels] {
            assert_eq!(labels.0[OPERATION], "r1");
            assert_eq!(labels.0[OWNER], owner.as_str());
        }
        assert_eq!(create.labels.0["a"], "b");
    }
}
