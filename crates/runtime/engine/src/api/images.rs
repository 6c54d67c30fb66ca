//! Images: list, inspect and a pretended pull.

use crate::answer::{Answer, Refusal};
use crate::route::Call;
use crate::state::with_tag;
use bytes::Bytes;
use cofferdam_docker::wire::ImageSummary;
use serde_json::json;

pub(crate) fn list(call: &Call) -> Answer {
    let inner = call.engine.lock();
    let images: Vec<_> = inner
        .images
        .values()
        .map(|image| ImageSummary {
            id: image.id.clone(),
            repo_tags: image.repo_tags.clone(),
            created: 1_768_467_600,
            size: image.size,
            shared_size: -1,
            containers: -1,
            ..ImageSummary::default()
        })
        .collect();
    Answer::ok(&images)
}

pub(crate) fn inspect(call: &Call, name: &str) -> Result<Answer, Refusal> {
    Ok(Answer::ok(call.engine.lock().image(name)?))
}

pub(crate) fn pull(call: &Call) -> Result<Answer, Refusal> {
    let (image, tag) = (call.query("fromImage"), call.query("tag"));
    if image.is_empty() || !image.bytes().all(|b| b.is_ascii_graphic()) || image.len() > 255 {
        return Err(Refusal::bad("invalid reference format"));
    }
    let reference = match tag {
        "" => with_tag(image),
        tag => format!("{image}:{tag}"),
    };
    call.engine
        .lock()
        .add_image(&reference)
        .map_err(Refusal::internal)?;
    let (sender, answer) = Answer::stream("application/json");
    for line in [
        json!({"status": format!("Pulling from {image}"), "id": tag}),
        json!({"status": format!("Status: Downloaded newer image for {reference}")}),
    ] {
        // The channel holds more than two, and its other end is in `answer`.
        let _ = sender.try_send(Bytes::from(format!("{line}\r\n")));
    }
    Ok(answer)
}
