//! The readers of `cofferdam-token`.

use std::sync::LazyLock;

use cofferdam_token::authorization::{carries_token, cookie_carries_token};
use cofferdam_token::dpop::{ProofPolicy, Target};
use cofferdam_token::json::{Document, Limits, Value};
use cofferdam_token::{
    Credentials, IssuerPolicy, Jwk, JwkSet, Profile, Verifier, base64url, inspect,
};

/// The targets of this file.
pub const TARGETS: &[crate::Target] = &[
    crate::Target {
        name: "token_authorization",
        run: authorization,
        seeds: &[b"Bearer abc.def.ghi", b"DPoP a==", b"a=1&access%5ftoken=x"],
    },
    crate::Target {
        name: "token_json",
        run: json,
        seeds: &[br#"{"a":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00\n"],"b":{"c":{}}}"#],
    },
    crate::Target {
        name: "token_jwk_set",
        run: jwk_set,
        seeds: &[br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#],
    },
    crate::Target {
        name: "token_jws",
        run: jws,
        seeds: &[
            br#"{"alg":"EdDSA","typ":"at+jwt","kid":"1"}.{"iss":"https://idp.example","aud":["api"],"sub":"a","exp":2000000000,"iat":1700000000,"jti":"1","client_id":"c","scope":"a b"}.c2ln"#,
        ],
    },
    crate::Target {
        name: "token_proof",
        run: proof,
        seeds: &[
            br#"{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}.{"jti":"1","htm":"GET","htu":"https://api.example/a","iat":1795505225,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}.c2ln"#,
        ],
    },
];

const NOW: u64 = 1_795_505_225;

/// The field `Authorization`, queries and cookies.
pub fn authorization(data: &[u8]) {
    if let Ok(credentials) = Credentials::parse([data], 1 << 16) {
        assert!(!credentials.token.is_empty());
        assert!(
            credentials
                .token
                .bytes()
                .all(|byte| (0x21..0x7f).contains(&byte))
        );
    }
    let _ = carries_token(data);
    let _ = cookie_carries_token(data);
}

/// The JSON reader. What it takes, it can walk, and no name is there twice.
pub fn json(data: &[u8]) {
    if let Ok(document) = Document::parse(data.to_vec(), &Limits::CLAIMS) {
        assert_eq!(document.text().as_bytes(), data);
        walk(document.root(), 0);
    }
}

fn walk(value: Value<'_>, depth: usize) {
    assert!(depth <= Limits::CLAIMS.max_depth);
    if let Some(number) = value.as_f64() {
        assert!(number.is_finite());
    }
    let _ = (
        value.as_str(),
        value.as_bool(),
        value.as_i64(),
        value.as_u64(),
        value.is_null(),
    );
    for element in value.as_array().into_iter().flatten() {
        walk(element, depth + 1);
    }
    if let Some(members) = value.as_object() {
        let mut names: Vec<&str> = members.clone().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for (name, member) in members {
            assert!(value.get(name).is_some());
            walk(member, depth + 1);
        }
    }
}

/// JWK sets and PEM. A key that is taken has a thumbprint and serves something.
pub fn jwk_set(data: &[u8]) {
    if let Ok(set) = JwkSet::parse(data) {
        for key in set.keys() {
            assert_eq!(key.thumbprint().len(), 43);
            assert!(!key.algorithms().is_empty());
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Jwk::from_pem(text);
    }
}

/// A verifier for each profile, with a key that has signed nothing.
static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let keys = || {
        let key =
            br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        Jwk::parse(key).expect("a key of RFC 8037")
    };
    Profile::ALL
        .into_iter()
        .map(|profile| {
            // That profile takes its trust domain from the name of the issuer.
            let issuer = match profile.name() {
                "spiffe" => "spiffe://idp.example",
                _ => "https://idp.example",
            };
            let policy = IssuerPolicy::new(issuer, keys()).audience("api");
            Verifier::new([policy.profile(profile)])
                .expect("a policy")
                .cache(16)
        })
        .collect()
});

/// Tokens: as they come, and with their first segments encoded, so that what is in them is reached.
pub fn jws(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for token in [text.to_owned(), encoded(text)] {
        let _ = inspect(&token);
        for verifier in VERIFIERS.iter() {
            // Nobody has signed anything.
            assert!(verifier.verify(&token, NOW).is_err());
        }
    }
}

/// Proofs, in the same way.
pub fn proof(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let policy = ProofPolicy::default();
    let target = Target {
        method: "GET",
        uri: "https://api.example/a",
    };
    for proof in [text.to_owned(), encoded(text)] {
        let _ = policy.verify([proof.as_str()], &target, "token", NOW);
    }
}

fn encoded(text: &str) -> String {
    let (rest, signature) = text.rsplit_once('.').unwrap_or((text, ""));
    // The claims begin at the last brace that opens behind a dot: JSON has dots of its own.
    let (header, claims) = rest.split_once("}.{").unwrap_or((rest, ""));
    let header = base64url::encode(format!("{header}}}").as_bytes());
    let claims = base64url::encode(format!("{{{claims}").as_bytes());
    format!("{header}.{claims}.{signature}")
}
