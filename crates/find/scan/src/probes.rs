//! What the checks share beside the context: the places that take a value, what an answer says,
//! what belongs to whom, and the lists of payloads.

mod answer;
mod change;
mod code;
mod document;
mod engine;
mod facts;
mod input;
mod inside;
mod internal;
mod objects;
mod readback;
mod request_shape;
mod secrets;
mod shell;
mod tenants;
mod traversal;

pub(crate) use crate::inventory::words;
pub(crate) use answer::{Spot, find_text, leaves, shown, succeeded, texts};
pub(crate) use change::{MemberChange, member_change, on_object, opposite, state_in, would_change};
pub(crate) use code::{Canary, gadgets};
pub(crate) use document::{Document, containers_in, documents, with_members};
pub(crate) use engine::{
    engine_facts, is_engine_error, is_engine_info, is_engine_version, list_of_containers,
};
pub(crate) use facts::{LiveReader, posture_of};
pub(crate) use input::{Input, caller, inputs};
pub(crate) use inside::{IMDS_LIFETIME, Inside};
pub(crate) use internal::{IMDS_SESSION, INTERNAL, is_version_text};
pub(crate) use objects::{Foreign, foreign, in_a_list, listed, owned};
pub(crate) use readback::{identifiers, item_path, read_back, remove, remove_named, state_of};
pub(crate) use request_shape::RequestShape;
pub(crate) use secrets::{Kind, Leak, leaks};
pub(crate) use shell::{Injection, injections};
pub(crate) use tenants::{Tenants, mentions_admin};
pub(crate) use traversal::{KNOWN_FILES, KnownFile, Technique, techniques};

#[cfg(test)]
mod holes;
