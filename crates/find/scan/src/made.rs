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
    /// Takes note of the answer to an unsafe request of the baseline. `known` says whether an
    /// identifier was seen before: only what is new was made.
    pub(crate) fn take(
        &self,
        operations: &[Operation],
        operation: &Operation,
        auth: &Auth,
        exchange: &Exchange,
        known: impl Fn(&Operation, &str, &str) -> bool,
    ) {
        if operation.is_safe() || !oracle::welcome(exchange) {
            return;
        }
        lock(&self.changed)
            .entry(operation.id())
            .or_default()
            .push(exchange.who.clone());
        let Some(answer) = exchange.json().filter(|_| operation.method == Method::POST) else {
            return;
        };
        let folder = format!("{}/", operation.path.trim_end_matches('/'));
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

    /// What is left, in sentences.
    pub(crate) fn notes(&self) -> Vec<String> {
        lock(&self.changed)
            .iter()
            .map(|(operation, who)| {
                format!(
                    "the baseline may have changed state with {operation} as {}",
                    who.join(", ")
                )
            })
            .collect()
    }
}
