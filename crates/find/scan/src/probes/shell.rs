//! Ways from an argument to a shell of one's own.

/// One way to get a command behind what a service puts into a shell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Injection {
    /// What reports call it.
    pub(crate) name: &'static str,
    before: &'static str,
    after: &'static str,
    /// What stands for the space within the command.
    space: &'static str,
}

impl Injection {
    /// The value that runs `command` behind `example`, what the input holds unchanged.
    pub(crate) fn value(&self, example: &str, command: &str) -> String {
        let command = command.replace(' ', self.space);
        format!("{example}{}{command}{}", self.before, self.after)
    }
}

const fn injection(name: &'static str, before: &'static str, after: &'static str) -> Injection {
    Injection {
        name,
        before,
        after,
        space: " ",
    }
}

/// The likely ones first. A quote that is closed is opened again, so that what follows in the
/// service's own command line still parses.
const ALL: [Injection; 9] = [
    injection("`;`", ";", ""),
    injection("`$(…)`", "$(", ")"),
    injection("`|`", "|", ""),
    injection("a line break", "\n", "\n"),
    injection("a closed single quote", "';", ";'"),
    injection("a closed double quote", "\";", ";\""),
    injection("`&&`", "&&", ""),
    injection("backticks", "`", "`"),
    Injection {
        name: "`;` without spaces",
        before: ";",
        after: "",
        space: "${IFS}",
    },
];

/// The ways to try, at most so many.
pub(crate) fn injections(at_most: usize) -> impl Iterator<Item = Injection> {
    ALL.into_iter().take(at_most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What `sh` prints for a service's command line with `value` put into it.
    fn shell(line: &str, value: &str) -> String {
        let output = Command::new("sh")
            .arg("-c")
            .arg(line.replace("{}", value))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn each_way_runs_a_command_in_a_line_of_its_kind() {
        let lines = ["echo {}", "echo '{}'", "echo \"{}\"", "echo `echo {}`"];
        for way in ALL {
            let value = way.value("host", "echo n$((6*7))n");
            let ran = lines
                .iter()
                .any(|line| shell(line, &value).contains("n42n"));
            assert!(ran, "{}: {value}", way.name);
        }
    }
}
