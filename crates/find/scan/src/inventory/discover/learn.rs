//! Parameters and bodies, learned from the refusals that name what is missing.

use super::{Explorer, clues, folder_of, words};
use crate::context::nonce;
use crate::inventory::{Samples, operation, tag};
use crate::run::Stop;
use crate::{BodySpec, Exchange, Operation, Param, ParamIn, Request, oracle};
use hyper::Method;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Missing fields that are filled in before an operation is given up.
const FIELDS: usize = 8;

impl Explorer<'_> {
    /// Adds the query parameters that a refusal names, one after the other.
    pub(super) async fn learn_query(
        &mut self,
        id: &str,
        path: &str,
        refusal: &str,
    ) -> Result<(), Stop> {
        let samples = Samples::new(&self.options.base);
        let mut refusal = refusal.to_owned();
        for _ in 0..FIELDS {
            let Some(found) = self.found.get(id) else {
                return Ok(());
            };
            let mut found = found.clone();
            let Some(field) = clues::missing_fields(&refusal)
                .into_iter()
                .find(|field| found.param(ParamIn::Query, &field.name).is_none())
            else {
                return Ok(());
            };
            let mut param = Param {
                name: field.name.clone(),
                place: ParamIn::Query,
                required: true,
                schema: Value::Null,
                example: None,
                description: String::new(),
            };
            let mut values = self.harvest.fitting(&found, &field.name, 3);
            values.extend(samples.param(&param));
            values.extend(self.harvest.related(&found.path, 3));
            values.extend(["README.md", "index.html", "1", "sample"].map(str::to_owned));
            for value in values {
                let mut request = Request::get(path, self.auth.clone());
                for known in found
                    .params
                    .iter()
                    .filter(|param| param.place == ParamIn::Query)
                {
                    let example = known
                        .example
                        .as_ref()
                        .and_then(Value::as_str)
                        .unwrap_or("1");
                    request = request.with_query(&known.name, example);
                }
                self.budget = self.budget.saturating_sub(1);
                let exchange = self
                    .client
                    .send(&request.with_query(&field.name, &value))
                    .await?;
                refusal = exchange.text().into_owned();
                if param.example.is_none() || oracle::welcome(&exchange) {
                    param.example = Some(Value::from(value));
                }
                if oracle::welcome(&exchange) || !clues::missing_fields(&refusal).is_empty() {
                    break;
                }
            }
            found.params.push(param);
            tag::tag(&mut found);
            self.found.insert(id.to_owned(), found);
        }
        Ok(())
    }

    /// Sends an empty `POST` where one could be taken, and fills in the fields that are missed.
    pub(super) async fn unsafe_operations(&mut self) -> Result<(), Stop> {
        let base = self.options.base.base_path().to_owned();
        let mut paths: Vec<String> = self
            .found
            .values()
            .filter(|found| !found.destructive)
            .filter_map(|found| self.sample_path(found))
            .collect();
        let mut folders = vec![base];
        folders.extend(self.folders.iter().cloned());
        for folder in folders {
            paths.extend(words::VERBS.iter().map(|word| format!("{folder}/{word}")));
        }
        paths.dedup();
        let mut absent: HashMap<String, Arc<Exchange>> = HashMap::new();
        for path in paths {
            if self.budget == 0 {
                break;
            }
            let folder = folder_of(&path).to_owned();
            if !absent.contains_key(&folder) {
                let name = format!("{folder}/{}", nonce());
                let answer = self.post(&name, &Map::new()).await?;
                absent.insert(folder.clone(), answer);
            }
            let mut body = Map::new();
            let first = self.post(&path, &body).await?;
            let status = first.status().unwrap_or(404);
            let nothing = matches!(status, 404 | 405 | 410 | 501)
                || absent.get(&folder).is_some_and(|absent| {
                    absent.status() == Some(status) && oracle::likeness(absent, &first) >= 0.9
                });
            if nothing {
                continue;
            }
            let mut refusal = first.text().into_owned();
            for _ in 0..FIELDS {
                let known = operation("POST", &path);
                let Some(field) = clues::missing_fields(&refusal)
                    .into_iter()
                    .find(|field| !body.contains_key(&field.name))
                else {
                    break;
                };
                let value = self.value_for(&known, &field.name);
                body.insert(field.name.clone(), Value::from(value));
                refusal = self.post(&path, &body).await?.text().into_owned();
                if let Some(value) = clues::expected(&refusal) {
                    body.insert(field.name, value);
                    refusal = self.post(&path, &body).await?.text().into_owned();
                }
            }
            self.record_post(&path, body);
        }
        Ok(())
    }

    fn record_post(&mut self, path: &str, body: Map<String, Value>) {
        let (template, values) = self.template(path);
        let mut found = operation("POST", &template);
        for (name, value) in values {
            if let Some(param) = found.params.iter_mut().find(|param| param.name == name) {
                param.example = Some(Value::from(value));
            }
        }
        let properties: Map<String, Value> = body
            .keys()
            .map(|name| (name.clone(), json!({ "type": "string" })))
            .collect();
        let required: Vec<&String> = body.keys().collect();
        found.body = Some(BodySpec {
            content_type: "application/json".to_owned(),
            schema: json!({ "type": "object", "properties": properties, "required": required }),
            example: Some(Value::Object(body)),
            required: true,
        });
        self.found.remove(&found.id());
        self.keep(found);
    }

    fn value_for(&self, operation: &Operation, name: &str) -> String {
        let param = Param {
            name: name.to_owned(),
            place: ParamIn::Query,
            required: true,
            schema: Value::Null,
            example: None,
            description: String::new(),
        };
        self.harvest
            .fitting(operation, name, 1)
            .pop()
            .or_else(|| Samples::new(&self.options.base).param(&param))
            .unwrap_or_else(|| "sample".to_owned())
    }

    async fn post(&mut self, path: &str, body: &Map<String, Value>) -> Result<Arc<Exchange>, Stop> {
        self.budget = self.budget.saturating_sub(1);
        let request = Request::new(Method::POST, path, self.auth.clone())
            .with_json(&Value::Object(body.clone()));
        let exchange = self.client.send(&request).await?;
        if oracle::welcome(&exchange) && !self.changed.iter().any(|known| known == path) {
            self.changed.push(path.to_owned());
        }
        Ok(exchange)
    }
}
