//! What an `[[issuer]]` means, the same for broker and gate.

use super::{Told, listed};
use cofferdam_token::settings::{IssuerSettings, KeyFile};

pub(super) fn explain(issuer: &IssuerSettings, told: &mut Told) {
    let name = &issuer.issuer;
    let algorithms = listed(issuer.algorithms.iter().map(|it| it.name()), "the preset's");
    told.say(
        "tokens",
        format!(
            "of {name}, for {}; preset {}, algorithms: {algorithms}",
            issuer.audience.join(" or "),
            issuer.profile().name(),
        ),
    );
    for (claim, values) in &issuer.claims {
        told.say(
            "tokens",
            format!(
                "  only where the claim `{claim}` is {}",
                values.join(" or ")
            ),
        );
    }
    keys(issuer, told);
}

/// Whose what is, and who may do what: the broker alone decides by that.
pub(super) fn explain_rights(issuer: &IssuerSettings, told: &mut Told) {
    let owner = match &issuer.owner_claim {
        None => "the claim `sub`".to_owned(),
        Some(path) => format!("the claim `{path}`"),
    };
    let roles = match &issuer.roles_claim {
        None => "the claim `roles`".to_owned(),
        Some(path) => format!("the claim `{path}`"),
    };
    let always = match issuer.roles.is_empty() {
        true => String::new(),
        false => format!(", and every token has {}", issuer.roles.join(", ")),
    };
    told.say(
        "tokens",
        format!("  one owner is told from another by {owner}; roles come from {roles}{always}"),
    );
    if !issuer.scopes.is_empty() {
        let scopes = issuer.scopes.join(" ");
        told.say("tokens", format!("  every token has the scopes {scopes}"));
    }
}

fn keys(issuer: &IssuerSettings, told: &mut Told) {
    let source = match (&issuer.jwks_uri, issuer.discover) {
        (Some(url), _) => Some(url.clone()),
        (None, true) => Some("where the issuer's metadata says".to_owned()),
        (None, false) => None,
    };
    let Some(file) = &issuer.keys else {
        told.say(
            "tokens",
            format!("  keys are fetched: {}", source.unwrap_or_default()),
        );
        return;
    };
    let place = file.display();
    let synced = source.map_or(String::new(), |url| {
        format!("; `cofferdam keys sync` fetches them: {url}")
    });
    // What is wrong with the file is among the errors.
    let keys = KeyFile::open(file).ok();
    let keys = keys.and_then(|file| file.store().keys());
    let ids = keys.map_or(String::new(), |keys| {
        let ids = keys.keys().iter();
        let ids = ids.map(|key| key.kid().unwrap_or(key.thumbprint()));
        format!(": {}", listed(ids, "none"))
    });
    told.say("tokens", format!("  keys from {place}{ids}{synced}"));
}
