//! The `ports` of a compose service, short and long.

use crate::interpolate::interpolate;
use crate::node::Node;
use crate::settings::PublishedPort;

/// Most ports of one range that are kept.
const MAX_RANGE: u16 = 128;

/// Reads one item; a range gives one port each.
pub(super) fn published(item: &Node) -> Vec<PublishedPort> {
    let text = |key| item.get(key).and_then(Node::text).map(interpolate);
    if let Some(short) = item.text() {
        return short_syntax(&interpolate(short));
    }
    let Some(target) = text("target").and_then(|port| port.parse().ok()) else {
        return Vec::new();
    };
    vec![PublishedPort {
        address: text("host_ip"),
        host: text("published").and_then(|port| range(&port).map(|(first, _)| first)),
        container: target,
    }]
}

/// `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, each port possibly a range.
fn short_syntax(text: &str) -> Vec<PublishedPort> {
    let text = text.split('/').next().unwrap_or_default();
    let (front, container) = match text.rsplit_once(':') {
        Some((front, container)) => (front, container),
        None => ("", text),
    };
    let (address, host) = match front.rsplit_once(':') {
        Some((address, host)) => (Some(address.trim_matches(['[', ']'])), host),
        None => (None, front),
    };
    let Some((first, last)) = range(container) else {
        return Vec::new();
    };
    let host = range(host);
    (first..=last.min(first.saturating_add(MAX_RANGE - 1)))
        .map(|container| PublishedPort {
            address: address
                .filter(|address| !address.is_empty())
                .map(str::to_owned),
            host: host.map(|(start, _)| start.saturating_add(container - first)),
            container,
        })
        .collect()
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// The port, short, for evidence.
pub(super) fn written(port: &PublishedPort) -> String {
    let host = port.host.map(|host| format!("{host}:")).unwrap_or_default();
    let address = match &port.address {
        Some(address) => format!("{address}:"),
        None => String::new(),
    };
    format!("{address}{host}{}", port.container)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_port_is_read() {
        let one = |text: &str| {
            let node = Node::parse("c", format!("p: {text}").as_bytes()).unwrap();
            published(node.get("p").unwrap())
        };
        let port = |address: Option<&str>, host, container| PublishedPort {
            address: address.map(str::to_owned),
            host,
            container,
        };
        assert_eq!(one("80"), [port(None, None, 80)]);
        assert_eq!(one("\"8080:80\""), [port(None, Some(8080), 80)]);
        assert_eq!(
            one("127.0.0.1:8080:80/tcp"),
            [port(Some("127.0.0.1"), Some(8080), 80)]
        );
        assert_eq!(one("'[::1]:81:80'"), [port(Some("::1"), Some(81), 80)]);
        assert_eq!(
            one("3000-3001:4000-4001"),
            [port(None, Some(3000), 4000), port(None, Some(3001), 4001)]
        );
        assert_eq!(
            one("{target: 80, published: \"8080\", host_ip: 127.0.0.1}"),
            [port(Some("127.0.0.1"), Some(8080), 80)]
        );
        assert_eq!(one("${PORT:-9000}:80"), [port(None, Some(9000), 80)]);
        assert_eq!(one("junk"), []);
        assert!(!one("127.0.0.1:8080:80")[0].is_public());
        assert!(one("8080:80")[0].is_public());
    }
}
