//! What the service offers: from a description, a recorded session, or discovery.

pub(crate) mod discover;
pub(crate) mod har;
mod harvest;
pub(crate) mod openapi;
mod sample;
mod schema;
mod tag;

pub(crate) use harvest::Harvest;
pub(crate) use sample::Samples;
pub(crate) use tag::words;

use crate::client::Client;
use crate::run::Stop;
use crate::{
    Auth, Halt, Operation, Param, ParamIn, Request, ScanError, ScanOptions, Security, Source,
    SpecSource, Target,
};
use hyper::Method;
use openapi::Described;
use serde_json::Value;
use std::collections::BTreeSet;

/// Where services keep their description, the likeliest first.
const WELL_KNOWN: [&str; 18] = [
    "/openapi.json",
    "/openapi.yaml",
    "/openapi.yml",
    "/swagger.json",
    "/api-docs",
    "/v3/api-docs",
    "/v2/api-docs",
    "/api/openapi.json",
    "/api/openapi.yaml",
    "/api/swagger.json",
    "/api/v1/openapi.json",
    "/v1/openapi.json",
    "/docs/openapi.json",
    "/docs/openapi.yaml",
    "/swagger/v1/swagger.json",
    "/swagger/doc.json",
    "/api-docs/openapi.json",
    "/.well-known/openapi.json",
];
/// Operations that choose the base path.
const PREFIX_PROBES: usize = 4;

/// The operations and where they are known from.
pub(crate) struct Inventory {
    pub(crate) operations: Vec<Operation>,
    /// In words.
    pub(crate) from: String,
    pub(crate) notes: Vec<String>,
    /// Why the search for more had to end.
    pub(crate) halted: Option<Halt>,
}

/// Learns the operations.
pub(crate) async fn take(options: &ScanOptions, client: &Client) -> Result<Inventory, Stop> {
    let mut inventory = match &options.spec {
        Some(SpecSource::File { name, text }) => {
            let document = parse(name, text)?;
            if har::is_har(&document) {
                har_inventory(name, &document, &options.base)
            } else {
                described(options, client, name, Some(name), &document, text).await?
            }
        }
        Some(SpecSource::Url(url)) => {
            let text = fetch(options, client, url).await?;
            let document = parse(url, &text)?;
            described(options, client, url, None, &document, &text).await?
        }
        None => match well_known(options, client).await? {
            Some(inventory) => inventory,
            None => Inventory {
                operations: Vec::new(),
                from: "discovery".to_owned(),
                notes: Vec::new(),
                halted: None,
            },
        },
    };
    let found = match discover::discover(options, client, &inventory.operations).await {
        Ok(found) => found,
        // What is described is known all the same.
        Err(Stop::Halt(halt)) if !inventory.operations.is_empty() => {
            inventory.halted = Some(halt);
            discover::Discovered {
                operations: Vec::new(),
                notes: Vec::new(),
            }
        }
        Err(stop) => return Err(stop),
    };
    let count = found.operations.len();
    if count > 0 && !inventory.operations.is_empty() {
        inventory.notes.push(format!(
            "{count} operation{} that the description does not name: {}",
            if count == 1 { "" } else { "s" },
            listed(&found.operations)
        ));
    }
    inventory.notes.extend(found.notes);
    inventory.operations.extend(found.operations);
    inventory
        .operations
        .sort_by_key(|operation| !operation.is_safe());
    for (index, operation) in inventory.operations.iter_mut().enumerate() {
        operation.index = index;
    }
    if inventory.operations.is_empty() {
        return Err(ScanError::Nothing(options.base.to_string()).into());
    }
    Ok(inventory)
}

fn listed(operations: &[Operation]) -> String {
    let mut names: Vec<String> = operations.iter().take(12).map(Operation::id).collect();
    if operations.len() > names.len() {
        names.push("…".to_owned());
    }
    names.join(", ")
}

pub(crate) fn parse(name: &str, text: &str) -> Result<Value, ScanError> {
    let failed = |reason: String| ScanError::Spec(name.to_owned(), reason);
    let document = openapi::parse(text).map_err(failed)?;
    if openapi::is_description(&document) || har::is_har(&document) {
        Ok(document)
    } else {
        Err(ScanError::Spec(
            name.to_owned(),
            "it is neither an OpenAPI document with `paths` nor a HAR file".to_owned(),
        ))
    }
}

fn har_inventory(name: &str, document: &Value, base: &Target) -> Inventory {
    let (operations, foreign) = har::read(document, base);
    let notes = if foreign > 0 {
        vec![format!(
            "{foreign} recorded requests to other hosts were left out"
        )]
    } else {
        Vec::new()
    };
    Inventory {
        operations,
        from: format!("recorded session {name}"),
        notes,
        halted: None,
    }
}

async fn described(
    options: &ScanOptions,
    client: &Client,
    name: &str,
    file: Option<&str>,
    document: &Value,
    text: &str,
) -> Result<Inventory, Stop> {
    let Described {
        mut operations,
        prefixes,
        notes,
    } = openapi::read(document, text, file, &options.base);
    let prefix = choose_prefix(options, client, &operations, &prefixes).await?;
    for operation in &mut operations {
        operation.path = format!("{prefix}{}", operation.path);
    }
    // Two paths that differ in their base path alone have become one.
    let mut seen = BTreeSet::new();
    operations.retain(|operation| seen.insert(operation.id()));
    Ok(Inventory {
        operations,
        from: format!("OpenAPI description {name}"),
        notes,
        halted: None,
    })
}

/// The base path under which most of a few operations are found.
async fn choose_prefix(
    options: &ScanOptions,
    client: &Client,
    operations: &[Operation],
    prefixes: &[String],
) -> Result<String, Stop> {
    let first = prefixes.first().cloned().unwrap_or_default();
    if prefixes.len() < 2 {
        return Ok(first);
    }
    let probes: Vec<&Operation> = operations
        .iter()
        .filter(|op| op.method == Method::GET && !op.destructive && !op.path.contains('{'))
        .take(PREFIX_PROBES)
        .collect();
    let mut best = (0, first);
    for prefix in prefixes {
        let mut found = 0;
        for probe in &probes {
            let request = Request::get(format!("{prefix}{}", probe.path), first_identity(options));
            if !matches!(
                client.send(&request).await?.status(),
                None | Some(404 | 410)
            ) {
                found += 1;
            }
        }
        if found > best.0 {
            best = (found, prefix.clone());
        }
        if found == probes.len() {
            break;
        }
    }
    Ok(best.1)
}

/// The first identity, or no token where there is none.
fn first_identity(options: &ScanOptions) -> Auth {
    if options.identities.is_empty() {
        Auth::None
    } else {
        Auth::Identity(0)
    }
}

async fn well_known(options: &ScanOptions, client: &Client) -> Result<Option<Inventory>, Stop> {
    let base = options.base.base_path();
    let mut paths: Vec<String> = WELL_KNOWN
        .iter()
        .map(|path| format!("{base}{path}"))
        .collect();
    if !base.is_empty() {
        paths.extend(WELL_KNOWN.iter().map(|path| (*path).to_owned()));
    }
    for path in paths {
        let mut exchange = client
            .send_for_large(&Request::get(&path, Auth::None))
            .await?;
        if matches!(exchange.status(), Some(401 | 403)) && !options.identities.is_empty() {
            exchange = client
                .send_for_large(&Request::get(&path, Auth::Identity(0)))
                .await?;
        }
        if exchange.status() != Some(200) {
            continue;
        }
        let text = exchange.text().into_owned();
        if let Ok(document) = openapi::parse(&text)
            && openapi::is_description(&document)
        {
            return described(options, client, &path, None, &document, &text)
                .await
                .map(Some);
        }
    }
    Ok(None)
}

/// The text at a URL that the user named. One on the target is fetched by the scan's own client;
/// another host sees one request without a token.
pub(crate) async fn fetch(
    options: &ScanOptions,
    client: &Client,
    url: &str,
) -> Result<String, Stop> {
    let failed = |reason: String| ScanError::Spec(url.to_owned(), reason);
    let (place, query) = Target::parse_url(url).map_err(|error| failed(error.to_string()))?;
    let target = match query {
        Some(query) => format!("{}?{query}", place.path()),
        None => place.path().to_owned(),
    };
    let mut request = Request::get(target, Auth::None);
    let exchange = if place.same_origin(&options.base) {
        let exchange = client.send_for_large(&request).await?;
        if matches!(exchange.status(), Some(401 | 403)) && !options.identities.is_empty() {
            request.auth = Auth::Identity(0);
            client.send_for_large(&request).await?
        } else {
            exchange
        }
    } else {
        let mut elsewhere = ScanOptions::new(place);
        elsewhere.proxy = options.proxy.clone();
        elsewhere.ca = options.ca.clone();
        elsewhere.insecure = options.insecure;
        elsewhere.limits.timeout = options.limits.timeout;
        client
            .elsewhere(&elsewhere)?
            .send_for_large(&request)
            .await?
    };
    match &exchange.outcome {
        Ok(response) if response.truncated => Err(failed("it is too long".to_owned()).into()),
        Ok(response) if response.status == 200 => Ok(exchange.text().into_owned()),
        Ok(response) => Err(failed(format!("the server answered {}", response.status)).into()),
        Err(failure) => Err(failed(failure.to_string()).into()),
    }
}

/// An operation about which nothing is known but this.
pub(crate) fn operation(method: &str, path: &str) -> Operation {
    let mut operation = Operation {
        index: 0,
        method: Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET),
        path: path.to_owned(),
        params: Vec::new(),
        body: None,
        security: Security::default(),
        reach: BTreeSet::new(),
        destructive: false,
        source: Source::Discovered,
        description: String::new(),
    };
    complete_path_params(&mut operation);
    operation
}

/// Adds the parameters that stand in the path and that nobody described, and drops described ones
/// that do not stand there.
fn complete_path_params(operation: &mut Operation) {
    let names: Vec<String> = operation
        .path
        .split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| name.to_owned())
        .collect();
    operation
        .params
        .retain(|param| param.place != ParamIn::Path || names.contains(&param.name));
    for name in names {
        if operation.param(ParamIn::Path, &name).is_none() {
            operation.params.push(Param {
                name,
                place: ParamIn::Path,
                required: true,
                schema: Value::Null,
                example: None,
                description: String::new(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
