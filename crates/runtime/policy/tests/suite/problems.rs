//! What is said of policies that are wrong.

use cofferdam_policy::{LoadError, MAX_FILE, MAX_FILES, MAX_POLICIES, PolicySet, Source};

fn said(text: &str) -> String {
    match PolicySet::parse([Source::new("p.cedar", text)]) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_does_not_parse_is_told_with_its_place() {
    insta::assert_snapshot!(said("@id(\"a\")\npermit (principal, action, resource)\nwhen { resource in };"), @"p.cedar:3:20: unexpected token `}`");
    insta::assert_snapshot!(said("permit (principal, action, resource)"), @"p.cedar:1:37: unexpected end of input");
}

#[test]
fn a_policy_needs_an_id_of_its_own() {
    insta::assert_snapshot!(said("// x\npermit (principal, action, resource);"), @r##"
        p.cedar:2:1: a policy without an `@id`
          write `@id("name")` before it: 1 to 64 of the letters `[a-z0-9._-]`, by which answers and audit records name it
        "##);
    insta::assert_snapshot!(said("@id(\"A b\")\npermit (principal, action, resource);"), @r##"
        p.cedar:1:1: `A b` is no id
          write `@id("name")` before it: 1 to 64 of the letters `[a-z0-9._-]`, by which answers and audit records name it
        "##);
    insta::assert_snapshot!(said("@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);"), @r##"
        p.cedar:2:1: the id `a` is taken by the policy at p.cedar:1
          give each policy an id of its own
        "##);
}

#[test]
fn what_does_not_fit_the_schema_is_told_with_its_place() {
    // A misspelt action, attribute and type.
    insta::assert_snapshot!(said("@id(\"a\")\npermit (principal, action == Action::\"container.creat\", resource);"), @r##"
        p.cedar:2:30: in the policy `a`: unrecognized action `Action::"container.creat"`
          `cofferdam policy schema` prints what a policy can speak of
        "##);
    insta::assert_snapshot!(said("@id(\"a\")\npermit (principal, action, resource)\nwhen { resource.owner == principal.owner };"), @r##"
        p.cedar:3:8: in the policy `a`: attribute `owner` on entity type `Container` not found
          `cofferdam policy schema` prints what a policy can speak of
        "##);
    insta::assert_snapshot!(said("@id(\"a\")\npermit (principal is User, action, resource);"), @r##"
        p.cedar:2:22: in the policy `a`: unrecognized entity type `User`
          `cofferdam policy schema` prints what a policy can speak of
        "##);
    // A member that only another action has, and one that may be absent.
    insta::assert_snapshot!(said("@id(\"a\")\nforbid (principal, action == Action::\"container.start\", resource)\nwhen { context.publishes };"), @r##"
        p.cedar:3:8: in the policy `a`: attribute `publishes` in context for Action::"container.start" not found
          `cofferdam policy schema` prints what a policy can speak of
        "##);
    insta::assert_snapshot!(said("@id(\"a\")\nforbid (principal, action == Action::\"container.create\", resource)\nwhen { context.user == \"root\" };"), @r##"
        p.cedar:3:8: in the policy `a`: unable to guarantee safety of access to optional attribute `user` in context for Action::"container.create"
          try testing for the attribute's presence with `context has user && ..`
        "##);
    // What can never apply.
    insta::assert_snapshot!(said("@id(\"a\")\nforbid (principal, action == Action::\"container.start\", resource is Volume);"), @r##"
        p.cedar:1:1: in the policy `a`: policy is impossible: the policy expression evaluates to false for all valid requests
          `cofferdam policy schema` prints what a policy can speak of
        "##);
    insta::assert_snapshot!(said("@id(\"a\")\npermit (principal == ?principal, action, resource);"), @r##"
        p.cedar:1:1: a template with `?principal` or `?resource` is never linked to anything
          write the principal or resource, or a condition on it
        "##);
}

#[test]
fn every_problem_of_every_file_is_told() {
    let error = PolicySet::parse([
        Source::new("a.cedar", "permit (principal, action, resource);"),
        Source::new(
            "b.cedar",
            "@id(\"b\") permit (principal, action, resource) when { 1 };",
        ),
    ]);
    let LoadError::Invalid(problems) = error.unwrap_err() else {
        panic!("it is not said what is wrong");
    };
    let files: Vec<&str> = problems
        .iter()
        .map(|problem| problem.file.as_str())
        .collect();
    assert_eq!(files, ["a.cedar", "b.cedar"]);
}

#[test]
fn a_reason_is_one_line() {
    let with = |reason: &str| {
        said(&format!(
            "@id(\"a\") @reason(\"{reason}\") forbid (principal, action, resource);"
        ))
    };
    assert_eq!(with("because"), "nothing");
    assert!(with("a\\nb").contains("no line"));
    assert!(with("\\u{1b}[2J").contains("no line"));
    assert!(with(&"x".repeat(301)).contains("no line"));
}

#[test]
fn a_set_has_bounds() {
    assert!(said(&" ".repeat(MAX_FILE as usize + 1)).contains("more than 256 KiB"));
    assert!(said("// nothing").contains("everything would be denied"));
    let many: String = (0..=MAX_POLICIES)
        .map(|at| format!("@id(\"p{at}\") permit (principal, action, resource);\n"))
        .collect();
    assert!(said(&many).contains("the number of policies is more than 1000"));
    let files = (0..=MAX_FILES).map(|at| Source::new(format!("{at}"), ""));
    let error = PolicySet::parse(files).unwrap_err().to_string();
    assert!(
        error.contains("the number of policy files is more than 256"),
        "{error}"
    );
    // Deep nesting is refused or read, and never ends the process.
    let deep = "(".repeat(50_000);
    assert_ne!(
        said(&format!(
            "@id(\"a\") permit (principal, action, resource) when {{ {deep}"
        )),
        "nothing"
    );
    let nots = "!".repeat(100_000);
    let _ = said(&format!(
        "@id(\"a\") permit (principal, action, resource) when {{ {nots}true }};"
    ));
}

#[test]
fn a_folder_is_read_by_name_and_other_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let error = PolicySet::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("no policy in"), "{error}");
    write(
        "b.cedar",
        "@id(\"b\") permit (principal, action, resource);",
    );
    write(
        "a.cedar",
        "@id(\"a\") permit (principal, action, resource);",
    );
    write("notes.txt", "no policy");
    std::fs::create_dir(folder.path().join("c.cedar")).unwrap();
    let set = PolicySet::load(folder.path()).unwrap();
    let ids: Vec<&str> = set.policies().iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(
        PolicySet::load(&folder.path().join("a.cedar"))
            .unwrap()
            .policies()
            .len(),
        1
    );
    std::fs::write(folder.path().join("d.cedar"), [0xff]).unwrap();
    assert!(PolicySet::load(folder.path()).is_err());
    assert!(PolicySet::load(&folder.path().join("none")).is_err());
}
