//! `cofferdam-broker`: the broker alone, for production.

use std::path::PathBuf;
use std::process::ExitCode;

use cofferdam_broker::{BrokerConfig, run};

const USAGE: &str = "\
Usage: cofferdam-broker --config FILE [--check]

  --config FILE  the configuration, usually /etc/cofferdam/broker.toml
  --check        read the configuration and what it names, say what is found, and end
  --version      print the version
  --help         print this

Exit codes: 0 it ran and was stopped, or would start, 2 it could not start.
";

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tell(&format!("error: {message}"));
            ExitCode::from(2)
        }
    }
}

fn start() -> Result<(), String> {
    // Before anything is read: what the environment has loaded must not stay.
    cofferdam_sandbox::clear_environment().map_err(|error| error.to_string())?;
    let Some(arguments) = Arguments::read(std::env::args_os().skip(1))? else {
        return Ok(());
    };
    let config = BrokerConfig::read(&arguments.config).map_err(|error| error.to_string())?;
    let warnings = config.warnings();
    for warning in &warnings {
        tell(&format!("warning: {warning}"));
    }
    if arguments.check {
        return check(&config);
    }
    run(config, tell, || tell("ready")).map_err(|error| error.to_string())
}

/// Says what there is of all that the configuration names.
fn check(config: &BrokerConfig) -> Result<(), String> {
    let mut examined = config.examine();
    for line in &examined.found {
        print(&format!("{line}\n"));
    }
    for warning in &examined.warnings {
        tell(&format!("warning: {warning}"));
    }
    let last = examined.errors.pop();
    for error in &examined.errors {
        tell(&format!("error: {error}"));
    }
    last.map_or(Ok(()), Err)
}

struct Arguments {
    config: PathBuf,
    check: bool,
}

impl Arguments {
    /// Nothing where a text was asked for instead of a start.
    fn read(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Option<Self>, String> {
        let mut arguments = arguments.into_iter();
        let (mut config, mut check) = (None, false);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => {
                    print(USAGE);
                    return Ok(None);
                }
                Some("--version" | "-V") => {
                    print(concat!(
                        "cofferdam-broker ",
                        env!("CARGO_PKG_VERSION"),
                        "\n"
                    ));
                    return Ok(None);
                }
                Some("--check") => check = true,
                Some("--config") => config = arguments.next().map(PathBuf::from),
                _ => {
                    return Err(format!(
                        "there is no option `{}`\n\n{USAGE}",
                        argument.to_string_lossy()
                    ));
                }
            }
        }
        match config {
            Some(config) => Ok(Some(Self { config, check })),
            None => Err(format!("`--config FILE` is missing\n\n{USAGE}")),
        }
    }
}

/// A line for the operator: the journal, or a terminal.
fn tell(line: &str) {
    use std::io::Write as _;
    // Whoever has closed standard error does not want to hear it.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
