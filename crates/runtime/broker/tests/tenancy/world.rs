//! A broker's flow around a model engine: the same order of calls as in the broker, without tokens,
//! policies and the audit log.

use std::collections::HashMap;

use cofferdam_action::action::Action;
use cofferdam_action::floor::{Caller, Floor};
use cofferdam_action::wire::Refused;
use cofferdam_broker::tenancy::{
    Engine, EngineFailure, Kind, Object, Owner, Reply, Store, Tenancy, Tenant, View, mark,
};
use serde_json::{Value, json};

use crate::model::Model;

/// An engine and a broker before it.
pub struct World {
    pub model: std::sync::Arc<Model>,
    pub tenancy: Tenancy<Shared>,
    pub floor: Floor,
    /// What each request was about, as the audit log would have it.
    pub intents: HashMap<String, Vec<String>>,
    folder: tempfile::TempDir,
}

/// The model, for the tenancy and the test.
#[derive(Clone)]
pub struct Shared(std::sync::Arc<Model>);

impl Engine for Shared {
    async fn ask(&self, action: &Action) -> Result<Reply, EngineFailure> {
        self.0.ask(action).await
    }
}

/// What a tenant was answered: the status, and the body as it was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

pub fn tenant(name: &str) -> Tenant {
    let owner = Owner::of("https://i", name);
    Tenant {
        owner,
        principal: owner,
        sees_all: false,
    }
}

pub fn operator() -> Tenant {
    Tenant {
        sees_all: true,
        ..tenant("operator")
    }
}

pub fn action(value: Value) -> Action {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

impl World {
    pub fn new() -> Self {
        Self::with_images(json!({ "allow": ["app"] }))
    }

    /// With another configuration of images.
    pub fn with_images(images: Value) -> Self {
        let model = std::sync::Arc::new(Model::new());
        let folder = tempfile::tempdir().unwrap();
        let floor = Floor::new(serde_json::from_value(json!({ "images": images })).unwrap());
        let store = Store::open(folder.path().join("owners.jsonl")).unwrap();
        let tenancy = Tenancy::new(store, Shared(model.clone()), floor.config().images.clone());
        Self {
            model,
            tenancy,
            floor,
            intents: HashMap::new(),
            folder,
        }
    }

    /// The broker starts again.
    pub fn restart(&mut self) {
        let store = Store::open(self.folder.path().join("owners.jsonl")).unwrap();
        let allowed = self.floor.config().images.clone();
        self.tenancy = Tenancy::new(store, Shared(self.model.clone()), allowed);
    }

    /// Where the journal is.
    pub fn journal(&self) -> std::path::PathBuf {
        self.folder.path().join("owners.jsonl")
    }

    /// One request from its reading to its answer.
    pub async fn ask(&mut self, tenant: &Tenant, request: Value) -> Answer {
        self.one(tenant, action(request), true).await
    }

    /// The same, but the broker dies as soon as the engine has acted.
    pub async fn ask_and_die(&mut self, tenant: &Tenant, request: Value) {
        self.one(tenant, action(request), false).await;
    }

    pub async fn one(&mut self, tenant: &Tenant, mut action: Action, settles: bool) -> Answer {
        self.model.by(tenant.owner.as_str());
        let objects = match self.tenancy.resolve(&mut action, tenant).await {
            Ok(objects) => objects,
            Err(refused) => return no(&refused),
        };
        let images = self.tenancy.caller_images(&action, tenant);
        let caller = Caller {
            own_images: images.own,
            local_images: images.local,
            foreign_images: images.foreign,
            ..Caller::default()
        };
        let mut action = match self.floor.judge(action, &caller) {
            Ok(approved) => approved.into_action(),
            Err(refusal) => {
                return Answer {
                    status: refusal.status(),
                    body: json!({ "message": refusal.to_string() }).to_string(),
                };
            }
        };
        let request = format!("r{}", self.intents.len());
        mark(&mut action, &tenant.owner, &request);
        let recorded = objects.iter().map(|it| it.recorded().to_owned()).collect();
        self.intents.insert(request, recorded);
        let mut begun = match self.tenancy.begin(&mut action, tenant).await {
            Ok(begun) => begun,
            Err(refused) => return no(&refused),
        };
        if cofferdam_action::encode::encode(&action).is_none() {
            return match self.tenancy.prune(&action, tenant).await {
                Ok(pruned) => Answer {
                    status: 200,
                    body: pruned.body.to_string(),
                },
                Err(broken) => no(&broken.refused),
            };
        }
        let Reply { status, body } = self.model.ask(&action).await.unwrap();
        if !settles {
            return Answer {
                status,
                body: String::new(),
            };
        }
        let shown = match &mut begun.view {
            _ if status >= 400 => {
                let error: Value = serde_json::from_slice(&body).unwrap();
                let message = self
                    .tenancy
                    .message(tenant, error["message"].as_str().unwrap());
                json!({ "message": message }).to_string().into_bytes()
            }
            View::Json(view) if !body.is_empty() => view.apply(&body).unwrap(),
            View::Lines(view) => {
                // The model has a list where the engine has lines.
                let lines: Vec<Value> = serde_json::from_slice(&body).unwrap();
                let shown = lines
                    .iter()
                    .filter_map(|it| view.apply(it.to_string().as_bytes()));
                let shown: Vec<_> = shown.collect();
                shown.join(&b'\n')
            }
            _ => body.to_vec(),
        };
        let settled = self.tenancy.settle(&action, &begun, status, &body, tenant);
        assert!(settled.failure.is_none());
        Answer {
            status,
            body: String::from_utf8(shown).unwrap(),
        }
    }

    /// The objects that a request is about.
    pub async fn objects(
        &self,
        tenant: &Tenant,
        request: Value,
    ) -> Vec<(Kind, Option<String>, String)> {
        let objects = self
            .tenancy
            .resolve(&mut action(request), tenant)
            .await
            .unwrap();
        let parts = |object: Object| (object.kind, object.id, object.name);
        objects.into_iter().map(parts).collect()
    }

    /// What a tenant is told of every event that there has been.
    pub async fn events(&mut self, tenant: &Tenant) -> Vec<String> {
        let mut events = action(json!({ "Events": {} }));
        let begun = self.tenancy.begin(&mut events, tenant).await.unwrap();
        let View::Lines(mut view) = begun.view else {
            panic!("events are lines")
        };
        let lines = self.model.events();
        let shown = lines.iter().filter_map(|line| view.apply(line.as_bytes()));
        shown.map(|line| String::from_utf8(line).unwrap()).collect()
    }
}

fn no(refused: &Refused) -> Answer {
    Answer {
        status: refused.status,
        body: json!({ "message": refused.message }).to_string(),
    }
}
