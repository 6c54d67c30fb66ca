//! Volumes: the list, and one in full.

use serde_json::{Map, Value};

use super::filter::NameFilter;
use super::json::{blank, hide_marks, rename_member, text};
use crate::tenancy::owner::Kind;
use crate::tenancy::sight::Sight;

/// Keeps the volumes that are seen and wanted.
pub(super) fn list(
    answer: &mut Map<String, Value>,
    names: &NameFilter,
    sight: &Sight,
) -> Option<()> {
    // What the engine could not list names volumes and paths of anybody's.
    if answer.contains_key("Warnings") {
        answer.insert("Warnings".to_owned(), Value::Null);
    }
    match answer.get_mut("Volumes")? {
        Value::Null => {}
        volumes => volumes.as_array_mut()?.retain_mut(|volume| {
            let Some(volume) = volume.as_object_mut() else {
                return false;
            };
            seen(volume, sight) && names.wants(text(volume, "Name"))
        }),
    }
    Some(())
}

/// Whether a volume is seen; then it is shown.
pub(super) fn seen(volume: &mut Map<String, Value>, sight: &Sight) -> bool {
    let sees = sight.sees(Kind::Volume, text(volume, "Name"));
    if sees {
        whole(volume, sight);
    }
    sees
}

/// One volume, without where it lies on the host.
pub(super) fn whole(volume: &mut Map<String, Value>, sight: &Sight) {
    rename_member(volume, "Name", sight);
    hide_marks(volume);
    blank(volume, &["Mountpoint"]);
}
