//! Strict bearer tokens: header, JWS, claims, decisions, challenges.
