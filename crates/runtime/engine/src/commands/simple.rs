//! The built-in commands that neither wait nor read their input.

use super::{Context, KERNEL, Redirect, Step, base};
use crate::files::normal;
use crate::io::Streams;
use std::io;

/// Runs one command that neither waits nor reads nor nests.
pub(super) async fn run(step: &Step, context: &Context, streams: &Streams) -> i64 {
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
        "stty" => match &streams.terminal {
            Some(size) => {
                out = format!("{}\n", size.text()).into_bytes();
                0
            }
            None => {
                problems.push("stty: standard input: Not a tty\n".to_owned());
                1
            }
        },
        _ => {
            problems.push(format!("sh: {name}: not found\n"));
            127
        }
    };
    match &step.to {
        Some(to) => {
            if let Err(failed) = redirect(to, &out, to.append, context, streams).await {
                code = failed;
            }
        }
        None => streams.out(&out).await,
    }
    streams.problem(&problems.concat()).await;
    code
}

/// Writes to the file that a redirection names; the exit code when that fails.
pub(super) async fn redirect(
    to: &Redirect,
    bytes: &[u8],
    append: bool,
    context: &Context,
    streams: &Streams,
) -> Result<(), i64> {
    let path = absolute(&to.file, &context.directory);
    let Err(error) = context.view.write(&path, bytes, append) else {
        return Ok(());
    };
    let text = format!("sh: can't create {}: {}\n", to.file, plain(&error));
    streams.problem(&text).await;
    Err(2)
}

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
