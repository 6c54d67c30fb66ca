//! The shipped policies, one file for each role, and the cases that they must pass.

/// The shipped policy files by name.
pub const SHIPPED: [(&str, &str); 5] = [
    ("agent.cedar", include_str!("../policies/agent.cedar")),
    ("ci-job.cedar", include_str!("../policies/ci-job.cedar")),
    ("operator.cedar", include_str!("../policies/operator.cedar")),
    ("reader.cedar", include_str!("../policies/reader.cedar")),
    ("runner.cedar", include_str!("../policies/runner.cedar")),
];

/// The cases that the shipped set passes, in the form of `cofferdam policy test`.
pub const SHIPPED_CASES: &str = include_str!("../policies/cases.toml");
