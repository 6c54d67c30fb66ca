//! What the service keeps of its tenants: their containers and jobs. The engine has the containers
//! themselves; here is whose they are.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many jobs one tenant may have; the oldest goes when another comes.
pub(crate) const JOBS: usize = 50;

/// One container of a tenant.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) name: String,
    /// The engine's name for it.
    pub(crate) engine: String,
    pub(crate) image: String,
    /// Free-form.
    pub(crate) labels: Map<String, Value>,
}

/// One job of a tenant.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) tenant: String,
    pub(crate) name: String,
    /// The engine's id of its container.
    pub(crate) engine: String,
    pub(crate) image: String,
    pub(crate) labels: Map<String, Value>,
    /// Counts up, so that the oldest is known.
    number: u64,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    containers: Mutex<BTreeMap<String, Container>>,
    jobs: Mutex<BTreeMap<String, Job>>,
}

impl Store {
    /// With the containers that the tenants have at the start.
    pub(crate) fn new() -> Self {
        let containers = SEEDS.iter().map(|seed| {
            let container = Container {
                id: seed.id.to_owned(),
                tenant: seed.tenant.to_owned(),
                name: seed.name.to_owned(),
                engine: format!("{}-{}", seed.tenant, seed.name),
                image: "allowed/app:1".to_owned(),
                labels: Map::from_iter([("team".to_owned(), Value::from(seed.team))]),
            };
            (container.id.clone(), container)
        });
        let store = Self {
            containers: Mutex::new(containers.collect()),
            jobs: Mutex::default(),
        };
        for (id, tenant, name, _) in JOB_SEEDS {
            store.add_job(
                id.to_owned(),
                tenant,
                name.to_owned(),
                id.to_owned(),
                Map::new(),
            );
        }
        store
    }

    pub(crate) fn of(&self, tenant: &str) -> Vec<Container> {
        let containers = lock(&self.containers);
        containers
            .values()
            .filter(|c| c.tenant == tenant)
            .cloned()
            .collect()
    }

    pub(crate) fn container(&self, id: &str) -> Option<Container> {
        lock(&self.containers).get(id).cloned()
    }

    /// Merges labels into a container's.
    pub(crate) fn label(&self, id: &str, labels: Map<String, Value>) {
        if let Some(container) = lock(&self.containers).get_mut(id) {
            for (name, value) in labels {
                match value {
                    Value::Null => drop(container.labels.remove(&name)),
                    value => drop(container.labels.insert(name, value)),
                }
            }
            while container.labels.len() > 50 {
                let first = container.labels.keys().next().cloned();
                container.labels.remove(&first.unwrap_or_default());
            }
        }
    }

    pub(crate) fn jobs_of(&self, tenant: &str) -> Vec<Job> {
        let jobs = lock(&self.jobs);
        jobs.values()
            .filter(|job| job.tenant == tenant)
            .cloned()
            .collect()
    }

    pub(crate) fn job(&self, id: &str, tenant: &str) -> Option<Job> {
        let jobs = lock(&self.jobs);
        jobs.get(id).filter(|job| job.tenant == tenant).cloned()
    }

    pub(crate) fn remove_job(&self, id: &str) {
        lock(&self.jobs).remove(id);
    }

    /// Adds a job; answers the oldest one when the tenant had too many.
    pub(crate) fn add_job(
        &self,
        id: String,
        tenant: &str,
        name: String,
        engine: String,
        labels: Map<String, Value>,
    ) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        let number = jobs.values().map(|job| job.number).max().unwrap_or(0) + 1;
        jobs.insert(
            id.clone(),
            Job {
                id,
                tenant: tenant.to_owned(),
                name,
                engine,
                image: "allowed/app:1".to_owned(),
                labels,
                number,
            },
        );
        let own = jobs.values().filter(|job| job.tenant == tenant);
        if own.clone().count() <= JOBS {
            return None;
        }
        let oldest = own.min_by_key(|job| job.number)?.id.clone();
        jobs.remove(&oldest)
    }
}

/// A container that a tenant has at the start.
pub(crate) struct TenantSeed {
    pub(crate) id: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) name: &'static str,
    team: &'static str,
    pub(crate) command: &'static str,
}

/// Jobs that the tenants have at the start: id, tenant, name, command.
pub(crate) const JOB_SEEDS: [(&str, &str, &str, &str); 2] = [
    (
        "job-0f9c31b27a5e",
        "acme",
        "nightly-report",
        "echo acme report: 120 rows",
    ),
    (
        "job-c44e0d81f3a6",
        "globex",
        "month-end",
        "echo globex month-end booked",
    ),
];

pub(crate) const SEEDS: &[TenantSeed] = &[
    TenantSeed {
        id: "ctr-4f1d2a90",
        tenant: "acme",
        name: "web",
        team: "storefront",
        command: "echo acme web listening on 8000; echo GET / 200; sleep infinity",
    },
    TenantSeed {
        id: "ctr-a81c07b2",
        tenant: "acme",
        name: "batch",
        team: "reports",
        command: "echo acme batch: 120 rows; sleep infinity",
    },
    TenantSeed {
        id: "ctr-93be51d7",
        tenant: "globex",
        name: "ledger",
        team: "finance",
        command: "echo globex ledger ready; echo booked invoice 20617; sleep infinity",
    },
    TenantSeed {
        id: "ctr-5c20e6f4",
        tenant: "globex",
        name: "importer",
        team: "finance",
        command: "echo globex importer idle; sleep infinity",
    },
];

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
