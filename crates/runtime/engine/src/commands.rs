//! The built-in commands, the only ones that a pretended container can run.
//!
//! | command | does |
//! |---|---|
//! | `true`, `false` | ends with 0 or 1 |
//! | `echo [-n] WORD…` | writes its words |
//! | `sleep SECONDS\|infinity` | waits, as a timer: there is no process |
//! | `cat [FILE…]` | writes at most 1 MiB of each file; without one, its input as it comes |
//! | `seq LAST` | writes the numbers from 1 to at most 1,000,000 |
//! | `ls [PATH]…` | lists a directory |
//! | `touch FILE…`, `mkdir [-p] DIR…`, `rm [-f] FILE…` | change the container's files or its mounts |
//! | `id`, `whoami`, `env`, `pwd`, `hostname`, `uname [-a]` | say what the container is |
//! | `stty size` | writes the rows and columns of the terminal |
//! | `sh -c SCRIPT` | simple commands joined by `;`, line feeds, `&&` or `\|\|`, each with at most one `>` or `>>`; `exit [CODE]` ends it |
//! | `sh` | the same, line by line from its input, with a prompt on a terminal |
//!
//! A program may be named by its path (`/bin/sh`). In a script quotes, backslashes, `$NAME` and
//! `${NAME}` mean what they mean in sh(1); pipes, substitutions, globs and all else end it with 2.

mod script;
mod simple;

use crate::files::View;
use crate::io::Streams;
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

/// The kernel that a pretended container and `/info` name.
pub(crate) const KERNEL: &str = "6.12.48-generic";

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: i64 = 130;
/// How many simple commands a script may have.
const STEPS: usize = 100;
/// How far `seq` counts.
const LAST: u64 = 1_000_000;

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
    /// Nothing is run: the shell whose commands came before ends here.
    End,
}

#[derive(Debug, Clone)]
struct Redirect {
    file: String,
    append: bool,
}

const BUILT_IN: &[&str] = &[
    "true", "false", "echo", "sleep", "cat", "seq", "ls", "touch", "mkdir", "rm", "id", "whoami",
    "env", "pwd", "hostname", "uname", "stty", "sh",
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

    /// Runs it to its end and answers its exit code.
    pub(crate) async fn run(self, context: &Context, streams: &mut Streams) -> i64 {
        let mut steps = self.0;
        let mut code = 0;
        // A script replaces the step that named it, so nesting needs no recursion.
        while !steps.is_empty() {
            let step = steps.remove(0);
            match step.join {
                Join::And if code != 0 => continue,
                Join::Or if code == 0 => continue,
                Join::End => continue,
                _ => {}
            }
            code = match base(&step.words[0]) {
                "sh" => shell(&mut steps, step, code, context, streams).await,
                "exit" => {
                    let end = steps.iter().position(|step| step.join == Join::End);
                    steps.drain(..end.map_or(steps.len(), |end| end + 1));
                    match step.words.get(1) {
                        Some(named) => named.parse::<u8>().map_or(2, i64::from),
                        None => code,
                    }
                }
                "sleep" => sleep(&step.words, streams).await,
                "seq" => count(&step.words, streams).await,
                "cat" if !step.words[1..].iter().any(|word| word != "-") => {
                    copy(&step, context, streams).await
                }
                _ => simple::run(&step, context, streams).await,
            };
            if streams.input.interrupted() {
                return INTERRUPTED;
            }
        }
        code
    }
}

/// Puts the commands of a script, or of the next line of the input, in front of `steps`.
async fn shell(
    steps: &mut Vec<Step>,
    step: Step,
    code: i64,
    context: &Context,
    streams: &mut Streams,
) -> i64 {
    let (script, again) = match step.words.get(1).map(String::as_str) {
        Some("-c") => (step.words.get(2).cloned().unwrap_or_default(), None),
        None => {
            if streams.terminal.is_some() {
                streams.out(b"/ # ").await;
            }
            let Some(line) = streams.line().await else {
                return code;
            };
            let join = Join::Always;
            (line, Some(Step { join, ..step }))
        }
        Some(_) => {
            let text = "sh: only `sh` and `sh -c SCRIPT` are built in\n";
            streams.problem(text).await;
            return 2;
        }
    };
    let parsed = match script::parse(&script, &context.env) {
        Ok(parsed) if parsed.len() + steps.len() <= STEPS => parsed,
        Ok(_) => {
            streams.problem("sh: the script is too long\n").await;
            return 2;
        }
        Err(problem) => {
            streams.problem(&format!("sh: {problem}\n")).await;
            steps.splice(0..0, again);
            return 2;
        }
    };
    // A shell that reads its input has its end in place since its first line.
    let end = match &again {
        Some(_) if steps.first().is_some_and(|step| step.join == Join::End) => None,
        _ => Some(Step {
            join: Join::End,
            words: Vec::new(),
            to: None,
        }),
    };
    let is_script = again.is_none();
    steps.splice(0..0, parsed.into_iter().chain(again).chain(end));
    if is_script { 0 } else { code }
}

async fn sleep(words: &[String], streams: &Streams) -> i64 {
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
            streams.problem(&text).await;
            1
        }
    }
}

async fn count(words: &[String], streams: &Streams) -> i64 {
    let argument = words.get(1).map(String::as_str).unwrap_or_default();
    let Some(last) = argument.parse().ok().filter(|last| *last <= LAST) else {
        let text = format!("seq: '{argument}' is not a number up to {LAST}\n");
        streams.problem(&text).await;
        return 1;
    };
    let numbers: Vec<u64> = (1..=last).collect();
    for some in numbers.chunks(1000) {
        let text: String = some.iter().map(|number| format!("{number}\n")).collect();
        streams.out(text.as_bytes()).await;
        // Without anybody attached nothing waits, and others want to run too.
        tokio::task::yield_now().await;
    }
    0
}

/// `cat` without a file.
async fn copy(step: &Step, context: &Context, streams: &mut Streams) -> i64 {
    let mut append = step.to.as_ref().is_some_and(|to| to.append);
    if let Some(to) = &step.to
        && let Err(code) = simple::redirect(to, b"", append, context, streams).await
    {
        return code;
    }
    while let Some(bytes) = streams.chunk().await {
        match &step.to {
            None => streams.out(&bytes).await,
            Some(to) => {
                append = true;
                if let Err(code) = simple::redirect(to, &bytes, append, context, streams).await {
                    return code;
                }
            }
        }
    }
    0
}

fn base(program: &str) -> &str {
    match program.rsplit_once('/') {
        Some(("/bin" | "/usr/bin" | "/sbin" | "/usr/sbin" | "/usr/local/bin", name)) => name,
        _ => program,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Root;
    use crate::io::{Input, Log, Output, Pipe, Wanted};
    use std::sync::Arc;
    use tokio::sync::watch;

    async fn run(arguments: &[&str]) -> (String, i64) {
        run_with(arguments, "").await
    }

    async fn run_with(arguments: &[&str], typed: &str) -> (String, i64) {
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
        let log = Arc::new(Log::new());
        let pipe = Pipe::new();
        pipe.write(typed.to_owned().into()).await;
        pipe.close();
        let (_pause, paused) = watch::channel(false);
        let mut streams = Streams {
            input: Input::new(pipe.reader(), false),
            output: Arc::new(Output::new(Some(Arc::clone(&log)), false, paused)),
            terminal: None,
        };
        let arguments: Vec<_> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let program = Program::of(&arguments).unwrap();
        let code = program.run(&context, &mut streams).await;
        let (bytes, _) = log.read(0, Wanted::live(true, true, false));
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

    #[tokio::test]
    async fn exit_ends_its_own_shell_only() {
        assert_eq!(
            run(&["sh", "-c", "sh -c 'exit 7; echo no'; echo a; exit; echo no"]).await,
            ("a\n".to_owned(), 0)
        );
        assert_eq!(run(&["sh", "-c", "exit 7"]).await.1, 7);
        assert_eq!(run(&["sh", "-c", "false; exit"]).await.1, 1);
        assert_eq!(run(&["sh", "-c", "exit x"]).await.1, 2);
    }

    #[tokio::test]
    async fn the_input_is_copied_or_read_as_commands() {
        assert_eq!(run_with(&["cat"], "a\nb").await, ("a\nb".to_owned(), 0));
        assert_eq!(
            run_with(&["sh", "-c", "cat > f; echo -; cat f"], "a").await,
            ("-\na".to_owned(), 0)
        );
        let typed = "echo a; false\n\necho $NAME\n|\nexit 3\necho no\n";
        assert_eq!(
            run_with(&["sh"], typed).await,
            ("a\nvalue\nsh: `|` is not built in\n".to_owned(), 3)
        );
        assert_eq!(run_with(&["sh"], "false").await.1, 1);
        let long = "true\n".repeat(500);
        assert_eq!(run_with(&["sh"], &long).await.1, 0);
    }

    #[tokio::test]
    async fn numbers_are_counted() {
        assert_eq!(run(&["seq", "3"]).await.0, "1\n2\n3\n");
        assert_eq!(run(&["seq", "99999999"]).await.1, 1);
    }
}
