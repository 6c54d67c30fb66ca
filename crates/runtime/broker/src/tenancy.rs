//! Whose what is: owners, names per tenant, and what a tenant sees of the engine's answers.
