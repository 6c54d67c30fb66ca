//! The built-in commands, the only ones that a pretended container can run.
//!
//! | command | does |
//! |---|---|
//! | `true`, `false` | ends with 0 or 1 |
//! | `echo [-n] WORD…` | writes its words |
//! | `sleep SECONDS\|infinity` | waits, as a timer: there is no process |
//! | `cat FILE…` | writes at most 1 MiB of each file |
//! | `ls [PATH]…` | lists a directory |
//! | `touch FILE…`, `mkdir [-p] DIR…`, `rm [-f] FILE…` | change the container's files or its mounts |
//! | `id`, `whoami`, `env`, `pwd`, `hostname`, `uname [-a]` | say what the container is |
//! | `sh -c SCRIPT` | simple commands joined by `;`, line feeds, `&&` or `\|\|`, each with at most one `>` or `>>` |
//!
//! A program may be named by its path (`/bin/sh`). In a script quotes, backslashes, `$NAME` and
//! `${NAME}` mean what they mean in sh(1); pipes, substitutions, globs and all else end it with 2.

use crate::files::{View, normal};
use crate::log::Log;
use cofferdam_docker::stream::Kind;
use std::io;
use std::time::Duration;

/// What a command runs in.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) view: View,
    pub(crate) env: Vec<String>,
    pub(crate) user: String,
    pub(crate) directory: String,
    pub(crate) hostname: String,
}

/// How many simple commands a script may have.
const STEPS: usize = 100;

/// A command that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Program(Vec<Step>);

#[derive(Debug, Clone)]
struct Step {
    join: Join,
    words: Vec<String>,
    to: Option<Redirect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    Always,
    And,
    Or,
}

#[derive(Debug, Clone)]
struct Redirect {
    file: String,
    append: bool,
}

const BUILT_IN: &[&str] = &[
    "true", "false", "echo", "sleep", "cat", "ls", "touch", "mkdir", "rm", "id", "whoami", "env",
    "pwd", "hostname", "uname", "sh",
];

impl Program {
    /// The program of an argument list; the name that is no built-in command otherwise.
    pub(crate) fn of(arguments: &[String]) -> Result<Self, String> {
        let first = arguments.first().cloned().unwrap_or_default();
        if !BUILT_IN.contains(&base(&first)) {
            return Err(first);
        }
        Ok(Self(vec![Step {
            join: Join::Always,
            words: arguments.to_vec(),
            to: None,
        }]))
    }

    /// Runs it to its end and answers its exit code. What it writes goes to `log`.
    pub(crate) async fn run(self, context: &Context, log: &Log) -> i64 {
        let mut steps = self.0;
        let mut code = 0;
        // A script replaces the step that named it, so nesting needs no recursion.
        while !steps.is_empty() {
            let step = steps.remove(0);
            match step.join {
                Join::And if code != 0 => continue,
                Join::Or if code == 0 => continue,
                _ => {}
            }
            if base(&step.words[0]) == "sh" {
                let script = match step.words.get(1).map(String::as_str) {
                    Some("-c") => step.words.get(2).map(String::as_str).unwrap_or_default(),
                    _ => {
                        log.write(Kind::Stderr, b"sh: only `sh -c SCRIPT` is built in\n");
                        code = 2;
                        continue;
                    }
                };
                match parse(script, &context.env) {
                    Ok(parsed) if parsed.len() + steps.len() <= STEPS => {
                        steps.splice(0..0, parsed);
                        code = 0;
                    }
                    Ok(_) => {
                        log.write(Kind::Stderr, b"sh: the script is too long\n");
                        code = 2;
                    }
                    Err(problem) => {
                        log.write(Kind::Stderr, format!("sh: {problem}\n").as_bytes());
                        code = 2;
                    }
                }
                continue;
            }
            if base(&step.words[0]) == "sleep" {
                code = sleep(&step.words, log).await;
                continue;
            }
            code = simple(&step, context, log);
        }
        code
    }
}

async fn sleep(words: &[String], log: &Log) -> i64 {
    let argument = words.get(1).map(String::as_str).unwrap_or_default();
    if argument == "infinity" {
        std::future::pending::<()>().await;
    }
    match argument.trim_end_matches('s').parse::<f64>() {
        Ok(seconds) if (0.0..1e9).contains(&seconds) => {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            0
        }
        _ => {
            let text = format!("sleep: invalid time interval '{argument}'\n");
            log.write(Kind::Stderr, text.as_bytes());
            1
        }
    }
}

/// Runs one command that neither waits nor nests.
fn simple(step: &Step, context: &Context, log: &Log) -> i64 {
    let mut out = Vec::new();
    let mut problems = Vec::new();
    let name = base(&step.words[0]);
    let arguments = &step.words[1..];
    let mut code = match name {
        "true" => 0,
        "false" => 1,
        "echo" => {
            let (words, end) = match arguments.first().map(String::as_str) {
                Some("-n") => (&arguments[1..], ""),
                _ => (arguments, "\n"),
            };
            out = format!("{}{end}", words.join(" ")).into_bytes();
            0
        }
        "cat" => each(arguments, context, &mut problems, name, |path| {
            out.extend(context.view.read(path)?);
            Ok(())
        }),
        "ls" => {
            let here = [".".to_owned()];
            let named: Vec<_> = arguments
                .iter()
                .filter(|a| !a.starts_with('-'))
                .cloned()
                .collect();
            let paths = if named.is_empty() { &here[..] } else { &named };
            each(paths, context, &mut problems, name, |path| {
                for entry in context.view.list(path)? {
                    out.extend_from_slice(entry.as_bytes());
                    out.push(b'\n');
                }
                Ok(())
            })
        }
        "touch" => each(arguments, context, &mut problems, name, |path| {
            Ok(context.view.touch(path)?)
        }),
        "mkdir" => each(arguments, context, &mut problems, name, |path| {
            Ok(context.view.make_dir(path)?)
        }),
        "rm" => each(arguments, context, &mut problems, name, |path| {
            Ok(context.view.remove(path)?)
        }),
        "id" => {
            out = identity(&context.user).into_bytes();
            0
        }
        "whoami" => {
            let root = matches!(context.user.as_str(), "" | "0" | "root");
            out = if root {
                "root\n".into()
            } else {
                format!("{}\n", context.user).into_bytes()
            };
            0
        }
        "env" => {
            for pair in &context.env {
                out.extend_from_slice(pair.as_bytes());
                out.push(b'\n');
            }
            0
        }
        "pwd" => {
            out = format!("{}\n", context.directory).into_bytes();
            0
        }
        "hostname" => {
            out = format!("{}\n", context.hostname).into_bytes();
            0
        }
        "uname" => {
            out = match arguments.first().map(String::as_str) {
                Some("-a") => {
                    format!("Linux {} {KERNEL} x86_64 GNU/Linux\n", context.hostname).into()
                }
                _ => b"Linux\n".to_vec(),
            };
            0
        }
        _ => {
            problems.push(format!("sh: {name}: not found\n"));
            127
        }
    };
    if let Some(redirect) = &step.to {
        let path = absolute(&redirect.file, &context.directory);
        if let Err(error) = context.view.write(&path, &out, redirect.append) {
            problems.push(format!(
                "sh: can't create {}: {}\n",
                redirect.file,
                plain(&error)
            ));
            code = 2;
        }
    } else {
        log.write(Kind::Stdout, &out);
    }
    log.write(Kind::Stderr, problems.concat().as_bytes());
    code
}

/// The kernel that a pretended container and `/info` name.
pub(crate) const KERNEL: &str = "6.12.48-generic";

fn each(
    paths: &[String],
    context: &Context,
    problems: &mut Vec<String>,
    name: &str,
    mut act: impl FnMut(&str) -> io::Result<()>,
) -> i64 {
    let mut code = 0;
    for path in paths.iter().filter(|path| !path.starts_with('-')) {
        if let Err(error) = act(&absolute(path, &context.directory)) {
            problems.push(format!("{name}: {path}: {}\n", plain(&error)));
            code = 1;
        }
    }
    code
}

fn absolute(path: &str, directory: &str) -> String {
    if path.starts_with('/') {
        normal(path)
    } else {
        normal(&format!("{directory}/{path}"))
    }
}

/// The text that a C program prints for an error.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

fn identity(user: &str) -> String {
    match user.split(':').next().unwrap_or_default() {
        "" | "0" | "root" => "uid=0(root) gid=0(root) groups=0(root)\n".to_owned(),
        user => match user.parse::<u32>() {
            Ok(uid) => format!("uid={uid} gid={uid} groups={uid}\n"),
            Err(_) => format!("uid=1000({user}) gid=1000({user}) groups=1000({user})\n"),
        },
    }
}

fn base(program: &str) -> &str {
    match program.rsplit_once('/') {
        Some(("/bin" | "/usr/bin" | "/sbin" | "/usr/sbin" | "/usr/local/bin", name)) => name,
        _ => program,
    }
}

/// Splits a script into simple commands.
fn parse(script: &str, env: &[String]) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut to: Option<Redirect> = None;
    let mut redirecting: Option<bool> = None;
    let mut join = Join::Always;
    let mut letters = script.chars().peekable();
    loop {
        let letter = letters.next();
        let ends_word = matches!(
            letter,
            None | Some(' ' | '\t' | '\n' | ';' | '&' | '|' | '>')
        );
        if ends_word && let Some(done) = word.take() {
            match redirecting.take() {
                Some(append) => to = Some(Redirect { file: done, append }),
                None => words.push(done),
            }
        }
        let next = match letter {
            Some(' ' | '\t') => continue,
            None | Some(';' | '\n') => Join::Always,
            Some('&') if letters.next_if_eq(&'&').is_some() => Join::And,
            Some('|') if letters.next_if_eq(&'|').is_some() => Join::Or,
            Some('>') => {
                if redirecting.is_some() || to.is_some() {
                    return Err("syntax error: unexpected \">\"".to_owned());
                }
                redirecting = Some(letters.next_if_eq(&'>').is_some());
                continue;
            }
            Some(letter) => {
                quoted(letter, &mut letters, word.get_or_insert_default(), env)?;
                continue;
            }
        };
        if redirecting.is_some() || (words.is_empty() && to.is_some()) {
            return Err("syntax error: a redirection needs a command and a file".to_owned());
        }
        if words.is_empty() && (next != Join::Always || join != Join::Always) {
            return Err("syntax error: a command is missing".to_owned());
        }
        if !words.is_empty() {
            steps.push(Step {
                join,
                words: std::mem::take(&mut words),
                to: to.take(),
            });
        }
        join = next;
        if letter.is_none() {
            return Ok(steps);
        }
    }
}

/// Adds one letter, or what a quote or variable that it begins stands for, to `word`.
fn quoted(
    letter: char,
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
    env: &[String],
) -> Result<(), String> {
    match letter {
        '\'' => loop {
            match letters.next() {
                Some('\'') => return Ok(()),
                Some(letter) => word.push(letter),
                None => return Err("syntax error: unterminated quoted string".to_owned()),
            }
        },
        '"' => loop {
            match letters.next() {
                Some('"') => return Ok(()),
                Some('\\') => match letters.next() {
                    Some(letter @ ('"' | '\\' | '$' | '`')) => word.push(letter),
                    Some(letter) => word.extend(['\\', letter]),
                    None => return Err("syntax error: unterminated quoted string".to_owned()),
                },
                Some('$') => variable(letters, word, env)?,
                Some('`') => return Err("command substitution is not built in".to_owned()),
                Some(letter) => word.push(letter),
                None => return Err("syntax error: unterminated quoted string".to_owned()),
            }
        },
        '\\' => {
            if let Some(letter) = letters.next() {
                word.push(letter);
            }
            Ok(())
        }
        '$' => variable(letters, word, env),
        '&' | '|' | '<' | '(' | ')' | '`' | '*' | '?' | '#' => {
            Err(format!("`{letter}` is not built in"))
        }
        letter => {
            word.push(letter);
            Ok(())
        }
    }
}

fn variable(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    word: &mut String,
    env: &[String],
) -> Result<(), String> {
    let braced = letters.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|l| l.is_ascii_alphanumeric() || *l == '_') {
        name.push(letter);
    }
    if braced && letters.next_if_eq(&'}').is_none() {
        return Err("bad substitution".to_owned());
    }
    if name.is_empty() {
        return match letters.peek() {
            Some('(' | '{') => Err("command substitution is not built in".to_owned()),
            _ => {
                word.push('$');
                Ok(())
            }
        };
    }
    let value = env.iter().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then_some(value)
    });
    word.push_str(value.unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Root;
    use crate::log::Wanted;

    async fn run(arguments: &[&str]) -> (String, i64) {
        let dir = tempfile::tempdir().unwrap();
        let context = Context {
            view: View {
                root: Root::open(dir.path()).unwrap(),
                mounts: Vec::new(),
                read_only: false,
            },
            env: vec!["NAME=value".to_owned()],
            user: String::new(),
            directory: "/".to_owned(),
            hostname: "abc".to_owned(),
        };
        let log = Log::new();
        let arguments: Vec<_> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let code = Program::of(&arguments).unwrap().run(&context, &log).await;
        let wanted = Wanted {
            stdout: true,
            stderr: true,
            timestamps: false,
            frames: false,
        };
        let (bytes, _) = log.read(0, wanted);
        (String::from_utf8(bytes.to_vec()).unwrap(), code)
    }

    #[tokio::test]
    async fn a_script_is_a_sequence_of_simple_commands() {
        let (text, code) = run(&[
            "/bin/sh",
            "-c",
            "echo 'a b' \"$NAME\" \\; ${NAME}x; false || echo or && echo and; echo hi > f; echo ho >> f; cat f",
        ])
        .await;
        assert_eq!(
            (text.as_str(), code),
            ("a b value ; valuex\nor\nand\nhi\nho\n", 0)
        );
    }

    #[tokio::test]
    async fn what_is_not_built_in_is_an_error_and_never_a_process() {
        for script in [
            "ls | cat",
            "echo `id`",
            "echo $(id)",
            "cat < x",
            "echo *",
            "a &",
            "; ; &&",
            "> x",
            "'",
        ] {
            let (text, code) = run(&["sh", "-c", script]).await;
            assert_eq!(code, 2, "{script}: {text}");
        }
        assert_eq!(
            run(&["sh", "-c", "curl x"]).await,
            ("sh: curl: not found\n".to_owned(), 127)
        );
        assert_eq!(Program::of(&["nc".to_owned()]).unwrap_err(), "nc");
        assert!(Program::of(&[]).is_err());
    }

    #[tokio::test]
    async fn a_script_that_is_too_long_is_refused() {
        assert_eq!(run(&["sh", "-c", &"true;".repeat(100)]).await.1, 0);
        assert_eq!(run(&["sh", "-c", &"true;".repeat(101)]).await.1, 2);
        let nested = format!("{}sh -c 'true; true'", "true;".repeat(99));
        assert_eq!(run(&["sh", "-c", &nested]).await.1, 0);
    }
}
