//! The origins of URLs that clients are told or prove something for.

use actix_web::http::Uri;

/// Scheme, host and port alone of an origin that may have a slash at its end.
#[track_caller]
pub(crate) fn alone(origin: &str) -> String {
    match and_path(origin) {
        Some((origin, path)) if path == "/" => origin,
        #[expect(clippy::panic, reason = "a mistake in the program that shows at start")]
        _ => {
            panic!("`{origin}` is no https origin: name scheme, host and port as clients see them")
        }
    }
}

/// Origin and path of a URL of https, or of http on this machine, with neither user, query nor
/// fragment and nothing in the path that a pattern of actix-web would read as one: of a resource
/// identifier (RFC 9728 §1.2), or of an issuer that clients can ask (RFC 8414 §2).
pub(crate) fn and_path(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let scheme = uri.scheme_str()?;
    let loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let fits = (scheme == "https" || scheme == "http" && loopback)
        && !host.is_empty()
        && !url.contains(['#', '?', '{', '}', '*', '@']);
    fits.then(|| {
        (
            format!("{scheme}://{}", uri.authority().map_or("", |a| a.as_str())),
            uri.path().to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_https_has_no_origin() {
        for url in [
            "",
            "api.example",
            "http://api.example",
            "https://api.example/#a",
            "https://api.example/?a",
            "https://a@api.example/",
            "https://api.example/{x}",
            "urn:api",
            "https:///x",
            "https://:80",
        ] {
            assert!(and_path(url).is_none(), "{url}");
        }
        let loopback = and_path("http://[::1]:8080/a").unwrap();
        assert_eq!(loopback, ("http://[::1]:8080".to_owned(), "/a".to_owned()));
    }
}
