//! One of the processes.

use crate::input::Failure;
use crate::output;
use std::convert::Infallible;
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

/// How long a process may take until it says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The first pause before a process is started anew, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A process that ran this long was well; the next pause is a short one again.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// A subcommand of this program as a process of its own. It says on its standard output that it is
/// ready, in a line that begins with `ready`.
pub(super) struct Service {
    name: &'static str,
    arguments: Vec<OsString>,
    child: Option<Child>,
}

impl Service {
    pub(super) fn new(name: &'static str, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self {
            name,
            arguments: arguments.into_iter().collect(),
            child: None,
        }
    }

    /// Starts it, and answers the line that says it is ready.
    ///
    /// To be called from the first thread: the system ends a child with the *thread* that made it.
    pub(super) async fn start(&mut self) -> Result<String, Failure> {
        let name = self.name;
        let failed =
            |why: &dyn std::fmt::Display| Failure::new(format!("the {name} did not start: {why}"));
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let mut child = Command::new(program)
            .arg(name)
            .args(&self.arguments)
            .arg("--child-of")
            .arg(std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is for the parent, which stops them in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        let child = self.child.insert(child);
        let mut lines = lines.ok_or_else(|| failed(&"it has no output"))?;
        let ready = tokio::time::timeout(READY_WITHIN, ready_line(&mut lines)).await;
        match ready {
            Ok(Some(line)) => {
                tokio::spawn(pass_on(lines));
                Ok(line)
            }
            Ok(None) => {
                let status = child.wait().await.map_err(|error| failed(&error))?;
                Err(failed(&ended(status)))
            }
            Err(_) => Err(failed(&format!(
                "it was not ready within {} s",
                READY_WITHIN.as_secs()
            ))),
        }
    }

    /// Waits until it ends, and says how it did.
    pub(super) async fn ended(&mut self) -> String {
        match &mut self.child {
            Some(child) => match child.wait().await {
                Ok(status) => ended(status),
                Err(error) => error.to_string(),
            },
            None => "it was not started".to_owned(),
        }
    }

    /// Starts it anew whenever it ends, after a pause that grows while it does not get well.
    pub(super) async fn keep(&mut self) -> Infallible {
        let mut pause = PAUSES.0;
        loop {
            let began = Instant::now();
            let why = self.ended().await;
            if began.elapsed() > WELL_AFTER {
                pause = PAUSES.0;
            }
            output::warn(&format!(
                "the {} has ended ({why}); it is started anew",
                self.name
            ));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            if let Err(failure) = self.start().await {
                output::warn(&failure.to_string());
                self.kill().await;
            }
        }
    }

    /// Asks it to stop, and ends it by force at the deadline.
    pub(super) async fn stop(&mut self, deadline: Instant) {
        let Some(child) = &mut self.child else {
            return;
        };
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // It may have ended in this moment.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout_at(deadline, child.wait())
            .await
            .is_err()
        {
            self.kill().await;
        }
    }

    async fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill().await;
        }
    }
}

async fn ready_line(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("ready") {
            return Some(line);
        }
        output::note(&line);
    }
    None
}

/// Shows what else it says, and keeps its pipe from filling.
async fn pass_on(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        output::note(&line);
    }
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no known reason".to_owned(),
    }
}
