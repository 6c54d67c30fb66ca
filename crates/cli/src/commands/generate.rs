//! `cofferdam generate`: writes the generated pages of the book and the schema of policies, or with
//! `--check` compares them.

use super::explain;
use crate::exit::Exit;
use crate::input::Failure;
use crate::{Cli, output};
use clap::CommandFactory;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Writes the generated pages below `docs/` of the checkout; for developers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compares instead of writing.
    #[arg(long)]
    check: bool,
    /// The root of the checkout.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

const MARK: &str =
    "<!-- Written by `cofferdam generate`; edit the source that it is made from. -->\n";

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let pages = pages();
    let mut stale = Vec::new();
    for (name, text) in &pages {
        let path = args.root.join(name);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(text) {
            stale.push(name.clone());
            if !args.check {
                output::write_file(&path, text)?;
            }
        }
    }
    for name in orphans(&args.root, &pages) {
        if !args.check {
            let path = args.root.join(&name);
            std::fs::remove_file(&path).map_err(|error| {
                Failure::new(format!("cannot remove `{}`: {error}", path.display()))
            })?;
        }
        stale.push(name);
    }
    if args.check && !stale.is_empty() {
        return Err(
            Failure::new(format!("not up to date: {}", stale.join(", ")))
                .hint("run `cargo run -p cofferdam -- generate` and commit what it writes"),
        );
    }
    Ok(Exit::Clean)
}

fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let mut index =
        format!("{MARK}# Checks and rules\n\n| id | severity | what is wrong |\n|---|---|---|\n");
    for page in explain::pages() {
        let id = page.meta.id;
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            index,
            "| [`{id}`]({id}.md) | {} | {} |",
            page.meta.severity, page.meta.title
        );
        pages.insert(
            format!("docs/checks/{id}.md"),
            format!("{MARK}{}", page.markdown()),
        );
    }
    pages.insert("docs/checks/README.md".to_owned(), index);
    pages.insert("docs/reference/cli.md".to_owned(), cli());
    pages.insert("docs/reference/exit-codes.md".to_owned(), exit_codes());
    let openapi = format!("{:#}\n", cofferdam_gate::rest::document());
    pages.insert("docs/reference/gate-openapi.json".to_owned(), openapi);
    let schema = "crates/runtime/policy/policies/cofferdam.cedarschema";
    pages.insert(schema.to_owned(), cofferdam_policy::schema());
    pages
}

/// Pages of checks that are no more.
fn orphans(root: &Path, pages: &BTreeMap<String, String>) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(root.join("docs/checks")) else {
        return Vec::new();
    };
    folder
        .flatten()
        .map(|entry| format!("docs/checks/{}", entry.file_name().to_string_lossy()))
        .filter(|name| !pages.contains_key(name))
        .collect()
}

fn cli() -> String {
    let mut page = format!("{MARK}# The command line\n");
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut section = |command: &mut clap::Command, name: &str| {
        // Writing to a `String` cannot fail.
        let _ = write!(
            page,
            "\n## `{name}`\n\n```text\n{}```\n",
            command.render_long_help()
        );
    };
    section(&mut command.clone(), "cofferdam");
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        let name = format!("cofferdam {}", subcommand.get_name());
        if subcommand.get_name() == "help" {
            continue;
        }
        section(&mut subcommand.clone(), &name);
        for inner in subcommand
            .get_subcommands()
            .filter(|c| c.get_name() != "help")
        {
            section(&mut inner.clone(), &format!("{name} {}", inner.get_name()));
        }
    }
    page
}

fn exit_codes() -> String {
    let mut page = format!("{MARK}# Exit codes\n\n| code | when |\n|---|---|\n");
    for (exit, sentence) in crate::exit::Exit::TABLE {
        // Writing to a `String` cannot fail.
        let _ = writeln!(page, "| {} | {sentence} |", exit.code());
    }
    page
}
