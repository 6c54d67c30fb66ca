//! Reading again what a request made or changed.

use crate::{Auth, Context, Exchange, Halt, Operation, Request};
use hyper::Method;
use serde_json::Value;
use std::sync::Arc;

/// The operation that reads the object of which `operation` is a part: the `GET` whose template is
/// the longest beginning of this one's that ends in a parameter.
pub(crate) fn state_of<'a>(cx: &'a Context, operation: &Operation) -> Option<&'a Operation> {
    let object = item_path(&operation.path)?;
    cx.operations()
        .iter()
        .find(|known| known.method == Method::GET && known.path == object && cx.may_send(known))
        .or_else(|| {
            // `GET /things/{id}/details` and the like, when there is no plain one.
            let below = format!("{object}/");
            cx.operations().iter().find(|known| {
                known.method == Method::GET
                    && known
                        .path
                        .strip_prefix(&below)
                        .is_some_and(|rest| !rest.contains(['/', '{']))
                    && ["json", "details", "inspect", "info", "status"]
                        .iter()
                        .any(|name| known.path.ends_with(name))
                    && cx.may_send(known)
            })
        })
}

/// The template up to and with its last parameter.
pub(crate) fn item_path(path: &str) -> Option<&str> {
    Some(&path[..=path.rfind('}')?])
}

/// The answers in which what `made` made could be seen, at most eight: where its `Location` points,
/// the object by the identifiers in its answer, and the lists of the same resource.
pub(crate) async fn read_back(
    cx: &Context,
    operation: &Operation,
    made: &Exchange,
    who: usize,
) -> Result<Vec<Arc<Exchange>>, Halt> {
    let mut requests: Vec<Request> = Vec::new();
    if let Some(location) = made.header("location") {
        // A path on the target only: the scan never leaves its scope.
        let path = match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map(|at| rest[at..].to_owned()),
            None => location.starts_with('/').then(|| location.into_owned()),
        };
        requests.extend(path.map(|path| Request::get(path, Auth::Identity(who))));
    }
    let ids = identifiers(made);
    for known in cx.operations().iter().filter(|known| {
        known.method == Method::GET && cx.may_send(known) && related(&known.path, &operation.path)
    }) {
        let Some(request) = cx.request(known, who) else {
            // Without a value of its own the made object's identifier may still fill it.
            if known.params.iter().filter(|param| param.required).count() == 1
                && let Some(id) = ids.first()
            {
                requests.extend(request_for(known, id, who));
            }
            continue;
        };
        match known
            .path
            .rsplit_once('{')
            .map(|(_, rest)| rest.split('}').next())
        {
            None => requests.push(request),
            Some(Some(last)) => requests.extend(
                ids.iter()
                    .take(2)
                    .map(|id| request.clone().with_param(known, last, id)),
            ),
            Some(None) => {}
        }
    }
    requests.truncate(8);
    let mut answers = Vec::new();
    for request in requests {
        answers.push(cx.send_fresh(request).await?);
    }
    Ok(answers)
}

/// The request for the object `id` of an operation with one parameter in its path.
fn request_for(operation: &Operation, id: &str, who: usize) -> Option<Request> {
    let (_, rest) = operation.path.split_once('{')?;
    let (name, rest) = rest.split_once('}')?;
    let bare = Request::for_operation(operation, Vec::new(), Auth::Identity(who));
    (!rest.contains('{')).then(|| bare.with_param(operation, name, id))
}

/// Whether the first fixed parts of two templates name the same resource, or one is the engine's
/// list that what the other makes would show in.
fn related(get: &str, made: &str) -> bool {
    let resource = |path: &str| -> Vec<String> {
        path.split('/')
            .filter(|part| !part.is_empty() && !part.starts_with('{'))
            .map(str::to_ascii_lowercase)
            .filter(|part| !matches!(part.as_str(), "api" | "rest"))
            .filter(|part| !(part.starts_with('v') && part[1..].parse::<u32>().is_ok()))
            .collect()
    };
    let (get, made) = (resource(get), resource(made));
    !get.is_empty() && get.first() == made.first()
        || get
            .iter()
            .any(|part| part == "containers" || part == "jobs")
}

/// The identifiers in an answer that made something, the likely ones first.
pub(crate) fn identifiers(made: &Exchange) -> Vec<String> {
    let Some(json) = made.json() else {
        return Vec::new();
    };
    let mut found: Vec<(u8, String)> = Vec::new();
    for (pointer, leaf) in super::leaves(json) {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let words = super::words(name);
        let rank = match words.last().map(String::as_str) {
            Some("id" | "uuid") if words.len() == 1 => 0,
            Some("id" | "uuid") => 1,
            Some("name" | "slug" | "key") => 2,
            _ => continue,
        };
        let value = match leaf {
            Value::String(text) if !text.is_empty() && text.len() <= 128 => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        found.push((rank, value));
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, value)| value).take(4).collect()
}

/// Removes what a request of the scan's own made, as the identity `who`, or says in the notes that
/// it stays.
pub(crate) async fn remove(
    cx: &Context,
    operation: &Operation,
    made: &Exchange,
    who: usize,
) -> Result<(), Halt> {
    if !super::succeeded(made) {
        return Ok(());
    }
    remove_named(cx, operation, &identifiers(made), who).await
}

/// As [`remove`], for what is known by one of these names.
pub(crate) async fn remove_named(
    cx: &Context,
    operation: &Operation,
    ids: &[String],
    who: usize,
) -> Result<(), Halt> {
    for known in cx.operations().iter().filter(|known| {
        known.method == Method::DELETE
            && related(&known.path, &operation.path)
            && item_path(&known.path) == Some(known.path.as_str())
            && known.path.matches('{').count() == 1
    }) {
        for id in ids.iter().take(2) {
            let Some(request) = request_for(known, id, who) else {
                continue;
            };
            if super::succeeded(&*cx.send_fresh(request).await?) {
                return Ok(());
            }
        }
    }
    if let Some(id) = ids.first() {
        cx.note(format!(
            "{operation} made {id}, which the scan could not remove"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_of_an_action_is_what_stands_before_it() {
        assert_eq!(item_path("/v1/things/{id}/stop"), Some("/v1/things/{id}"));
        assert_eq!(item_path("/a/{b}/c/{d}"), Some("/a/{b}/c/{d}"));
        assert_eq!(item_path("/v1/things"), None);
    }

    #[test]
    fn what_a_request_made_is_looked_for_in_its_own_resource() {
        assert!(related("/v1/jobs/{id}", "/v1/jobs/import"));
        assert!(related("/api/v2/books", "/api/v2/books"));
        assert!(!related("/v1/users", "/v1/books"));
        assert!(related("/v1/containers", "/v1/imports"));
    }
}
