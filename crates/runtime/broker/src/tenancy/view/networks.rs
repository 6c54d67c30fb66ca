//! Networks: the list, and one in full.

use cofferdam_action::name::PREDEFINED_NETWORKS;
use serde_json::{Map, Value, json};

use super::filter::NameFilter;
use super::json::{hide_marks, object, rename_member, text};
use crate::tenancy::owner::Kind;
use crate::tenancy::sight::Sight;

/// Keeps the networks that are seen and wanted. The engine's own three are, since clients look for
/// them.
pub(super) fn list(networks: &mut Vec<Value>, names: &NameFilter, sight: &Sight) {
    networks.retain_mut(|network| {
        let Some(network) = network.as_object_mut() else {
            return false;
        };
        let predefined = PREDEFINED_NETWORKS.contains(&text(network, "Name"));
        if !predefined && !sight.sees(Kind::Network, text(network, "Id")) {
            return false;
        }
        whole(network, sight);
        names.wants(text(network, "Name"))
    });
}

/// One network. The options of the engine's own say how the host is set up, such as the name of its
/// interface.
pub(super) fn whole(network: &mut Map<String, Value>, sight: &Sight) {
    if PREDEFINED_NETWORKS.contains(&text(network, "Name")) && !sight.sees_all {
        network.insert("Options".to_owned(), json!({}));
    }
    rename_member(network, "Name", sight);
    hide_marks(network);
    if let Some(containers) = object(network, "Containers") {
        containers.retain(|id, _| sight.sees(Kind::Container, id));
        for endpoint in containers.values_mut().filter_map(Value::as_object_mut) {
            rename_member(endpoint, "Name", sight);
        }
    }
}
