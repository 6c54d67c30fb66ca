//! What goes to standard output, standard error and files.

use crate::exit::Exit;
use crate::input::Failure;
use cofferdam_assess::Assessment;
use cofferdam_report::TerminalOptions;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How an assessment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text of 80 columns.
    Terminal,
    /// The JSON report, schema in docs/reference/report.schema.json.
    Json,
    /// SARIF 2.1.0, for code-scanning dashboards.
    Sarif,
    /// One self-contained HTML file.
    Html,
}

/// `FORMAT=FILE`.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) format: Format,
    pub(crate) file: PathBuf,
}

impl std::str::FromStr for Report {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = text
            .split_once('=')
            .filter(|(_, file)| !file.is_empty())
            .ok_or("a report is FORMAT=FILE, such as json=report.json")?;
        let format = <Format as clap::ValueEnum>::from_str(format, false).map_err(|_| {
            format!("no format is called `{format}`: terminal, json, sarif or html")
        })?;
        Ok(Self {
            format,
            file: PathBuf::from(file),
        })
    }
}

/// What the subcommands that print an assessment have in common.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
#[group(skip)]
pub(crate) struct Args {
    /// What is printed on standard output.
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub(crate) format: Format,
    /// Writes a report to a file as well: terminal, json, sarif or html. May be repeated.
    #[arg(short, long = "output", value_name = "FORMAT=FILE")]
    pub(crate) output: Vec<Report>,
    /// Prints every path, not only the cheapest to the host.
    #[arg(long)]
    pub(crate) all_paths: bool,
    /// Prints the evidence of every finding, the tentative ones too.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Shows no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The severity from which a finding at `firm` or above makes the exit code 1.
    #[arg(long, value_name = "LEVEL", default_value = "high",
        value_parser = clap::builder::PossibleValuesParser::new(["info", "low", "medium", "high", "critical", "never"]))]
    pub(crate) fail_on: String,
}

impl Args {
    /// Prints the assessment, writes its reports, and tells the exit code.
    pub(crate) fn finish(&self, assessment: &Assessment) -> Result<Exit, Failure> {
        for report in &self.output {
            write_file(&report.file, &self.render(report.format, assessment, false))?;
        }
        let colour = self.format == Format::Terminal;
        print(&self.render(self.format, assessment, colour))?;
        Ok(self.exit(assessment))
    }

    fn render(&self, format: Format, assessment: &Assessment, colour: bool) -> String {
        match format {
            Format::Terminal => cofferdam_report::terminal(
                assessment,
                &TerminalOptions {
                    colour,
                    all_paths: self.all_paths,
                    verbose: self.verbose,
                    reports: self
                        .output
                        .iter()
                        .map(|r| r.file.display().to_string())
                        .collect(),
                    ..TerminalOptions::default()
                },
            ),
            Format::Json => cofferdam_report::json(assessment),
            Format::Sarif => cofferdam_report::sarif(assessment),
            Format::Html => cofferdam_report::html(assessment),
        }
    }

    fn exit(&self, assessment: &Assessment) -> Exit {
        if !assessment.complete {
            return Exit::Error;
        }
        if assessment.score.is_none() {
            return Exit::Nothing;
        }
        let worst = assessment.worst(cofferdam_finding::Confidence::Firm);
        match self.fail_on.parse::<cofferdam_finding::Severity>() {
            Ok(level) if worst.is_some_and(|worst| worst >= level) => Exit::Failed,
            // `never` is no severity.
            _ => Exit::Clean,
        }
    }
}

/// Prints to standard output; colour is dropped where it is no terminal or NO_COLOR is set.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::new(format!("cannot print: {error}"))),
    }
}

/// Lines on standard output, many at a time: a log has more of them than one print each can bear.
pub(crate) struct Lines(std::io::BufWriter<anstream::Stdout>);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(std::io::BufWriter::new(anstream::stdout()))
    }

    /// Prints a line, sooner or later; breaks where whoever reads has read enough, as `head` does.
    pub(crate) fn print(&mut self, line: &str) -> Result<ControlFlow<()>, Failure> {
        printed(self.0.write_all(line.as_bytes()))
    }

    /// Prints what waits.
    pub(crate) fn flush(&mut self) -> Result<ControlFlow<()>, Failure> {
        printed(self.0.flush())
    }
}

fn printed(result: std::io::Result<()>) -> Result<ControlFlow<()>, Failure> {
    match result {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::new(format!("cannot print: {error}"))),
    }
}

/// Writes a file for its owner alone, which must not be there yet.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// Writes a whole file or none: beside its place first, then renamed.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    write_whole(path, text.as_bytes(), 0o600)
}

/// The same for a file that everybody may read.
pub(crate) fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_whole(path, bytes, 0o644)
}

fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("cannot write `{}`: {error}", path.display()))
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    let mut file = tempfile::Builder::new()
        .prefix(".cofferdam-")
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    file.persist(path).map_err(|error| failed(&error.error))?;
    Ok(())
}

/// Prints what failed, on standard error.
pub(crate) fn failure(failure: &Failure) -> Exit {
    let style = anstyle::Style::new()
        .bold()
        .fg_color(Some(anstyle::AnsiColor::Red.into()));
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        text,
        "{style}error:{style:#} {}",
        cofferdam_report::visible_lines(&failure.to_string())
    );
    // When standard error is gone there is nobody left to tell.
    drop(anstream::stderr().write_all(text.as_bytes()));
    Exit::Error
}

/// Prints a remark on standard error, in one line.
pub(crate) fn note(text: &str) {
    let text = format!("{}\n", cofferdam_report::visible_lines(text));
    // When standard error is gone there is nobody left to tell.
    drop(anstream::stderr().write_all(text.as_bytes()));
}

/// Prints a warning on standard error.
pub(crate) fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// Prints what clap has to say: help and version are no errors.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    drop(error.print());
    if error.use_stderr() {
        Exit::Error
    } else {
        Exit::Clean
    }
}
