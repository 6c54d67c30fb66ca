//! A model of an engine, as far as ownership could go wrong in it: it finds objects by name before
//! id and by any unique prefix, and knows nothing of tenants.

mod state;

use std::sync::Mutex;

use bytes::Bytes;
use cofferdam_action::action::Action;
use cofferdam_action::value::Labels;
use cofferdam_broker::tenancy::{Engine, EngineFailure, Reply};
use serde_json::Value;
use tokio::sync::oneshot;

use state::{Network, State, Tag};

/// The engine. Ids and times depend only on who makes an object and how many they have made, so
/// that what one does shows in the other's answers only if it can be seen there.
#[derive(Debug, Default)]
pub struct Model {
    state: Mutex<State>,
    /// Where the next list of networks waits.
    stop: Mutex<Option<Stop>>,
}

/// A place at which an answer waits.
#[derive(Debug)]
struct Stop {
    reached: oneshot::Sender<()>,
    goes_on: oneshot::Receiver<()>,
}

impl Engine for Model {
    async fn ask(&self, action: &Action) -> Result<Reply, EngineFailure> {
        if let Action::NetworkList { .. } = action {
            let stop = self.stop.lock().unwrap().take();
            if let Some(stop) = stop {
                stop.reached.send(()).unwrap();
                stop.goes_on.await.unwrap();
            }
        }
        let (status, body) = self.state.lock().unwrap().answer(action);
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        Ok(Reply { status, body })
    }
}

impl Model {
    /// An engine with its own networks and some images.
    pub fn new() -> Self {
        let model = Self::default();
        {
            let mut state = model.state.lock().unwrap();
            for name in ["bridge", "host", "none"] {
                let id = state.id("the engine");
                state.networks.push(Network {
                    by: "the engine".into(),
                    id,
                    name: name.into(),
                    labels: Labels::default(),
                });
            }
            for (tag, id) in [("app:latest", "1"), ("other/tool:1", "2")] {
                let id = format!("sha256:{}", id.repeat(64));
                let by = "the engine".into();
                state.tags.insert(tag.into(), Tag { by, id });
            }
        }
        model
    }

    /// Has the next list of networks wait: what tells that it was asked for, and what lets it go on.
    pub fn stop_at_networks(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (reached, is_reached) = oneshot::channel();
        let (lets, goes_on) = oneshot::channel();
        *self.stop.lock().unwrap() = Some(Stop { reached, goes_on });
        (is_reached, lets)
    }

    /// Says who asks from now on; the tenancy does not hear of it.
    pub fn by(&self, who: &str) {
        self.state.lock().unwrap().by = who.to_owned();
    }

    /// Everything that somebody has made, to see whether it changes.
    pub fn made_by(&self, who: &str) -> String {
        let state = self.state.lock().unwrap();
        let containers: Vec<_> = state.containers.iter().filter(|it| it.by == who).collect();
        let networks: Vec<_> = state.networks.iter().filter(|it| it.by == who).collect();
        let volumes: Vec<_> = state.volumes.iter().filter(|it| it.by == who).collect();
        let tags: Vec<_> = state.tags.iter().filter(|(_, it)| it.by == who).collect();
        format!("{containers:?} {networks:?} {volumes:?} {tags:?}")
    }

    /// Ids and names of the engine's for everything there is, oldest first; of an exec, `exec` and
    /// its id.
    pub fn words(&self) -> Vec<String> {
        let execs: Vec<_> = {
            let state = self.state.lock().unwrap();
            state.execs.keys().map(|id| format!("exec {id}")).collect()
        };
        self.words_of(|_| true).into_iter().chain(execs).collect()
    }

    /// The same for what somebody has made, without execs.
    pub fn words_of(&self, is_by: impl Fn(&str) -> bool) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let containers = state.containers.iter().filter(|it| is_by(&it.by));
        let networks = state.networks.iter().filter(|it| is_by(&it.by));
        let volumes = state.volumes.iter().filter(|it| is_by(&it.by));
        let containers = containers.flat_map(|it| [&it.id, &it.name]);
        let networks = networks.flat_map(|it| [&it.id, &it.name]);
        let volumes = volumes.map(|it| &it.name);
        containers.chain(networks).chain(volumes).cloned().collect()
    }

    /// The lines of the event stream.
    pub fn events(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.events.iter().map(Value::to_string).collect()
    }

    /// Removes a container behind the broker's back, by its name in the engine.
    pub fn lose(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        let lost = state
            .containers
            .iter()
            .position(|it| it.name == name)
            .unwrap();
        let lost = state.containers.remove(lost);
        state.tell("container", "destroy", &lost.id, &lost.name);
    }
}
