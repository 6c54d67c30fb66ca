//! `cofferdam config`.

mod broker;
mod gate;
mod issuer;

use crate::exit::Exit;
use crate::input::{self, Failure};
use crate::output;
use cofferdam_broker::BrokerConfig;
use cofferdam_gate::GateConfig;
use cofferdam_report::visible_lines;
use cofferdam_sandbox::Enforcement;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Explains the configurations of broker and gate.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(CheckArgs),
}

/// Says in words what a configuration allows, whom and how far, and warns of what weakens it. The
/// files, users and groups that it names are looked at too. Answers 2 where something is wrong, so
/// that the gate or the broker would not start with it.
#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// A broker.toml or a gate.toml.
    file: PathBuf,
    /// Answers 1 where there is a warning.
    #[arg(long)]
    strict: bool,
}

/// What is said of a configuration.
struct Told {
    lines: Vec<(&'static str, String)>,
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl Told {
    fn say(&mut self, what: &'static str, text: impl Into<String>) {
        self.lines.push((what, text.into()));
    }
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let Command::Check(args) = &args.command;
    let told = match kind(&args.file)? {
        Kind::Broker => {
            let config = BrokerConfig::read(&args.file).map_err(Failure::new)?;
            broker::explain(&config)
        }
        Kind::Gate => {
            let config = GateConfig::read(&args.file).map_err(Failure::new)?;
            gate::explain(&config)
        }
    };
    let mut text = String::new();
    let mut before = "";
    for (what, line) in &told.lines {
        let what = if *what == before { "" } else { what };
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{what:<13}{line}");
        before = if what.is_empty() { before } else { what };
    }
    output::print(&visible_lines(&text))?;
    for warning in &told.warnings {
        output::warn(warning);
    }
    for error in &told.errors {
        output::failure(&Failure::new(error));
    }
    let strict = args.strict && !told.warnings.is_empty();
    Ok(match (told.errors.is_empty(), strict) {
        (false, _) => Exit::Error,
        (true, true) => Exit::Failed,
        (true, false) => Exit::Clean,
    })
}

enum Kind {
    Broker,
    Gate,
}

/// Whose configuration a file is, by the member that it cannot be without.
fn kind(file: &Path) -> Result<Kind, Failure> {
    let name = file.display();
    let table: toml::Table = input::text(file)?
        .parse()
        .map_err(|error: toml::de::Error| Failure::new(format!("`{name}` is no TOML: {error}")))?;
    match (table.contains_key("engine"), table.contains_key("broker")) {
        (true, false) => Ok(Kind::Broker),
        (false, true) => Ok(Kind::Gate),
        _ => Err(Failure::new(format!(
            "`{name}` is neither the configuration of a broker nor of a gate"
        ))
        .hint("a broker's names the socket of its `engine`, a gate's the one of its `broker`")),
    }
}

/// A number of bytes in the largest unit that is whole.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    units
        .iter()
        .find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift))
        .map_or(format!("{bytes} bytes"), |(shift, unit)| {
            format!("{} {unit}", bytes >> shift)
        })
}

/// How a process is confined.
fn sandbox(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Required => "required",
        Enforcement::BestEffort => "as far as the kernel has it",
    }
}

/// Items with commas, or what there is instead.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>, otherwise: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.is_empty() {
        true => otherwise.to_owned(),
        false => items.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_largest_whole_unit() {
        for (bytes, told) in [
            (0, "0 bytes"),
            (1, "1 bytes"),
            (1 << 10, "1 KiB"),
            (1536 << 20, "1536 MiB"),
            (8 << 30, "8 GiB"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }
}
