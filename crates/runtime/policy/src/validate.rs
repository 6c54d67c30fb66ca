//! Reading policy files: what does not parse, has no id or does not fit the schema is refused, each
//! problem with its place.

use std::fmt::Display;
use std::str::FromStr as _;

use cedar_policy::{Policy, PolicyId, Schema, ValidationMode, Validator};
use cofferdam_action::action::ActionKind;
use cofferdam_action::refusal::quote;
use miette::Diagnostic;

use crate::error::{LoadError, Problem};
use crate::schema::schema;
use crate::set::{Effect, PolicyInfo};
use crate::source::{MAX_POLICIES, Source};

/// Letters of an `@id` or `@reason` at most.
const MAX_ID: usize = 64;
const MAX_REASON: usize = 300;

pub(crate) struct Validated {
    pub(crate) policies: cedar_policy::PolicySet,
    pub(crate) infos: Vec<PolicyInfo>,
}

/// Validates policies against the schema.
///
/// # Errors
/// As [`crate::PolicySet::parse`].
pub(crate) fn validate(sources: &[Source]) -> Result<Validated, LoadError> {
    let mut read = Read::default();
    for source in sources {
        read.file(source);
    }
    if read.infos.len() > MAX_POLICIES {
        return Err(LoadError::TooLarge {
            what: "the number of policies".to_owned(),
            limit: MAX_POLICIES.to_string(),
        });
    }
    let schema = Schema::from_str(&schema()).map_err(|error| internal(&error))?;
    read.against(&schema, sources);
    if !read.problems.is_empty() {
        read.problems
            .sort_by_key(|it| (it.file.clone(), it.line, it.column));
        return Err(LoadError::Invalid(read.problems));
    }
    if read.infos.is_empty() {
        let names: Vec<&str> = sources.iter().map(|it| it.name.as_str()).collect();
        return Err(LoadError::Nothing {
            place: names.join(", "),
        });
    }
    Ok(Validated {
        policies: read.policies,
        infos: read.infos,
    })
}

/// An error of this crate, not of the policies: the schema that it makes is wrong.
pub(crate) fn internal(error: &dyn Display) -> LoadError {
    LoadError::Invalid(vec![Problem {
        file: "cofferdam.cedarschema".to_owned(),
        line: 1,
        column: 1,
        message: error.to_string(),
        help: Some("this is a fault of Cofferdam; please report it".to_owned()),
    }])
}

#[derive(Default)]
struct Read {
    policies: cedar_policy::PolicySet,
    infos: Vec<PolicyInfo>,
    problems: Vec<Problem>,
}

impl Read {
    fn file(&mut self, source: &Source) {
        let parsed = match cedar_policy::PolicySet::from_str(&source.text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                for error in errors.iter() {
                    let problem = problem(source, error, offset(error).unwrap_or(0));
                    self.problems.push(problem);
                }
                return;
            }
        };
        for template in parsed.templates() {
            let at = start(source, Some(template.to_cedar()));
            self.problems.push(problem_at(
                source,
                at,
                "a template with `?principal` or `?resource` is never linked to anything",
                Some("write the principal or resource, or a condition on it"),
            ));
        }
        let mut policies: Vec<(usize, &Policy)> = parsed
            .policies()
            .map(|policy| (start(source, policy.to_cedar()), policy))
            .collect();
        policies.sort_by_key(|(at, _)| *at);
        for (at, policy) in policies {
            if let Err(problem) = self.policy(source, at, policy) {
                self.problems.push(problem);
            }
        }
    }

    fn policy(&mut self, source: &Source, at: usize, policy: &Policy) -> Result<(), Problem> {
        let fault = |message: &str, help: &str| problem_at(source, at, message, Some(help));
        let id = policy.annotation("id").unwrap_or_default();
        if !is_id(id) {
            return Err(fault(
                &match id {
                    "" => "a policy without an `@id`".to_owned(),
                    id => format!("{} is no id", quote(id)),
                },
                "write `@id(\"name\")` before it: 1 to 64 of the letters `[a-z0-9._-]`, by which \
                 answers and audit records name it",
            ));
        }
        if let Some(other) = self.infos.iter().find(|info| info.id == id) {
            let message = format!(
                "the id `{id}` is taken by the policy at {}:{}",
                other.file, other.line
            );
            return Err(fault(&message, "give each policy an id of its own"));
        }
        let reason = policy.annotation("reason");
        let unfit =
            |text: &str| text.chars().count() > MAX_REASON || text.chars().any(char::is_control);
        if reason.is_some_and(unfit) {
            return Err(fault(
                "a `@reason` that is no line of at most 300 characters",
                "say in one sentence why it is forbidden and what to do instead",
            ));
        }
        let info = PolicyInfo {
            id: id.to_owned(),
            effect: match policy.effect() {
                cedar_policy::Effect::Permit => Effect::Permit,
                cedar_policy::Effect::Forbid => Effect::Forbid,
            },
            file: source.name.clone(),
            line: position(&source.text, at).0,
            actions: Vec::new(),
            reason: reason.filter(|it| !it.is_empty()).map(str::to_owned),
        };
        let policy = policy.new_id(PolicyId::new(id));
        match self.policies.add(policy) {
            Ok(()) => self.infos.push(info),
            Err(error) => return Err(fault(&error.to_string(), "write it anew")),
        }
        Ok(())
    }

    /// Validates what was read and notes which actions each policy can apply to.
    fn against(&mut self, schema: &Schema, sources: &[Source]) {
        for info in &mut self.infos {
            let Some(policy) = self.policies.policy(&PolicyId::new(&info.id)) else {
                continue;
            };
            let envs = policy.get_valid_request_envs(schema);
            let ids: Vec<String> = envs
                .map(|env| env.action().id().unescaped().to_owned())
                .collect();
            let kinds = ActionKind::ALL.iter().copied();
            info.actions = kinds
                .filter(|kind| ids.iter().any(|id| id == kind.id()))
                .collect();
        }
        let result =
            Validator::new(schema.clone()).validate(&self.policies, ValidationMode::Strict);
        let errors = result.validation_errors();
        let errors = errors.map(|it| (it.policy_id(), it as &dyn Diagnostic));
        let mut problems = self.at_their_places(errors, sources);
        // An error has warnings in its wake: what names an unknown action can never apply.
        if problems.is_empty() {
            let warnings = result.validation_warnings();
            let warnings = warnings.map(|it| (it.policy_id(), it as &dyn Diagnostic));
            problems = self.at_their_places(warnings, sources);
        }
        // What is wrong for one type of object is wrong for others too; once is enough.
        problems.sort_by_key(|it| (it.file.clone(), it.line, it.column, it.message.clone()));
        problems.dedup_by_key(|it| (it.file.clone(), it.line, it.column));
        self.problems.extend(problems);
    }

    fn at_their_places<'a>(
        &self,
        diagnostics: impl Iterator<Item = (&'a PolicyId, &'a dyn Diagnostic)>,
        sources: &[Source],
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (id, diagnostic) in diagnostics {
            let id: &str = id.as_ref();
            let info = self.infos.iter().find(|info| info.id == id);
            let source = info.and_then(|info| sources.iter().find(|it| it.name == info.file));
            let (Some(info), Some(source)) = (info, source) else {
                continue;
            };
            let at = offset(diagnostic).unwrap_or_else(|| line_start(&source.text, info.line));
            let mut problem = problem(source, diagnostic, at);
            let named = format!("for policy `{id}`, ");
            if let Some(message) = problem.message.strip_prefix(&named) {
                problem.message = format!("in the policy `{id}`: {message}");
            }
            // Cedar's guess at what was meant changes from run to run.
            problem.help = problem
                .help
                .filter(|help| !help.starts_with("did you mean"));
            problem.help.get_or_insert_with(|| {
                "`cofferdam policy schema` prints what a policy can speak of".to_owned()
            });
            problems.push(problem);
        }
        problems
    }
}

fn is_id(text: &str) -> bool {
    let letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(letter)
}

/// Where a policy begins in its file.
fn start(source: &Source, policy: Option<String>) -> usize {
    policy.and_then(|text| source.text.find(&text)).unwrap_or(0)
}

fn offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic.labels()?.next().map(|label| label.offset())
}

fn problem(source: &Source, diagnostic: &dyn Diagnostic, at: usize) -> Problem {
    let help = diagnostic.help().map(|help| help.to_string());
    problem_at(source, at, &diagnostic.to_string(), help.as_deref())
}

fn problem_at(source: &Source, at: usize, message: &str, help: Option<&str>) -> Problem {
    let (line, column) = position(&source.text, at);
    Problem {
        file: source.name.clone(),
        line,
        column,
        message: message.to_owned(),
        help: help.map(str::to_owned),
    }
}

/// Line and column of an offset, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

fn line_start(text: &str, line: usize) -> usize {
    text.split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum()
}
