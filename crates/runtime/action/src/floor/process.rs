//! What runs in a container: its process, its health check, an exec.

use super::labels::text_at_most;
use super::{Excepted, Judge};
use crate::container::{ExecSpec, Health, HealthTest, Process};
use crate::path::{ContainerPath, is_system};
use crate::refusal::{Refusal, Rule, quote};
use crate::value::{EnvVar, UserSpec};

/// Variables by prefix that the dynamic loader or a hook of the runtime obeys on the host side, and
/// two that the C library obeys in set-user-id programs (CVE-2025-23266, CVE-2023-4911).
const VARIABLES: &[&str] = &["LD_", "NVIDIA_", "GCONV_PATH", "GLIBC_TUNABLES"];

/// Bytes of all words of a command. The engine repeats them in everybody's list of containers, and
/// those of an exec in each of its events.
const COMMAND: usize = 64 << 10;

/// Bytes of all variables together. No list and no event repeats them, but the engine keeps them with
/// the container, shows them to whoever inspects it, and hands them to the program with its command:
/// for both together the kernel has 2 MiB where the stack has the usual 8 (execve(2)).
const ENVIRONMENT: usize = 256 << 10;

impl Judge<'_> {
    pub(super) fn process(&mut self, process: &Process) -> Result<(), Refusal> {
        let Process {
            hostname: _,
            domainname: _,
            user,
            command,
            entrypoint,
            environment,
            working_directory,
            attach_stdin: _,
            attach_stdout: _,
            attach_stderr: _,
            tty: _,
            open_stdin: _,
            stdin_once: _,
            stop_signal: _,
            stop_timeout,
            health,
        } = process;
        self.user(user.as_ref())?;
        let command = command.as_deref().unwrap_or_default();
        let entrypoint = entrypoint.as_deref().unwrap_or_default();
        program(command.first().map(String::as_str), "Cmd")?;
        program(entrypoint.first().map(String::as_str), "Entrypoint")?;
        let words = entrypoint.iter().chain(command);
        text_at_most(COMMAND, words.map(String::len)).map_err(|refusal| refusal.at("Cmd"))?;
        variables(environment)?;
        directory(working_directory.as_ref())?;
        self.stop_timeout(*stop_timeout)
            .map_err(|refusal| refusal.at("StopTimeout"))?;
        health.as_ref().map_or(Ok(()), |health| self.health(health))
    }

    pub(super) fn exec(&mut self, exec: &ExecSpec) -> Result<(), Refusal> {
        let ExecSpec {
            command,
            environment,
            user,
            working_directory,
            attach_stdin: _,
            attach_stdout: _,
            attach_stderr: _,
            tty: _,
            detach_keys: _,
        } = exec;
        if command.is_empty() {
            return Err(Refusal::new(Rule::JsonType, "there is no command").at("Cmd"));
        }
        self.user(user.as_ref())?;
        program(command.first().map(String::as_str), "Cmd")?;
        text_at_most(COMMAND, command.iter().map(String::len))
            .map_err(|refusal| refusal.at("Cmd"))?;
        variables(environment)?;
        directory(working_directory.as_ref())
    }

    pub(super) fn stop_timeout(&self, seconds: Option<u32>) -> Result<(), Refusal> {
        let most = self.config.limits.stop_timeout_max;
        match seconds {
            Some(seconds) if seconds > most => Err(Refusal::new(
                Rule::StopTimeout,
                format!("a stop of {seconds} seconds holds the engine up; write at most {most}"),
            )),
            _ => Ok(()),
        }
    }

    fn user(&mut self, user: Option<&UserSpec>) -> Result<(), Refusal> {
        if !user.is_some_and(UserSpec::is_root) {
            return Ok(());
        }
        let refusal = Refusal::new(
            Rule::RootUser,
            "root in the container is what most ways out begin with; name another user, or leave it to the image",
        );
        self.except(|what| *what == Excepted::RootUser, refusal.at("User"))
    }

    fn health(&self, health: &Health) -> Result<(), Refusal> {
        let Health {
            test,
            interval,
            timeout,
            start_period: _,
            retries: _,
        } = health;
        let (first, words) = match test {
            HealthTest::Inherit | HealthTest::None => return Ok(()),
            HealthTest::Command(words) => (words.first().map(String::as_str), words.as_slice()),
            HealthTest::Shell(line) => (line.split_whitespace().next(), std::slice::from_ref(line)),
        };
        text_at_most(COMMAND, words.iter().map(String::len))
            .map_err(|refusal| refusal.at("Healthcheck.Test"))?;
        program(first, "Healthcheck.Test")?;
        const SECOND: u64 = 1_000_000_000;
        let least = u64::from(self.config.limits.health_interval_min) * SECOND;
        let most = 3600 * SECOND;
        // 0 is the image's own interval, or the engine's 30 s.
        if (*interval != 0 && *interval < least) || *timeout > most {
            return Err(Refusal::new(
                Rule::HealthInterval,
                format!(
                    "each run starts a process; write an interval of at least {} s and a timeout of at most 1 h",
                    self.config.limits.health_interval_min
                ),
            )
            .at("Healthcheck"));
        }
        if !self.caller.scopes.contains(&self.config.exec_scope) {
            return Err(Refusal::new(
                Rule::HealthCommand,
                format!(
                    "a health command runs like an exec without its record; it takes the scope `{}`",
                    self.config.exec_scope
                ),
            )
            .at("Healthcheck.Test"));
        }
        Ok(())
    }
}

/// The program of a command. From `/proc` it could be the runtime itself (CVE-2019-5736).
fn program(word: Option<&str>, field: &str) -> Result<(), Refusal> {
    match word {
        Some(word) if word.contains('/') && is_system(word) => Err(Refusal::new(
            Rule::Command,
            format!("{} is no program of the image", quote(word)),
        )
        .at(field)),
        _ => Ok(()),
    }
}

fn variables(environment: &[EnvVar]) -> Result<(), Refusal> {
    let texts = environment.iter().map(|variable| variable.as_str().len());
    text_at_most(ENVIRONMENT, texts).map_err(|refusal| refusal.at("Env"))?;
    let obeyed = |variable: &&EnvVar| {
        VARIABLES
            .iter()
            .any(|prefix| variable.name().to_ascii_uppercase().starts_with(prefix))
    };
    match environment.iter().find(obeyed) {
        Some(variable) => Err(Refusal::new(
            Rule::Environment,
            format!(
                "{} is obeyed by loaders or by hooks of the runtime; set it inside the container",
                quote(variable.name())
            ),
        )
        .at("Env")),
        None => Ok(()),
    }
}

/// A working directory; `/proc/self/fd/N` is a descriptor that the runtime leaked (CVE-2024-21626).
fn directory(path: Option<&ContainerPath>) -> Result<(), Refusal> {
    match path {
        Some(path) if path.is_system() => Err(Refusal::new(
            Rule::WorkingDirectory,
            format!("{} shows the kernel and the runtime", quote(path.as_str())),
        )
        .at("WorkingDir")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::action::Action;
    use crate::floor::{Caller, Floor, FloorConfig};

    /// What refuses a caller who may exec.
    fn rule(action: Value) -> Option<Rule> {
        let action: Action = serde_json::from_value(action).unwrap();
        let config: FloorConfig =
            serde_json::from_value(json!({ "images": { "allow": ["app"] } })).unwrap();
        let caller = Caller {
            scopes: [config.exec_scope.clone()].into(),
            ..Caller::default()
        };
        let judged = Floor::new(config).judge(action, &caller);
        judged.err().map(|refusal| refusal.rule)
    }

    fn rule_of(process: Value) -> Option<Rule> {
        rule(json!({ "ContainerCreate": { "image": "app", "process": process } }))
    }

    #[test]
    fn commands_are_what_lists_and_events_can_carry_and_variables_what_a_program_can_be_given() {
        let text = |bytes: usize| "x".repeat(bytes);
        let split = |bytes: usize| json!({ "command": ["sh", text(bytes / 2)], "entrypoint": [text(bytes / 2 - 2)] });
        assert_eq!(rule_of(split(COMMAND)), None);
        assert_eq!(rule_of(split(COMMAND + 2)), Some(Rule::TextLimit));
        let variable = |bytes: usize| json!({ "environment": [format!("A={}", text(bytes - 2))] });
        assert_eq!(rule_of(variable(ENVIRONMENT)), None);
        assert_eq!(rule_of(variable(ENVIRONMENT + 1)), Some(Rule::TextLimit));

        let exec = |bytes: usize| {
            let exec = json!({ "command": ["sh", text(bytes - 2)] });
            json!({ "ExecCreate": { "container": "db", "exec": exec } })
        };
        assert_eq!(rule(exec(COMMAND)), None);
        assert_eq!(rule(exec(COMMAND + 1)), Some(Rule::TextLimit));

        let command = |bytes: usize| json!({ "command": ["sh", text(bytes - 2)] });
        let shell = |bytes: usize| json!({ "shell": format!("sh{}", " ".repeat(bytes - 2)) });
        for test in [&command as &dyn Fn(usize) -> Value, &shell] {
            let health = |bytes| {
                let test = test(bytes);
                json!({ "health": { "test": test, "interval": 0, "timeout": 0, "start_period": 0, "retries": 0 } })
            };
            assert_eq!(rule_of(health(COMMAND)), None);
            assert_eq!(rule_of(health(COMMAND + 1)), Some(Rule::TextLimit));
        }
    }
}
