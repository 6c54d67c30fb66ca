//! `cofferdam connect`.

use super::scan::block_on;
use crate::connect::{self, Upstream};
use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use std::path::PathBuf;

/// Serves a unix socket of this user alone, and adds a bearer token to each request on its way to a
/// gate: for programs that speak to a Docker socket and cannot send a header.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gate: `https://HOST[:PORT]`, or `tcp://HOST:PORT` without TLS on this machine.
    #[arg(long, value_name = "URL")]
    to: String,
    /// The file of the token. It is read again for each request, so that whoever renews it need not
    /// start this program anew.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The socket to serve [default: $XDG_RUNTIME_DIR/cofferdam.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's, PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A client certificate to show the gate, PEM.
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// The key of the client certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let client = args.cert.as_deref().zip(args.cert_key.as_deref());
    let upstream = Upstream::of(&args.to, args.ca.as_deref(), client)?;
    // A file that is not there should show now and not to the first program that connects.
    connect::read_token(&args.token_file).map_err(Failure::new)?;
    let socket = match (&args.socket, std::env::var_os("XDG_RUNTIME_DIR")) {
        (Some(socket), _) => socket.clone(),
        (None, Some(folder)) => PathBuf::from(folder).join("cofferdam.sock"),
        (None, None) => {
            return Err(
                Failure::new("no socket is named, and XDG_RUNTIME_DIR is not set")
                    .hint("name a path in a folder of your own with `--socket PATH`"),
            );
        }
    };
    let socket = std::path::absolute(socket)
        .map_err(|error| Failure::new(format!("`--socket`: {error}")))?;
    block_on(|cancel| async move {
        let serving = connect::listen(&socket, upstream, args.token_file.clone())?;
        output::print(&format!("export DOCKER_HOST=unix://{}\n", socket.display()))?;
        tokio::select! {
            () = serving.serve() => {}
            () = cancel.cancelled() => {}
        }
        Ok(Exit::Clean)
    })?
}
