//! `cofferdam gate`.

use super::scan::block_on;
use crate::dev::{self, Engine};
use crate::exit::Exit;
use crate::input::Failure;
use crate::{output, process};
use cofferdam_gate::{Addresses, GateConfig};
use cofferdam_sandbox::{Confinement, Role, User};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where `--dev` serves the two APIs unless it is told otherwise.
const DEV_PORTS: (u16, u16) = (2385, 2386);

/// Serves container actions behind bearer tokens: the Docker Engine API for unmodified clients, and
/// a small REST API. It turns each request into one typed action, and hands that to the broker.
///
/// With `--dev` everything that it takes is generated and started: a development issuer with tokens,
/// a broker, and an embedded engine unless another is named.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration of the gate.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "dev",
        conflicts_with = "dev"
    )]
    config: Option<PathBuf>,
    /// Development: gate, broker and engine on this machine, as this user, with generated keys and
    /// tokens.
    #[arg(long)]
    dev: bool,
    /// The directory of everything that `--dev` generates and keeps.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "cofferdam-dev",
        requires = "dev",
        help_heading = "Development"
    )]
    dir: PathBuf,
    /// Where the Docker API is served; port 0 picks one [default: 127.0.0.1:2385].
    #[arg(
        long,
        value_name = "127.0.0.1:PORT",
        requires = "dev",
        value_parser = loopback,
        help_heading = "Development"
    )]
    listen: Option<SocketAddr>,
    /// Where the REST API is served [default: 127.0.0.1:2386; a free port, where `--listen` is
    /// given].
    #[arg(
        long,
        value_name = "127.0.0.1:PORT",
        requires = "dev",
        value_parser = loopback,
        help_heading = "Development"
    )]
    listen_rest: Option<SocketAddr>,
    /// The engine: `embedded`, a simulation, or the socket of a real one.
    #[arg(
        long,
        value_name = "embedded|SOCKET",
        default_value = "embedded",
        requires = "dev",
        help_heading = "Development"
    )]
    engine: Engine,
    /// Serves both with TLS, by a generated certificate.
    #[arg(long, requires = "dev", help_heading = "Development")]
    tls: bool,
    /// Ends with this process, which must be the one that starts it.
    #[arg(long, hide = true, value_name = "PID")]
    child_of: Option<u32>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.config {
        Some(config) => serve(config, args.child_of),
        None => {
            let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let rest = match args.listen {
                Some(_) => local(0),
                None => local(DEV_PORTS.1),
            };
            let options = dev::Options {
                dir: args.dir.clone(),
                listen: args.listen.unwrap_or(local(DEV_PORTS.0)),
                listen_rest: args.listen_rest.unwrap_or(rest),
                engine: args.engine.clone(),
                tls: args.tls,
            };
            block_on(|cancel| dev::run(options, cancel))?
        }
    }
}

/// Serves a configuration in this process, which gives up all else first.
fn serve(config: &Path, child_of: Option<u32>) -> Result<Exit, Failure> {
    process::begin(child_of)?;
    let config = GateConfig::read(config).map_err(Failure::new)?;
    if child_of.is_none() {
        config
            .warnings()
            .iter()
            .for_each(|warning| output::warn(warning));
    }
    let mut confinement = confinement(&config, child_of.is_some());
    let bound = cofferdam_gate::bind(config).map_err(Failure::new)?;
    confinement.descriptors = bound.descriptors();
    process::confine("gate", &confinement)?;
    process::log();
    let runtime = process::runtime()?;
    runtime
        .block_on(cofferdam_gate::run(bound, |addresses| {
            // Whoever waits for the line is gone when it cannot be printed.
            let _ = output::print(&ready(addresses));
        }))
        .map_err(Failure::new)?;
    Ok(Exit::Clean)
}

fn confinement(config: &GateConfig, with_its_broker: bool) -> Confinement {
    let listen = config.listen.iter().chain(&config.listen_rest);
    let user = match (&config.user, with_its_broker) {
        (Some(user), _) => User::Change {
            user: user.clone(),
            group: config.group.clone(),
            groups: Vec::new(),
        },
        (None, true) => User::Shared,
        (None, false) => User::Keep,
    };
    Confinement {
        role: Role::Gate {
            listen: listen.map(SocketAddr::port).collect(),
            connect: config.connects_to(),
        },
        enforcement: config.sandbox,
        user,
        read: config.readable(),
        write: Vec::new(),
        descriptors: Vec::new(),
    }
}

/// One line, which `--dev` and scripts read.
fn ready(addresses: Addresses) -> String {
    let served = [("docker", addresses.docker), ("rest", addresses.rest)];
    let served: Vec<String> = served
        .iter()
        .filter_map(|(name, address)| Some(format!("{name}={}", (*address)?)))
        .collect();
    format!("ready: {}\n", served.join(", "))
}

/// Development tokens are in files and pass without TLS: they are for this machine alone.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "an address is like 127.0.0.1:2385".to_owned())?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err(
            "`--dev` serves this machine alone; for others write a gate.toml with TLS".to_owned(),
        ),
    }
}
