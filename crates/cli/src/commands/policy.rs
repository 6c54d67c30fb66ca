//! `cofferdam policy`: checks policies, explains what they say of a request, and tests them.

use crate::exit::Exit;
use crate::input::{self, Failure};
use crate::output;
use cofferdam_action::action::ActionKind;
use cofferdam_policy::{
    Case, Effect, Expect, LoadError, Owner, Owners, PolicyInfo, PolicySet, ResourceKind, Source,
    Verdict, example, parse_cases, schema,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

/// Bytes that are read of a request.
const MAX_REQUEST: u64 = 1 << 20;

/// Checks policies, explains what they say of a request, and tests them. It speaks of policy and of
/// the scope that an action takes; what the floor refuses no policy can allow.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Validates policies and lists each with the actions that it can apply to; answers 1 where one
    /// is wrong.
    Check {
        /// Policy files, or folders with files `*.cedar`; together they are one set.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    Explain(Box<ExplainArgs>),
    /// Runs the cases of a file against policies; answers 1 where one is not as expected.
    Test {
        /// Cases in TOML, each `[[case]]` with name, roles, action and what to expect.
        file: PathBuf,
        #[command(flatten)]
        policies: Policies,
    },
    /// Prints the schema that policies are validated against, for an editor.
    Schema,
}

#[derive(Debug, clap::Args)]
struct Policies {
    /// A policy file, or a folder with files `*.cedar`; the shipped policies, where it is left out.
    /// May be repeated.
    #[arg(long = "policy", value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// Says whether policies allow a request, by which of them and why; answers 1 where it is denied.
/// Without `--action` the request is read from standard input, in JSON with the members of a case.
#[derive(Debug, clap::Args)]
struct ExplainArgs {
    #[command(flatten)]
    policies: Policies,
    /// What is asked for, such as container.create.
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Option<ActionKind>,
    /// A role of the caller. May be repeated.
    #[arg(long, value_name = "ROLE", requires = "action")]
    role: Vec<String>,
    /// A group of the caller. May be repeated.
    #[arg(long, value_name = "GROUP", requires = "action")]
    group: Vec<String>,
    /// A scope of the token; the one that the action takes, where none is given. May be repeated.
    #[arg(long, value_name = "SCOPE", requires = "action")]
    scope: Vec<String>,
    /// Whose the objects are: own, other, none or everyone; or of one kind, such as volume=other.
    /// May be repeated.
    #[arg(long, value_name = "[KIND=]OWNER", value_parser = owner, requires = "action")]
    owner: Vec<(Option<ResourceKind>, Owner)>,
    /// The image that is made a container from, pulled, looked at, tagged or removed.
    #[arg(long, value_name = "IMAGE", requires = "action")]
    image: Option<String>,
    /// Members of the action in JSON, such as {"network":{"mode":"none"}}.
    #[arg(long, value_name = "JSON", value_parser = members, requires = "action")]
    with: Option<Value>,
    /// The time of the request, in seconds since 1970; a Tuesday at noon, where it is left out.
    #[arg(long, value_name = "UNIXTIME", requires = "action")]
    at: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Check { paths } => check(paths),
        Command::Explain(args) => explain(args),
        Command::Test { file, policies } => test(file, policies),
        Command::Schema => {
            output::print(&schema())?;
            Ok(Exit::Clean)
        }
    }
}

fn check(paths: &[PathBuf]) -> Result<Exit, Failure> {
    let set = match read(paths) {
        Ok(set) => set,
        Err(LoadError::Invalid(problems)) => {
            for problem in problems {
                output::note(&problem.to_string());
            }
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(Failure::new(error)),
    };
    let width = set.policies().iter().map(|it| it.id.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for policy in set.policies() {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "{} {:<width$}  {}  {}",
            effect(policy.effect),
            policy.id,
            place(policy),
            actions(&policy.actions)
        );
    }
    output::print(&text)?;
    Ok(Exit::Clean)
}

fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let policies = args.policies.read()?;
    let case = match args.action {
        Some(action) => args.case(action)?,
        None => request()?,
    };
    let verdict = case.decide(&policies).map_err(Failure::new)?;
    let mut text = format!("{verdict}\n");
    let info = |id: &String| policies.policies().iter().find(|it| it.id == *id);
    let decided = match &verdict {
        Verdict::Scope(_) => &[],
        Verdict::Policy(decision) => decision.policies(),
    };
    for policy in decided.iter().filter_map(info) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "  {} {} at {}",
            effect(policy.effect),
            policy.id,
            place(policy)
        );
    }
    if matches!(verdict, Verdict::Policy(_)) && decided.is_empty() {
        let permits = policies
            .policies()
            .iter()
            .filter(|it| it.effect == Effect::Permit && it.actions.contains(&case.action));
        let permits: Vec<&str> = permits.map(|it| it.id.as_str()).collect();
        let action = case.action.id();
        let _ = match permits.as_slice() {
            [] => writeln!(text, "  no policy of the set permits `{action}` to anyone"),
            permits => writeln!(
                text,
                "  under other conditions `{action}` is permitted by {}",
                permits.join(", ")
            ),
        };
    }
    output::print(&text)?;
    Ok(match verdict.is_allowed() {
        true => Exit::Clean,
        false => Exit::Failed,
    })
}

fn test(file: &std::path::Path, policies: &Policies) -> Result<Exit, Failure> {
    let policies = policies.read()?;
    let name = file.display();
    let wrong = |error| Failure::new(format!("cannot use `{name}`: {error}"));
    let cases = parse_cases(&input::text(file)?).map_err(wrong)?;
    let (mut text, mut unmet) = (String::new(), 0);
    for case in &cases {
        let in_case = |error| wrong(format!("in the case `{}`: {error}", case.name));
        let verdict = case.decide(&policies).map_err(in_case)?;
        if verdict.meets(case) {
            continue;
        }
        unmet += 1;
        let expected = match case.expect {
            Some(Expect::Deny) => "denied",
            _ => "allowed",
        };
        let by = case.policy.as_ref().map(|id| format!(" by {id}"));
        let decided = match &verdict {
            Verdict::Policy(decision) if !decision.is_allowed() => decision.policies().join(", "),
            _ => String::new(),
        };
        let decided = match decided.as_str() {
            "" => String::new(),
            ids => format!(" ({ids})"),
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            text,
            "not as expected: {}\n  expected  {expected}{}\n  is        {verdict}{decided}",
            case.name,
            by.unwrap_or_default()
        );
    }
    let count = cases.len();
    let _ = match unmet {
        0 => writeln!(text, "{count} cases, all as expected"),
        unmet => writeln!(text, "{count} cases, {unmet} not as expected"),
    };
    output::print(&text)?;
    Ok(match unmet {
        0 => Exit::Clean,
        _ => Exit::Failed,
    })
}

impl Policies {
    fn read(&self) -> Result<PolicySet, Failure> {
        let set = match self.paths.as_slice() {
            [] => PolicySet::shipped(),
            paths => read(paths),
        };
        set.map_err(|error| {
            Failure::new(error).hint("`cofferdam policy check` checks policies alone")
        })
    }
}

impl ExplainArgs {
    fn case(&self, action: ActionKind) -> Result<Case, Failure> {
        let mut case = Case::new(action);
        case.roles.clone_from(&self.role);
        case.groups.clone_from(&self.group);
        case.scopes = (!self.scope.is_empty()).then(|| self.scope.clone());
        if let Some(with) = &self.with {
            case.with = with.clone();
        }
        if let Some(at) = self.at {
            case.at = at;
        }
        case.owner = match self.owner.as_slice() {
            [] => Owners::default(),
            [(None, owner)] => Owners::All(*owner),
            owners => {
                let mut each = BTreeMap::new();
                for (kind, owner) in owners {
                    let kind = kind.ok_or_else(|| {
                        Failure::new("`--owner` says both whose all objects are and whose one is")
                            .hint("write KIND=OWNER each time, or OWNER once")
                    })?;
                    each.insert(kind.word().to_owned(), *owner);
                }
                Owners::Each(each)
            }
        };
        if let Some(image) = &self.image {
            self.set_image(&mut case, image)?;
        }
        Ok(case)
    }

    /// Puts the image where the action has one.
    fn set_image(&self, case: &mut Case, image: &str) -> Result<(), Failure> {
        let sample: Value = serde_json::from_str(example(case.action)).map_err(Failure::new)?;
        let members = sample.as_object().and_then(|it| it.values().next());
        let with = match members.and_then(|it| it.get("image")) {
            Some(Value::String(_)) => json!(image),
            Some(_) => json!({ "name": image }),
            None => {
                return Err(Failure::new(format!("`{}` has no image", case.action.id()))
                    .hint("leave `--image` out"));
            }
        };
        if case.with.is_null() {
            case.with = json!({});
        }
        if let Some(members) = case.with.as_object_mut() {
            members.insert("image".to_owned(), with);
        }
        Ok(())
    }
}

/// One set of what all paths hold.
fn read(paths: &[PathBuf]) -> Result<PolicySet, LoadError> {
    let mut sources = Vec::new();
    for path in paths {
        sources.extend(Source::read(path)?);
    }
    PolicySet::parse(sources)
}

/// The case on standard input.
fn request() -> Result<Case, Failure> {
    let mut text = String::new();
    let mut stdin = std::io::stdin().lock().take(MAX_REQUEST + 1);
    stdin
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    if text.len() as u64 > MAX_REQUEST {
        return Err(Failure::new("standard input is larger than 1024 KiB"));
    }
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("no request on standard input: {error}")).hint(
            "give `--action`, or JSON such as {\"roles\":[\"runner\"],\"action\":\"container.create\"}",
        )
    })
}

const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    }
}

fn place(policy: &PolicyInfo) -> String {
    format!("{}:{}", policy.file, policy.line)
}

/// The actions, a whole scope by its name.
fn actions(actions: &[ActionKind]) -> String {
    if actions.len() == ActionKind::ALL.len() {
        return "every action".to_owned();
    }
    let mut words: Vec<&str> = Vec::new();
    for action in actions {
        let scope = action.scope();
        let mut of_scope = ActionKind::ALL.iter().filter(|it| it.scope() == scope);
        let word = match of_scope.all(|it| actions.contains(it)) {
            true => scope,
            false => action.id(),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

fn action(text: &str) -> Result<ActionKind, String> {
    let mut kinds = ActionKind::ALL.iter().copied();
    kinds.find(|kind| kind.id() == text).ok_or_else(|| {
        let object = text.split('.').next().unwrap_or_default();
        let of_object = |it: &&ActionKind| it.id().split('.').next() == Some(object);
        let near: Vec<&str> = ActionKind::ALL
            .iter()
            .filter(of_object)
            .map(|kind| kind.id())
            .collect();
        match near.as_slice() {
            [] => "an action is called such as container.create, exec.start, image.pull".to_owned(),
            near => format!("the actions of `{object}` are {}", near.join(", ")),
        }
    })
}

fn owner(text: &str) -> Result<(Option<ResourceKind>, Owner), String> {
    let (kind, word) = match text.split_once('=') {
        Some((kind, word)) => (Some(kind), word),
        None => (None, text),
    };
    let owner = match word {
        "own" => Owner::Own,
        "other" => Owner::Other,
        "none" => Owner::None,
        "everyone" => Owner::Everyone,
        _ => return Err("an owner is own, other, none or everyone".to_owned()),
    };
    let kind = kind.map(|kind| {
        let mut kinds = ResourceKind::ALL.iter().copied();
        let found = kinds.find(|it| it.word() == kind);
        found.ok_or_else(|| "a kind is container, exec, image, network or volume".to_owned())
    });
    Ok((kind.transpose()?, owner))
}

fn members(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(members @ Value::Object(_)) => Ok(members),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
