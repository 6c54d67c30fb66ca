//! A unix socket in front of an engine that writes down every request before it passes it on, so
//! that a test can look at what reached the engine rather than at what was answered.
//!
//! Bytes are copied as they are, both ways and with the end of either half, so connections that are
//! taken over work. A request is written down when its last byte is there and before that byte is
//! passed on. What is not HTTP is written down too, as one request without a method.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a test stops at the first surprise, and takes the part that it needs"
)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A request as it reached the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Empty for bytes that are no request.
    pub method: String,
    /// The raw target.
    pub target: String,
    /// In the order of sending.
    pub headers: Vec<(String, String)>,
    /// Without the framing of chunks.
    pub body: Vec<u8>,
}

impl Request {
    /// `METHOD target`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The socket. It is removed with its folder when the recorder is dropped.
pub struct Recorder {
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Recorder {
    /// Listens in front of the engine at `engine`.
    pub fn new(engine: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (engine, record) = (engine.to_owned(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                // An engine that is gone is what the client would see without the recorder.
                let Ok(engine) = UnixStream::connect(&engine) else {
                    continue;
                };
                pass(client, engine, Arc::clone(&record));
            }
        });
        Self { folder, requests }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// What has reached the engine since this was last asked.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn pass(client: UnixStream, engine: UnixStream, record: Arc<Mutex<Vec<Request>>>) {
    let (mut from_engine, mut to_client) =
        (engine.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        // An error ends the exchange, as it would without the recorder.
        let _ = std::io::copy(&mut from_engine, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    std::thread::spawn(move || {
        let (mut client, mut engine) = (client, engine);
        let mut parser = Parser::default();
        let mut piece = [0; 16 * 1024];
        while let Ok(length @ 1..) = client.read(&mut piece) {
            for request in parser.more(&piece[..length]) {
                record.lock().unwrap().push(request);
            }
            if engine.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = engine.shutdown(Shutdown::Write);
    });
}

/// Finds the requests in what a client sends on one connection.
#[derive(Default)]
struct Parser {
    bytes: Vec<u8>,
    /// Whether what follows belongs to no request.
    is_raw: bool,
}

impl Parser {
    fn more(&mut self, bytes: &[u8]) -> Vec<Request> {
        let mut requests = Vec::new();
        if self.is_raw {
            return requests;
        }
        self.bytes.extend_from_slice(bytes);
        loop {
            match parse(&self.bytes) {
                Parsed::Request(request, length) => {
                    self.bytes.drain(..length);
                    self.is_raw = request.header("upgrade").is_some();
                    requests.push(request);
                    if self.is_raw {
                        return requests;
                    }
                }
                Parsed::Incomplete => return requests,
                Parsed::Foreign => {
                    self.is_raw = true;
                    requests.push(Request {
                        method: String::new(),
                        target: String::new(),
                        headers: Vec::new(),
                        body: std::mem::take(&mut self.bytes),
                    });
                    return requests;
                }
            }
        }
    }
}

enum Parsed {
    /// With its length.
    Request(Request, usize),
    Incomplete,
    Foreign,
}

fn parse(bytes: &[u8]) -> Parsed {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Parsed::Incomplete;
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version)) = (first.next(), first.next(), first.next())
    else {
        return Parsed::Foreign;
    };
    if !version.starts_with("HTTP/1.") {
        return Parsed::Foreign;
    }
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body: Vec::new(),
    };
    let start = end + 4;
    let is_chunked = request
        .header("transfer-encoding")
        .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"));
    if is_chunked {
        return match chunks(&bytes[start..]) {
            Ok(Some((body, length))) => {
                request.body = body;
                Parsed::Request(request, start + length)
            }
            Ok(None) => Parsed::Incomplete,
            Err(()) => Parsed::Foreign,
        };
    }
    let length = match request.header("content-length").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(length)) => length,
        Some(Err(_)) => return Parsed::Foreign,
    };
    match bytes.get(start..start + length) {
        Some(body) => {
            request.body = body.to_vec();
            Parsed::Request(request, start + length)
        }
        None => Parsed::Incomplete,
    }
}

/// A chunked body and its length on the wire, when it is all there.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else {
            return Ok(None);
        };
        let size = String::from_utf8_lossy(&bytes[at..at + end]).into_owned();
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| ())?;
        at += end + 2;
        if size == 0 {
            // Trailers end with an empty line, which may follow at once.
            let rest = &bytes[at..];
            return Ok(match (rest.starts_with(b"\r\n"), find(rest, b"\r\n\r\n")) {
                (true, _) => Some((body, at + 2)),
                (false, Some(end)) => Some((body, at + end + 4)),
                (false, None) => None,
            });
        }
        match bytes.get(at..at + size + 2) {
            Some(chunk) => body.extend_from_slice(&chunk[..size]),
            None => return Ok(None),
        }
        at += size + 2;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_however_they_are_cut() {
        let wire = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\nPOST /a?b=c HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz\
            POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x\r\nd\r\n0\r\n\r\n\
            POST /c HTTP/1.1\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}GET /no HTTP/1.1\r\n\r\n";
        for step in [1, 7, wire.len()] {
            let mut parser = Parser::default();
            let found: Vec<_> = wire
                .chunks(step)
                .flat_map(|piece| parser.more(piece))
                .collect();
            let lines: Vec<_> = found.iter().map(Request::line).collect();
            assert_eq!(lines, ["GET /_ping", "POST /a?b=c", "POST /b", "POST /c"]);
            assert_eq!(found[1].body, b"xyz");
            assert_eq!(found[2].body, b"abcd");
        }
    }

    #[test]
    fn what_is_not_http_is_written_down_too() {
        let found = Parser::default().more(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!((found.len(), found[0].method.as_str()), (1, ""));
    }
}
