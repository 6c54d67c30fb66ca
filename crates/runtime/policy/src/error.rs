//! What is wrong with policy files.

use std::fmt;
use std::path::PathBuf;

/// Why no policy set could be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder could not be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There is no policy, so that everything would be denied.
    #[error("no policy in `{place}`: everything would be denied; add a file `NAME.cedar`")]
    Nothing {
        /// Where none is.
        place: String,
    },
    /// A bound is exceeded.
    #[error("{what} is more than {limit}; split or shorten it")]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// The bound, with its unit.
        limit: String,
    },
    /// Policies do not parse, or do not fit the schema.
    #[error("{}", lines(.0))]
    Invalid(
        /// Every problem, in the order of files and lines.
        Vec<Problem>,
    ),
}

/// One thing that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            help,
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        match help {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
