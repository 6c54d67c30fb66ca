//! Exit codes are public API: scripts and CI jobs decide by them.

/// What a run of `cofferdam` tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It ran, and nothing reached the level of `--fail-on`.
    Clean,
    /// It ran, and a finding at `firm` or above reached the level of `--fail-on`; or a token was
    /// refused, an audit log is not intact, or `config check --strict` warned.
    Failed,
    /// Usage, configuration or the tool itself failed, or the run was cut short; outranks `Failed`.
    Error,
    /// There was nothing to scan: no operation, or none that answered.
    Nothing,
}

impl Exit {
    /// Every exit code with its sentence, for the documentation.
    pub(crate) const TABLE: [(Exit, &'static str); 4] = [
        (
            Exit::Clean,
            "It ran, and no finding at `firm` or above reached the level of `--fail-on`.",
        ),
        (
            Exit::Failed,
            "It ran, and a finding at `firm` or above reached the level of `--fail-on`; or \
             `cofferdam token` was given a token that is refused, or `cofferdam audit verify` a log \
             or proof that does not hold, or `cofferdam policy` found a policy wrong, a request \
             denied or a case not as expected, or `cofferdam config check --strict` warned.",
        ),
        (
            Exit::Error,
            "Usage, configuration or the tool itself failed, or the run was cut short (its report \
             is written and marked incomplete). Outranks 1.",
        ),
        (
            Exit::Nothing,
            "There was nothing to scan: no operation was found, or none answered.",
        ),
    ];

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Exit::Clean => 0,
            Exit::Failed => 1,
            Exit::Error => 2,
            Exit::Nothing => 3,
        }
    }
}
