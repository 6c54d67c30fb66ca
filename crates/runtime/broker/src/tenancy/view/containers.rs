//! Containers: the list, one in full, and its statistics.

use serde_json::{Map, Value, json};

use super::filter::NameFilter;
use super::json::{
    blank, each, hide_marks, object, rename, rename_keys, rename_member, text, text_of,
};
use crate::tenancy::owner::Kind;
use crate::tenancy::sight::Sight;

/// Keeps the containers that are seen and wanted, and shows them.
pub(super) fn list(
    containers: &mut Vec<Value>,
    names: &NameFilter,
    limit: Option<usize>,
    sight: &Sight,
) {
    containers.retain_mut(|container| {
        let Some(container) = container.as_object_mut() else {
            return false;
        };
        if !sight.sees(Kind::Container, text(container, "Id")) {
            return false;
        }
        whole(container, sight);
        let mut shown = each(container, "Names").filter_map(|name| name.as_str());
        shown.any(|name| names.wants(name))
    });
    // The engine lists the newest first.
    containers.truncate(limit.unwrap_or(usize::MAX));
}

/// One container, as a list or an inspection has it.
pub(super) fn whole(container: &mut Map<String, Value>, sight: &Sight) {
    rename_member(container, "Name", sight);
    each(container, "Names").for_each(|name| rename(name, sight));
    blank(
        container,
        &["ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"],
    );
    graph_driver(container);
    hide_marks(container);
    if let Some(config) = object(container, "Config") {
        hide_marks(config);
    }
    if let Some(state) = object(container, "State") {
        error_of_engine(state, "Error", sight);
    }
    if let Some(host) = object(container, "HostConfig") {
        host_config(host, sight);
    }
    if let Some(settings) = object(container, "NetworkSettings") {
        blank(settings, &["SandboxKey"]);
    }
    networks(container, sight);
    mounts(container, sight);
}

/// A sample of what a container uses.
pub(super) fn stats(sample: &mut Value, sight: &Sight) -> Option<()> {
    rename_member(sample.as_object_mut()?, "name", sight);
    Some(())
}

/// What became of a container that was waited for.
pub(super) fn waited(answer: &mut Value, sight: &Sight) -> Option<()> {
    if let Some(error) = object(answer.as_object_mut()?, "Error") {
        error_of_engine(error, "Message", sight);
    }
    Some(())
}

/// A member that is an error in the engine's words.
fn error_of_engine(of: &mut Map<String, Value>, member: &str, sight: &Sight) {
    let message = sight.message(text(of, member));
    if let Some(error) = of.get_mut(member)
        && error.is_string()
    {
        *error = message.into();
    }
}

/// Where the layers of a container or an image lie on the host.
pub(super) fn graph_driver(of: &mut Map<String, Value>) {
    if let Some(driver) = object(of, "GraphDriver") {
        driver.insert("Data".to_owned(), json!({}));
    }
}

fn host_config(host: &mut Map<String, Value>, sight: &Sight) {
    network_mode(host, sight);
    for bind in each(host, "Binds") {
        // `source:target:options`; only a name can begin with the prefix, a path of the host not.
        rename(bind, sight);
    }
    for mount in each(host, "Mounts") {
        let is_volume = text_of(mount, "Type") == "volume";
        let Some(mount) = mount.as_object_mut().filter(|_| is_volume) else {
            continue;
        };
        rename_member(mount, "Source", sight);
        if let Some(options) = object(mount, "VolumeOptions") {
            hide_marks(options);
        }
    }
}

/// The broker writes the mode with the network's id.
fn network_mode(host: &mut Map<String, Value>, sight: &Sight) {
    let Some(mode) = host.get_mut("NetworkMode") else {
        return;
    };
    let found = mode
        .as_str()
        .and_then(|id| sight.store.object(Kind::Network, id));
    if let Some(found) = found {
        *mode = sight.name_of(&found).into();
    }
}

fn networks(container: &mut Map<String, Value>, sight: &Sight) {
    let settings = object(container, "NetworkSettings");
    let Some(networks) = settings.and_then(|settings| object(settings, "Networks")) else {
        return;
    };
    rename_keys(networks, sight);
    for endpoint in networks.values_mut().filter_map(Value::as_object_mut) {
        for names in ["Aliases", "DNSNames"] {
            each(endpoint, names).for_each(|name| rename(name, sight));
        }
    }
}

/// What is mounted. Where the engine keeps a volume on the host is nobody's business; the source of
/// a bind is a path that an operator's exception allowed, and that the caller wrote.
fn mounts(container: &mut Map<String, Value>, sight: &Sight) {
    for mount in each(container, "Mounts") {
        let is_volume = text_of(mount, "Type") == "volume";
        let Some(mount) = mount.as_object_mut().filter(|_| is_volume) else {
            continue;
        };
        rename_member(mount, "Name", sight);
        blank(mount, &["Source"]);
    }
}
