//! How much disk is used.

use super::images::summary;
use crate::answer::{Answer, Refusal};
use crate::request::Call;
use serde_json::json;

pub(crate) fn usage(call: &Call) -> Result<Answer, Refusal> {
    let inner = call.engine.lock();
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let images: Vec<_> = inner
        .images
        .values()
        .map(|image| {
            let users = inner
                .containers
                .values()
                .filter(|record| record.image == image.id);
            let mut entry = summary(image, count(users.count()));
            entry.shared_size = 0;
            entry
        })
        .collect();
    let containers: Vec<_> = inner
        .containers
        .values()
        .map(|record| {
            let mut entry = record.summary(&inner.networks);
            entry["SizeRootFs"] = inner.images.get(&record.image).map_or(0, |i| i.size).into();
            entry["SizeRw"] = record.base.size().into();
            entry
        })
        .collect();
    let volumes: Vec<_> = inner
        .volumes
        .values()
        .map(|volume| {
            let mut entry = volume.to_json();
            let users = inner.users_of(&volume.name).len();
            entry["UsageData"] = json!({"RefCount": users, "Size": 0});
            entry
        })
        .collect();
    Ok(Answer::ok(&json!({
        "LayersSize": inner.images.values().map(|image| image.size).sum::<i64>(),
        "Images": images,
        "Containers": containers,
        "Volumes": volumes,
        "BuildCache": [],
        "BuilderSize": 0,
    })))
}
