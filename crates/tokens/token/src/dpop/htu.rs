//! Comparing `htu` with the request's URI (RFC 9449 §4.3): without query and fragment, after the
//! normalization of RFC 3986 §6.2.2 and §6.2.3.

/// Whether the two are the same after normalization. A URI that is no absolute `http` or `https`
/// URI, that has user information or dot segments, is the same as none.
pub(super) fn same(left: &str, right: &str) -> bool {
    match (normalize(left), normalize(right)) {
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

fn normalize(uri: &str) -> Option<String> {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let (scheme, rest) = uri[..end].split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    // A bracket ends an IPv6 address, so a colon before it separates no port.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    if host.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut normal = format!("{scheme}://{}", host.to_ascii_lowercase());
    // Without a port it is the default one; 0 is none (RFC 3986 §6.2.3).
    let is_given = !port.is_empty();
    let port = port.trim_start_matches('0');
    if is_given && port.is_empty() {
        return None;
    }
    if is_given && port != default_port {
        normal.push(':');
        normal.push_str(port);
    }
    normalize_path(path, &mut normal)?;
    Some(normal)
}

/// Percent-encodings of unreserved characters are resolved, all others get upper-case digits.
fn normalize_path(path: &str, into: &mut String) -> Option<()> {
    let start = into.len();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let code = (digit(bytes.next())? << 4 | digit(bytes.next())?) as u8;
                if code.is_ascii_alphanumeric() || b"-._~".contains(&code) {
                    into.push(char::from(code));
                } else {
                    into.push_str(&format!("%{code:02X}"));
                }
            }
            0x21..=0x7E => into.push(char::from(byte)),
            _ => return None,
        }
    }
    let dots = into[start..]
        .split('/')
        .any(|segment| matches!(segment, "." | ".."));
    (!dots).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_that_differ_only_in_form_are_the_same() {
        for (left, right) in [
            ("https://api.example/a", "HTTPS://API.example:443/a"),
            ("https://api.example", "https://api.example/?x=1#y"),
            ("https://api.example:/", "https://api.example:0443/"),
            ("http://[::1]:8080/%7Ea%2fb", "http://[::1]:8080/~a%2Fb"),
        ] {
            assert!(same(left, right), "{left} {right}");
        }
    }

    #[test]
    fn uris_that_name_something_else_are_not() {
        for (left, right) in [
            ("https://api.example/a", "https://api.example/A"),
            ("https://api.example/a", "http://api.example/a"),
            ("https://api.example/a", "https://api.example:8443/a"),
            ("https://api.example/a", "https://api.example/a/"),
            ("https://api.example/a", "https://api.example/b/../a"),
            ("https://api.example/a", "https://u@api.example/a"),
            ("https://api.example/a%2Fb", "https://api.example/a/b"),
            ("/a", "/a"),
            ("https:///a", "https:///a"),
            ("https://a/%", "https://a/%"),
            ("https://a:0/", "https://a/"),
            ("https://a:00/", "https://a:00/"),
        ] {
            assert!(!same(left, right), "{left} {right}");
        }
    }
}
