//! A tamper-evident audit log.
