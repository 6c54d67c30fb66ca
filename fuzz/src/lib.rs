//! What is fuzzed, as plain functions: libFuzzer calls them with what it finds, `cargo test` with
//! the kept corpus and with what chance makes of it.
//!
//! A target must not panic, and must not take long; what else must hold it asserts itself.

pub mod token;

/// A target by name, its function, and what chance starts from.
pub struct Target {
    /// The name of the binary and of the folder of its corpus.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Inputs that are valid, so that what is made of them comes far.
    pub seeds: &'static [&'static [u8]],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "token_authorization",
        run: token::authorization,
        seeds: &[b"Bearer abc.def.ghi", b"DPoP a==", b"a=1&access%5ftoken=x"],
    },
    Target {
        name: "token_json",
        run: token::json,
        seeds: &[br#"{"a":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00\n"],"b":{"c":{}}}"#],
    },
    Target {
        name: "token_jwk_set",
        run: token::jwk_set,
        seeds: &[br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#],
    },
    Target {
        name: "token_jws",
        run: token::jws,
        seeds: &[
            br#"{"alg":"EdDSA","typ":"at+jwt","kid":"1"}.{"iss":"https://idp.example","aud":["api"],"sub":"a","exp":2000000000,"iat":1700000000,"jti":"1","client_id":"c","scope":"a b"}.c2ln"#,
        ],
    },
    Target {
        name: "token_proof",
        run: token::proof,
        seeds: &[
            br#"{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}.{"jti":"1","htm":"GET","htu":"https://api.example/a","iat":1795505225,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}.c2ln"#,
        ],
    },
];
