//! The binary `cofferdam`: argument parsing and printing only.

mod child;
mod commands;
mod connect;
mod demo;
mod dev;
mod exit;
mod input;
mod output;
mod process;
mod progress;

use clap::{Parser, Subcommand};
use exit::Exit;
use std::process::ExitCode;

/// Finds, proves and closes the ways in which a valid bearer token becomes a container escape.
#[derive(Debug, Parser)]
#[command(
    name = "cofferdam",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Scan(Box<commands::scan::Args>),
    Posture(commands::posture::Args),
    Demo(commands::demo::Args),
    Gate(Box<commands::gate::Args>),
    Broker(commands::broker::Args),
    #[command(hide = true)]
    Engine(commands::engine::Args),
    Connect(commands::connect::Args),
    Config(commands::config::Args),
    Keys(commands::keys::Args),
    Audit(Box<commands::audit::Args>),
    Policy(commands::policy::Args),
    Token(Box<commands::token::Args>),
    Explain(commands::explain::Args),
    Completions(commands::completions::Args),
    #[command(hide = true)]
    Generate(commands::generate::Args),
}

fn main() -> ExitCode {
    // The lab runs its shell in a namespace that only a process with one thread may enter, so it
    // starts this program anew; nothing of the tool itself is reached then.
    if let Some(code) = cofferdam_lab::confined_shell_main(std::env::args_os()) {
        return code;
    }
    ExitCode::from(run().code())
}

fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let ran = match cli.command {
        Command::Scan(args) => commands::scan::run(*args),
        Command::Posture(args) => commands::posture::run(&args),
        Command::Demo(args) => commands::demo::run(&args),
        Command::Broker(args) => commands::broker::run(&args),
        Command::Gate(args) => commands::gate::run(&args),
        Command::Engine(args) => commands::engine::run(&args),
        Command::Connect(args) => commands::connect::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::Keys(args) => commands::keys::run(&args),
        Command::Audit(args) => commands::audit::run(&args),
        Command::Policy(args) => commands::policy::run(&args),
        Command::Token(args) => commands::token::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Generate(args) => commands::generate::run(&args),
    };
    ran.unwrap_or_else(|error| output::failure(&error))
}
