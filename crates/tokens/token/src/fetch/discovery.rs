//! Where an issuer's keys are, by its own metadata (RFC 8414, OpenID Connect Discovery 1.0).

use super::client::{Client, FetchError, check};
use crate::json::{Document, Limits};

/// The URLs at which an issuer's metadata may be: that of OpenID Connect appends, that of RFC 8414
/// §3.1 inserts before the path.
pub(super) fn metadata_urls(issuer: &str) -> Vec<String> {
    let base = issuer.trim_end_matches('/');
    let mut urls = vec![format!("{base}/.well-known/openid-configuration")];
    if let Some((scheme, rest)) = base.split_once("://") {
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        urls.push(format!(
            "{scheme}://{host}/.well-known/oauth-authorization-server{path}"
        ));
    }
    urls
}

/// Asks for the metadata, and answers its `jwks_uri`.
pub(super) async fn jwks_uri(client: &Client, issuer: &str) -> Result<String, FetchError> {
    let mut last = FetchError::Url(issuer.to_owned());
    for url in metadata_urls(issuer) {
        match client.get(&url).await {
            Ok(metadata) => return read(&url, issuer, metadata),
            // Only that there is nothing at one place is a reason to look at the other.
            Err(error @ FetchError::Status(_, 404)) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn read(url: &str, issuer: &str, metadata: Vec<u8>) -> Result<String, FetchError> {
    let unusable = |reason: &str| FetchError::Content(url.to_owned(), reason.to_owned());
    let metadata =
        Document::parse(metadata, &Limits::KEYS).map_err(|error| unusable(&error.to_string()))?;
    let text = |name| metadata.root().get(name).and_then(|value| value.as_str());
    if text("issuer") != Some(issuer) {
        return Err(FetchError::OtherIssuer(url.to_owned()));
    }
    let jwks_uri = text("jwks_uri").ok_or_else(|| unusable("it has no `jwks_uri`"))?;
    check(jwks_uri)?;
    Ok(jwks_uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_are_known() {
        assert_eq!(
            metadata_urls("https://idp.example/realms/main/"),
            [
                "https://idp.example/realms/main/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server/realms/main"
            ]
        );
    }

    #[test]
    fn metadata_of_another_issuer_is_not_believed() {
        let read = |json: &str| read("u", "https://idp.example", json.into());
        let good = r#"{"issuer":"https://idp.example","jwks_uri":"https://idp.example/jwks"}"#;
        assert_eq!(read(good).unwrap(), "https://idp.example/jwks");
        for issuer in ["https://idp.example/", "https://evil.example", ""] {
            let json = good.replace("https://idp.example\",", &format!("{issuer}\","));
            assert_eq!(
                read(&json).unwrap_err(),
                FetchError::OtherIssuer("u".into())
            );
        }
        assert!(
            read(&good.replace("https://idp.example/jwks", "http://idp.example/jwks")).is_err()
        );
        assert!(read(r#"{"issuer":"https://idp.example"}"#).is_err());
        assert!(read("<html>").is_err());
    }
}
