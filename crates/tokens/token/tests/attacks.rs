//! Every known kind of bad token, and the good ones beside them, as `data/attacks.json` states.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, its helpers too"
)]

use std::time::Duration;

use cofferdam_token::{Algorithm, IssuerPolicy, Verifier, danger};
use serde_json::Value;

fn verifier(attacks: &Value, alg: &str) -> Verifier {
    let keys = format!(r#"{{"keys":[{}]}}"#, attacks["keys"][alg]);
    let algorithm = Algorithm::from_name(alg).unwrap();
    let keys = danger::jwk_set_with_secrets(keys.as_bytes()).unwrap();
    assert_eq!(keys.keys().len(), 1, "{alg}: {:?}", keys.skipped());
    let policy = IssuerPolicy::new(attacks["iss"].as_str().unwrap(), keys)
        .audience(attacks["aud"].as_str().unwrap())
        .algorithms([algorithm])
        .leeway(Duration::ZERO);
    let policy = if algorithm.is_hmac() {
        danger::allow_hmac(policy)
    } else {
        policy
    };
    Verifier::new([policy]).unwrap().max_length(64 << 10)
}

#[test]
fn every_attack_is_judged_as_stated() {
    let attacks: Value = serde_json::from_str(include_str!("data/attacks.json")).unwrap();
    let now = attacks["now"].as_u64().unwrap();
    let cases = attacks["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 83);
    let mut wrong = Vec::new();
    for case in cases {
        let verdict = verifier(&attacks, case["alg"].as_str().unwrap())
            .verify(case["token"].as_str().unwrap(), now);
        println!("{}: {:?}", case["id"], verdict.as_ref().err());
        if verdict.is_ok() != (case["want"] == "accept") {
            wrong.push(format!(
                "{}: {} ({:?})",
                case["id"],
                case["why"],
                verdict.err()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
