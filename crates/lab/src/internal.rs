//! The other services of the pretended network: the registry, a receiver of webhooks, and the cloud
//! provider's metadata service.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Which service a listener plays.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// `registry.internal` and `hooks.internal`.
    Internal,
    /// `169.254.169.254`.
    Metadata,
}

/// Serves a part on a free loopback port until the set of tasks is dropped.
pub(crate) async fn serve(part: Part, tasks: &mut JoinSet<()>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            while connections.try_join_next().is_some() {}
            let service = service_fn(move |request| async move {
                Ok::<_, Infallible>(match part {
                    Part::Internal => internal(request).await,
                    Part::Metadata => metadata(&request),
                })
            });
            connections.spawn(async move {
                // A connection that breaks concerns its client only.
                let _ = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(5))
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(address)
}

async fn internal(request: Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.method().clone(), request.uri().path()) {
        (Method::GET, "/v2/") => answer(StatusCode::OK, "{}"),
        (Method::GET, "/v2/allowed/app/manifests/1") => {
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 1469},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 3_401_613}],
            });
            answer(StatusCode::OK, &manifest.to_string())
        }
        (Method::POST | Method::PUT, "/echo") => {
            let body = Limited::new(request.into_body(), 64 * 1024).collect().await;
            let length = body.map_or(0, |body| body.to_bytes().len());
            answer(StatusCode::OK, &json!({"received": length}).to_string())
        }
        _ => answer(
            StatusCode::NOT_FOUND,
            r#"{"errors":[{"code":"NOT_FOUND"}]}"#,
        ),
    }
}

fn metadata(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_end_matches('/');
    let text = match path {
        "/latest" => "dynamic\nmeta-data\nuser-data",
        "/latest/meta-data" => "ami-id\nhostname\niam/\ninstance-id\nlocal-ipv4",
        "/latest/meta-data/hostname" => "dock-1.internal",
        "/latest/meta-data/instance-id" => "i-0f3a91c2d84e7b650",
        "/latest/meta-data/local-ipv4" => "10.20.0.2",
        "/latest/meta-data/iam" => "security-credentials/",
        "/latest/meta-data/iam/security-credentials" => "edge-node",
        // Keys of nobody: the documentation's example id, and a secret that spells what it is.
        "/latest/meta-data/iam/security-credentials/edge-node" => {
            r#"{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAIOSFODNN7EXAMPLE","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","Token":"IQoJb3JpZ2luX2VjLABNOTAREALTOKEN","Expiration":"2027-01-01T00:00:00Z"}"#
        }
        _ => return answer(StatusCode::NOT_FOUND, ""),
    };
    let mut response = answer(StatusCode::OK, text);
    let plain = hyper::header::HeaderValue::from_static("text/plain");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, plain);
    response
}

fn answer(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    response
}
