//! What the user names on the command line: files, variables, standard input.

use cofferdam_scan::{Identity, Secret, SpecSource, Template};
use std::fmt;
use std::io::Read;
use std::path::Path;

/// Bytes that are read of a token or key.
const SECRET_LIMIT: u64 = 64 << 10;
/// Bytes that are read of a deployment file or an API description.
const FILE_LIMIT: u64 = 64 << 20;

/// Something that the user can mend: what failed, and on its own line what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// Says what failed: a lowercase fragment, the user's input in backticks.
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Self {
            what: what.to_string(),
            hint: None,
        }
    }

    /// The same of an error and of what caused it.
    pub(crate) fn chain(error: impl std::error::Error) -> Self {
        let mut what = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            what.push_str(&format!(": {error}"));
            source = error.source();
        }
        Self::new(what)
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

/// Reads a text file of at most 64 MiB.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    bounded(path, FILE_LIMIT)
}

/// Where a token or key comes from. It never stands on the command line itself, where every user
/// of the machine can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    File(String),
    Variable(String),
    Stdin,
}

/// `NAME=@FILE`, `NAME=env:VAR` or `NAME=-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityArg {
    name: String,
    origin: Origin,
}

impl std::str::FromStr for IdentityArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text is not repeated: it may be a token that somebody pasted.
        let form = "an identity is NAME=@FILE, NAME=env:VAR or NAME=- (standard input)";
        let (name, origin) = text.split_once('=').ok_or(form)?;
        if name.is_empty() || name.len() > 64 || name.chars().any(|c| c.is_control() || c == ' ') {
            return Err(format!(
                "{form}; the name is 1 to 64 characters without spaces"
            ));
        }
        let origin = match (
            origin,
            origin.strip_prefix('@'),
            origin.strip_prefix("env:"),
        ) {
            ("-", _, _) => Origin::Stdin,
            (_, Some(file), _) if !file.is_empty() => Origin::File(file.to_owned()),
            (_, _, Some(variable)) if !variable.is_empty() => Origin::Variable(variable.to_owned()),
            _ => {
                return Err(format!(
                    "{form}; a token on the command line could be read by every user of the machine"
                ));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            origin,
        })
    }
}

/// Reads the tokens of all identities.
pub(crate) fn identities(
    args: &[IdentityArg],
    template: Option<&Template>,
) -> Result<Vec<Identity>, Failure> {
    if args
        .iter()
        .filter(|arg| arg.origin == Origin::Stdin)
        .count()
        > 1
    {
        return Err(
            Failure::new("two identities are to be read from standard input")
                .hint("give one of them as NAME=@FILE or NAME=env:VAR"),
        );
    }
    let mut identities: Vec<Identity> = Vec::new();
    for arg in args {
        if identities.iter().any(|identity| identity.name == arg.name) {
            return Err(Failure::new(format!(
                "two identities are called `{}`",
                arg.name
            )));
        }
        let token = secret(&arg.origin)?;
        let trimmed = token.reveal().trim();
        if trimmed.is_empty() {
            return Err(Failure::new(format!(
                "the token of `{}` is empty",
                arg.name
            )));
        }
        if trimmed.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
            return Err(Failure::new(format!(
                "the token of `{}` has spaces, line breaks or characters that no header field takes",
                arg.name
            ))
            .hint("give the token alone, without `Bearer`, on one line"));
        }
        let mut identity = Identity::new(&arg.name, trimmed);
        if let Some(template) = template {
            identity.template = template.clone();
        }
        identities.push(identity);
    }
    Ok(identities)
}

/// Reads a private key file of at most 64 KiB.
pub(crate) fn key(path: &Path) -> Result<Secret, Failure> {
    secret(&Origin::File(path.display().to_string()))
}

/// A file, read now, or a URL, read by the scan.
pub(crate) fn spec(text_or_url: &str) -> Result<SpecSource, Failure> {
    if text_or_url.starts_with("http://") || text_or_url.starts_with("https://") {
        return Ok(SpecSource::Url(text_or_url.to_owned()));
    }
    Ok(SpecSource::File {
        name: text_or_url.to_owned(),
        text: text(Path::new(text_or_url))?,
    })
}

fn secret(origin: &Origin) -> Result<Secret, Failure> {
    match origin {
        Origin::File(file) => bounded(Path::new(file), SECRET_LIMIT).map(Secret::new),
        Origin::Variable(variable) => std::env::var(variable).map(Secret::new).map_err(|_| {
            Failure::new(format!(
                "the environment variable `{variable}` is not set to text"
            ))
        }),
        Origin::Stdin => {
            let mut text = String::new();
            std::io::stdin()
                .lock()
                .take(SECRET_LIMIT)
                .read_to_string(&mut text)
                .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
            Ok(Secret::new(text))
        }
    }
}

fn bounded(path: &Path, limit: u64) -> Result<String, Failure> {
    let name = path.display();
    let failed = |error: std::io::Error| Failure::new(format!("cannot read `{name}`: {error}"));
    let mut text = String::new();
    let mut file = std::fs::File::open(path).map_err(failed)?.take(limit + 1);
    file.read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > limit {
        return Err(Failure::new(format!(
            "`{name}` is larger than {} KiB",
            limit >> 10
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_names_where_its_token_is_and_never_is_the_token() {
        let parse = |text: &str| text.parse::<IdentityArg>();
        assert_eq!(
            parse("a=@t.txt").unwrap().origin,
            Origin::File("t.txt".to_owned())
        );
        assert_eq!(
            parse("a=env:T").unwrap().origin,
            Origin::Variable("T".to_owned())
        );
        assert_eq!(parse("a=-").unwrap().origin, Origin::Stdin);
        for text in [
            "a",
            "=@f",
            "a=@",
            "a=env:",
            "a=eyJhbGciOiJub25lIn0.e30.",
            "a b=-",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("eyJ"), "{error}");
        }
    }

    #[test]
    fn a_token_with_a_line_break_in_it_is_refused_and_one_at_its_end_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = folder.path().join("token");
            std::fs::write(&path, text).unwrap();
            format!("a=@{}", path.display())
                .parse::<IdentityArg>()
                .unwrap()
        };
        let read = identities(&[file("abc\n")], None).unwrap();
        assert_eq!(read[0].token.reveal(), "abc");
        assert!(identities(&[file("Bearer abc")], None).is_err());
        assert!(identities(&[file("\n")], None).is_err());
        let twice = file("abc");
        assert!(identities(&[twice.clone(), twice], None).is_err());
    }
}
