//! A container service with a switch per hole.
