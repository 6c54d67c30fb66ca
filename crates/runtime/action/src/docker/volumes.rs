//! Volumes of one's own.

use super::prelude::*;
use super::system::filters;
use crate::filter::{FilterKey, Filters};
use crate::json::{Default, Never};
use crate::name::VolumeName;
use crate::value::Labels;

const LIST_FILTERS: &[FilterKey] = &[
    FilterKey::Dangling,
    FilterKey::Driver,
    FilterKey::Label,
    FilterKey::Name,
];

const PRUNE_FILTERS: &[FilterKey] = &[FilterKey::All, FilterKey::Label, FilterKey::LabelNot];

const NEVER: &[Never] = &[
    Never {
        name: "DriverOpts",
        rule: Rule::VolumeDriver,
        why: "options of `local` mount any directory, device or share as a volume",
        default: Default::Any,
    },
    Never {
        name: "ClusterVolumeSpec",
        rule: Rule::VolumeDriver,
        why: "cluster volumes belong to swarm",
        default: Default::Any,
    },
];

pub(crate) fn route<'a>(method: &str, path: &[&'a str]) -> Option<Route<'a>> {
    Some(match (method, path) {
        ("GET", []) => Route::plain(&["filters"], |call| {
            Ok(Action::VolumeList {
                filters: filters(&call, LIST_FILTERS)?,
            })
        }),
        ("POST", ["create"]) => Route::plain(&[], create).with(BodyKind::Json),
        ("POST", ["prune"]) => Route::plain(&["filters"], |call| {
            Ok(Action::VolumePrune {
                filters: prune_filters(&call)?.of_own()?,
            })
        }),
        ("GET", [volume]) => Route::named(volume, &[], |call| {
            Ok(Action::VolumeInspect {
                volume: call.volume()?,
            })
        }),
        ("DELETE", [volume]) => Route::named(volume, &["force"], |call| {
            let force = call.query.flag("force")?.unwrap_or(false);
            Ok(Action::VolumeRemove {
                volume: call.volume()?,
                force,
            })
        }),
        _ => return None,
    })
}

/// Filters of a prune.
pub(crate) fn prune_filters(call: &Call<'_>) -> Result<Filters, Refusal> {
    filters(call, PRUNE_FILTERS)
}

fn create(call: Call<'_>) -> Result<Action, Refusal> {
    let mut members = call.members()?;
    let name = members.parsed("Name", VolumeName::parse)?;
    members.parsed("Driver", local_driver)?;
    let labels = Labels(members.text_map("Labels")?.into_iter().collect());
    members.never(NEVER)?;
    members.finish()?;
    Ok(Action::VolumeCreate { name, labels })
}

/// The one volume driver.
pub(super) fn local_driver(driver: &str) -> Result<(), Refusal> {
    match driver {
        "local" => Ok(()),
        _ => Err(Refusal::new(
            Rule::VolumeDriver,
            format!(
                "{} is a plug-in on the host; volumes here are of the driver `local`",
                quote(driver)
            ),
        )),
    }
}
