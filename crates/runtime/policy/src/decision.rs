//! What policy says.

/// What policy says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It may be done.
    Allow {
        /// The ids of the policies that permit it, sorted.
        policies: Vec<String>,
    },
    /// It may not.
    Deny {
        /// The ids of the policies that forbid it, or that could not be evaluated; empty where
        /// merely none permits it.
        policies: Vec<String>,
        /// Why, as a lowercase fragment for whoever asked. It quotes what they wrote, and nothing of
        /// what belongs to others.
        reason: String,
    },
}

impl Decision {
    /// The ids of the policies that decided, sorted.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        match self {
            Decision::Allow { policies } | Decision::Deny { policies, .. } => policies,
        }
    }

    /// Whether it may be done.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Decision::Allow { .. })
    }
}
