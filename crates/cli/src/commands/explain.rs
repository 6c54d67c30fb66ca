//! `cofferdam explain`.

use crate::exit::Exit;
use crate::input::Failure;
use crate::output;
use cofferdam_finding::Meta;
use std::fmt::Write as _;

/// Prints the page of a check or rule; without an id, lists them all.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Such as `token.alg-none` or `posture.runtime-socket`.
    id: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let pages = pages();
    let Some(id) = &args.id else {
        let mut list = String::new();
        for page in &pages {
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                list,
                "{:<30} {:<9} {}",
                page.meta.id, page.meta.severity, page.meta.title
            );
        }
        output::print(&list)?;
        return Ok(Exit::Clean);
    };
    let page = pages
        .iter()
        .find(|page| page.meta.id == id)
        .ok_or_else(|| {
            Failure::new(format!("no check or rule is called `{id}`"))
                .hint("`cofferdam explain` without an id lists them")
        })?;
    output::print(&page.markdown())?;
    Ok(Exit::Clean)
}

/// What is to be said of one check or rule.
pub(crate) struct Page {
    pub(crate) meta: &'static Meta,
    text: String,
}

/// Every check of the scan, then every rule over deployment files.
pub(crate) fn pages() -> Vec<Page> {
    let checks = cofferdam_scan::checks::ALL.iter().map(|check| Page {
        meta: check.meta,
        text: check.page(),
    });
    let rules = cofferdam_posture::rules().iter().map(|rule| Page {
        meta: rule.meta,
        text: rule.page(),
    });
    checks.chain(rules).collect()
}

impl Page {
    /// The page, its metadata as a table under the title.
    pub(crate) fn markdown(&self) -> String {
        let meta = self.meta;
        let mut page = format!("# `{}`\n\n", meta.id);
        let mut row = |name: &str, value: String| {
            // Writing to a `String` cannot fail.
            let _ = writeln!(page, "| {name} | {value} |");
        };
        row("severity", meta.severity.to_string());
        row("---", "---".to_owned());
        row("best confidence", meta.confidence.to_string());
        row(
            "needs `--active`",
            if meta.active { "yes" } else { "no" }.to_owned(),
        );
        let cwe: Vec<_> = meta
            .cwe
            .iter()
            .map(|number| format!("CWE-{number}"))
            .collect();
        row("CWE", cwe.join(", "));
        row(
            "OWASP API Security",
            meta.owasp_api.unwrap_or("–").to_owned(),
        );
        row(
            "ATT&CK",
            if meta.attack.is_empty() {
                "–".to_owned()
            } else {
                meta.attack.join(", ")
            },
        );
        row("since", meta.since.to_owned());
        page.push('\n');
        // The headings of a doc comment stand below that of the page.
        page.push_str(&self.text.trim().replace("\n# ", "\n## "));
        page.push('\n');
        page
    }
}
