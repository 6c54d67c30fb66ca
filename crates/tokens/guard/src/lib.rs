//! Strict bearer tokens on actix-web: middleware and extractors.
