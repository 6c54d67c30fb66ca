//! What one more thing to go by would add: a second identity, a key, a deployment file.

use cofferdam_finding::{Control, ControlStatus};
use cofferdam_scan::{Level, ScanOptions};

/// Sentences for the report, the most useful first.
pub(crate) fn advice(
    options: &ScanOptions,
    has_deployment: bool,
    controls: &[Control],
) -> Vec<String> {
    let mut advice = Vec::new();
    match options.identities.len() {
        0 => advice.push(
            "with two tokens (`--identity alice=@FILE --identity bob=@FILE`) the scan sees what a \
             caller reaches, and whether one reaches what is the other's"
                .to_owned(),
        ),
        1 => advice.push(
            "with a second token (`--identity NAME=@FILE`) of another user or tenant the scan \
             tells whether one reaches what is the other's"
                .to_owned(),
        ),
        _ => {}
    }
    if !has_deployment {
        advice.push(
            "with the deployment files (`--deployment FILE`: compose, `docker inspect` or `docker \
             info` JSON) paths go on from the container to the host"
                .to_owned(),
        );
    }
    if options.spec.is_none() {
        advice.push(
            "with the API description or a recorded session (`--spec FILE`: OpenAPI or HAR) no \
             operation depends on being discovered"
                .to_owned(),
        );
    }
    let for_key = waiting(controls, "--signing-key");
    if options.signing_key.is_none() && !for_key.is_empty() {
        advice.push(format!(
            "with the signing key of a staging issuer (`--signing-key FILE`) exact negative tokens \
             are minted: other audience, other issuer, expired, less scope{for_key}"
        ));
    }
    if options.level < Level::Active {
        let waiting = waiting(controls, "--active");
        advice.push(format!(
            "with `--active`, on a service whose state may change, operations other than reads \
             are tested{waiting}"
        ));
    }
    let for_internal = waiting(controls, "--internal");
    if !options.internal && !for_internal.is_empty() {
        advice.push(format!(
            "with `--internal` a proven server-side request is aimed at the runtime and the \
             metadata service{for_internal}"
        ));
    }
    advice
}

/// How many controls are untested for want of `what`, as the tail of a sentence.
fn waiting(controls: &[Control], what: &str) -> String {
    let number = controls
        .iter()
        .filter(|control| {
            control.status == ControlStatus::Untested && control.reason.contains(what)
        })
        .count();
    match number {
        0 => String::new(),
        1 => " (1 control is untested without it)".to_owned(),
        number => format!(" ({number} controls are untested without it)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_scan::{Identity, SpecSource, Target};

    fn options() -> ScanOptions {
        ScanOptions::new(Target::parse("http://127.0.0.1:1").unwrap())
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_there_is_not() {
        let bare = advice(&options(), false, &[]).join("\n");
        for flag in ["--identity bob", "--deployment", "--spec", "--active"] {
            assert!(bare.contains(flag), "{flag}");
        }
        assert!(
            !bare.contains("--signing-key"),
            "no control waits for a key"
        );

        let mut full = options();
        full.identities = vec![Identity::new("alice", "a"), Identity::new("bob", "b")];
        full.level = Level::Active;
        full.internal = true;
        full.signing_key = Some(cofferdam_scan::Secret::new("k"));
        full.spec = Some(SpecSource::Url(
            "http://127.0.0.1:1/openapi.json".to_owned(),
        ));
        assert_eq!(advice(&full, true, &[]), Vec::<String>::new());
    }

    #[test]
    fn the_controls_that_wait_for_a_key_are_counted() {
        let mut one = options();
        one.identities = vec![Identity::new("alice", "a")];
        let control = Control {
            check: "token.audience".to_owned(),
            title: String::new(),
            status: ControlStatus::Untested,
            reason: "no --signing-key".to_owned(),
            operations: 0,
        };
        let advice = advice(&one, true, &[control]).join("\n");
        assert!(advice.contains("a second token"));
        assert!(
            advice.contains("(1 control is untested without it)"),
            "{advice}"
        );
    }
}
