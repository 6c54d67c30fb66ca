//! What can be wrong with a deployment file.

use thiserror::Error;

/// Why a deployment file was not read. Each message names the file, then what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is larger than [`crate::MAX_INPUT_BYTES`].
    #[error(
        "`{file}` has {bytes} bytes, more than the {limit} that a deployment file may have\n  \
         give only the containers that belong to the service"
    )]
    TooLarge {
        /// The name that the user gave.
        file: String,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not UTF-8.
    #[error(
        "`{file}` is not UTF-8 text\n  give docker inspect or docker info JSON, or a compose file"
    )]
    NotText {
        /// The name that the user gave.
        file: String,
    },
    /// Neither YAML nor JSON, an alias bomb, a duplicate key, or too deep.
    #[error("`{file}`{} cannot be read: {message}", at(*.line))]
    Syntax {
        /// The name that the user gave.
        file: String,
        /// Where, counted from 1.
        line: Option<u32>,
        /// What the parser said.
        message: String,
    },
    /// More than one YAML document in one file.
    #[error(
        "`{file}`{} begins a second YAML document, and a compose file has one\n  \
         split the file, or give the output of `docker compose config`",
        at(*.line)
    )]
    SeveralDocuments {
        /// The name that the user gave.
        file: String,
        /// Where the second one begins, counted from 1.
        line: Option<u32>,
    },
    /// It is well-formed and none of the formats that are known.
    #[error("`{file}` is {what}\n  {advice}")]
    NotADeployment {
        /// The name that the user gave.
        file: String,
        /// What it looks like.
        what: &'static str,
        /// What to give instead.
        advice: &'static str,
    },
    /// A member has a shape that its format does not allow.
    #[error("`{file}`{}: `{member}` should be {expected}", at(*.line))]
    Shape {
        /// The name that the user gave.
        file: String,
        /// Where, counted from 1.
        line: Option<u32>,
        /// The member.
        member: String,
        /// What stands there in a valid file.
        expected: &'static str,
    },
}

fn at(line: Option<u32>) -> String {
    line.map(|line| format!(" line {line}")).unwrap_or_default()
}
