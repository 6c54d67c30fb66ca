//! The documents that an issuer publishes, and PEM.

use cofferdam_token::base64url;
use serde_json::{Value, json};

/// RFC 8414 §3.2 and OpenID Connect Discovery §4.2, as far as a resource server reads them.
pub(crate) fn metadata(issuer: &str, algorithms: &[&str]) -> Value {
    let base = issuer.trim_end_matches('/');
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{base}/jwks"),
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    })
}

/// RFC 7468: the label and base64 in lines of 64 characters.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    // The two alphabets differ in two characters, and this crate's own encoder has the other one.
    let mut body = base64url::encode(der).replace('-', "+").replace('_', "/");
    while !body.len().is_multiple_of(4) {
        body.push('=');
    }
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in body.char_indices() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}
