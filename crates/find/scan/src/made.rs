//! What the baseline made with unsafe methods, and its undoing at the end of the scan.

use crate::client::{Client, lock};
use crate::inventory::Harvest;
use crate::request::encode;
use crate::{Auth, Exchange, Halt, Operation, Request, oracle};
use hyper::Method;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What the baseline made or may have changed.
#[derive(Default)]
pub(crate) struct Made {
    /// Operations with an unsafe method that somebody was let in to, and by whom.
    changed: Mutex<BTreeMap<String, Vec<String>>>,
    /// Objects that can be deleted again.
    objects: Mutex<Vec<Object>>,
}

struct Object {
    /// The operation that made it.
    by: String,
    /// The request that deletes it.
    delete: Request,
}

impl Made {
    /// Takes note of the answer to a state-changing request of the baseline. `known` says whether an
    /// identifier was seen before: only what is new was made.
    pub(crate) fn take(
        &self,
        operations: &[Operation],
        operation: &Operation,
        auth: &Auth,
        exchange: &Exchange,
        known: impl Fn(&Operation, &str, &str) -> bool,
    ) {
        if !oracle::welcome(exchange) {
            return;
        }
        lock(&self.changed)
            .entry(operation.id())
            .or_default()
            .push(exchange.who.clone());
        let Some(answer) = exchange.json().filter(|_| operation.method == Method::POST) else {
            return;
        };
        let path = operation.path.trim_end_matches('/');
        // `POST /x/create`, as the Docker Engine API has it.
        let path = ["/create", "/new", "/add"]
            .iter()
            .find_map(|ending| path.strip_suffix(ending))
            .unwrap_or(path);
        let folder = format!("{path}/");
        for delete in operations
            .iter()
            .filter(|other| other.method == Method::DELETE)
        {
            // `DELETE /x/{id}` undoes `POST /x`, and nothing else does.
            let Some(name) = delete
                .path
                .strip_prefix(&folder)
                .and_then(|rest| rest.strip_prefix('{')?.strip_suffix('}'))
                .filter(|name| !name.contains('/') && !operation.path.contains('{'))
            else {
                continue;
            };
            let mut own = Harvest::default();
            own.take(&operation.path, answer);
            let made = own
                .fitting(delete, name, 4)
                .into_iter()
                .find(|value| !known(delete, name, value));
            if let Some(value) = made {
                let values = vec![(name.to_owned(), encode(&value))];
                lock(&self.objects).push(Object {
                    by: operation.id(),
                    delete: Request::for_operation(delete, values, auth.clone()),
                });
            }
        }
    }

    /// Deletes what was made, the last first.
    pub(crate) async fn undo(&self, client: &Client) -> Result<(), Halt> {
        loop {
            let Some((by, request)) = lock(&self.objects)
                .last()
                .map(|object| (object.by.clone(), object.delete.clone()))
            else {
                return Ok(());
            };
            let exchange = client.send_fresh(&request).await?;
            lock(&self.objects).pop();
            if oracle::welcome(&exchange) {
                let mut changed = lock(&self.changed);
                if let Some(who) = changed.get_mut(&by) {
                    who.retain(|name| *name != exchange.who);
                    if who.is_empty() {
                        changed.remove(&by);
                    }
                }
            }
        }
    }

    /// What is left, as a sentence.
    pub(crate) fn note(&self) -> Option<String> {
        let changed = lock(&self.changed);
        let listed: Vec<String> = changed
            .iter()
            .map(|(operation, who)| format!("{operation} as {}", who.join(", ")))
            .collect();
        (!listed.is_empty()).then(|| {
            format!(
                "the baseline may have changed state with {}",
                listed.join("; ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Request, Response, api, serve, token_of};
    use crate::{Identity, Level, ScanOptions, SpecSource, scan};
    use serde_json::json;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Arc, Mutex};
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn what_the_baseline_made_is_gone_at_the_end_and_what_was_there_is_not() {
        let jobs = Arc::new(Mutex::new(BTreeMap::from([(
            "j-0".to_owned(),
            "first".to_owned(),
        )])));
        let store = Arc::clone(&jobs);
        let running = serve(Arc::new(move |request: &Request| {
            if request.subject().is_none() {
                return Response::json(401, json!({ "error": "unauthorized" }));
            }
            let mut jobs = store.lock().unwrap();
            match request.method.as_str() {
                "GET" if request.path() != "/jobs" => {
                    match jobs.contains_key(request.path().trim_start_matches("/jobs/")) {
                        true => Response::json(200, json!({ "state": "queued" })),
                        false => Response::json(404, json!({ "error": "no such job" })),
                    }
                }
                "GET" => Response::json(200, json!({ "jobs": jobs.keys().map(|id| json!({ "id": id })).collect::<Vec<_>>() })),
                "POST" if request.path() == "/jobs" => {
                    let name = request.json().unwrap()["name"].as_str().unwrap().to_owned();
                    if jobs.values().any(|known| *known == name) {
                        return Response::json(409, json!({ "error": "the name is taken" }));
                    }
                    let id = format!("j-{}", jobs.len());
                    jobs.insert(id.clone(), name);
                    Response::json(201, json!({ "id": id }))
                }
                "POST" => Response::json(200, json!({ "started": true })),
                "DELETE" => match jobs.remove(request.path().trim_start_matches("/jobs/")) {
                    Some(_) => Response::text(204, ""),
                    None => Response::json(404, json!({ "error": "no such job" })),
                },
                _ => Response::json(404, json!({ "error": "no" })),
            }
        }))
        .await;
        let mut options = ScanOptions::new(running.base.clone());
        options.identities = ["alice", "bob"]
            .map(|name| Identity::new(name, token_of(name)))
            .to_vec();
        options.level = Level::Active;
        options.only = Some(BTreeSet::new());
        let body = json!({ "content": { "application/json": { "schema": {
            "type": "object", "required": ["name"], "properties": { "name": { "type": "string", "example": "nightly" } }
        } } } });
        let description = api(json!({
            "/jobs": { "get": {}, "post": { "requestBody": body } },
            "/jobs/{id}": { "delete": {}, "get": { "parameters": [{ "name": "id", "in": "path", "example": "j-99" }] } },
            "/jobs/{id}/start": { "post": {} },
        }));
        options.spec = Some(SpecSource::File {
            name: "api.json".to_owned(),
            text: description.to_string(),
        });
        let scan = scan(options, |_| {}, CancellationToken::new())
            .await
            .unwrap();
        let coverage = |id: &str| {
            scan.operations
                .iter()
                .find(|one| one.operation == id)
                .unwrap()
        };
        let statuses: Vec<_> = coverage("POST /jobs")
            .reached
            .iter()
            .map(|one| one.status)
            .collect();
        assert_eq!(statuses, [Some(401), Some(401), Some(201), Some(201)]);
        // The example in the description does not exist; what is listed does.
        assert!(coverage("GET /jobs/{id}").covered);
        assert!(!coverage("DELETE /jobs/{id}").covered);
        assert_eq!(jobs.lock().unwrap().keys().collect::<Vec<_>>(), ["j-0"]);
        let left: Vec<_> = scan
            .notes
            .iter()
            .filter(|note| note.contains("changed state"))
            .collect();
        assert_eq!(
            left,
            ["the baseline may have changed state with POST /jobs/{id}/start as alice, bob"]
        );
    }
}
