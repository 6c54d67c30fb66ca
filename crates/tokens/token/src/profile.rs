//! Profiles: what makes a JWT an access token for a given kind of issuer.
//!
//! A profile never drops a check of RFC 9068 without another in its place; each says which.

use crate::claims::Claims;
use crate::jws::{Header, is_type};
use crate::rejection::Rejection;

/// The rules by which a token of one kind of issuer is told from every other JWT.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    name: &'static str,
    /// Accepted values of `typ`, lower case, without `application/`.
    types: &'static [&'static str],
    /// Whether `typ` may be absent.
    type_optional: bool,
    /// Claims that must be there, besides `iss`, `exp` and what the audience rule wants.
    required: &'static [&'static str],
    /// Claims that must not be there: the marks of other kinds of tokens.
    forbidden: &'static [&'static str],
    /// Where the audience stands.
    audience: AudienceRule,
    /// Whether header members other than `alg`, `kid` and `typ` are refused.
    bare_header: bool,
    /// What cannot be said in the fields above.
    also: fn(&Claims) -> Result<(), Rejection>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AudienceRule {
    /// `aud` holds this resource.
    Claim,
    /// `client_id` is one of those configured as audience; where there is an `aud` it decides.
    ClientId,
}

/// The marks of an ID token (OpenID Connect Core §2, §3.1.3.6, §3.3.2.11) and of a logout token
/// (Back-Channel Logout §2.4).
const ID_TOKEN_MARKS: &[&str] = &["nonce", "at_hash", "c_hash", "s_hash", "events"];

const NOTHING_MORE: fn(&Claims) -> Result<(), Rejection> = |_| Ok(());

impl Profile {
    /// RFC 9068, the default: `typ` is `at+jwt`; `iss`, `exp`, `aud`, `sub`, `client_id`, `iat` and
    /// `jti` are there (§2.2).
    pub const RFC9068: Profile = Profile {
        name: "rfc9068",
        types: &["at+jwt"],
        type_optional: false,
        required: &["sub", "client_id", "iat", "jti"],
        forbidden: &[],
        audience: AudienceRule::Claim,
        bare_header: false,
        also: NOTHING_MORE,
    };

    /// Any issuer that sends `typ: JWT` or none. In place of `typ`: `sub` and a client or a scope
    /// must be there, and the marks of ID and logout tokens must not (RFC 8725 §3.12).
    pub const JWT: Profile = Profile {
        name: "jwt",
        types: &["jwt", "at+jwt"],
        type_optional: true,
        required: &["sub"],
        forbidden: ID_TOKEN_MARKS,
        also: |claims| match claims.client_id().is_some() || !claims.scopes().is_empty() {
            true => Ok(()),
            false => Err(Rejection::ClaimMissing("client_id")),
        },
        ..Profile::RFC9068
    };

    /// Keycloak, which sends `typ: JWT` in the header unless "Use at+jwt as access token header
    /// type" is on. In its place: the claim `typ` must be `Bearer` (ID tokens say `ID`, refresh
    /// tokens `Refresh`, logout tokens `Logout`), and `azp`, `iat` and `jti` must be there.
    ///
    /// `sub` may be absent: Keycloak leaves it out of the tokens of clients without the scope
    /// `basic`, and of lightweight ones. Then [`crate::Verified::subject`] is `None`.
    pub const KEYCLOAK: Profile = Profile {
        name: "keycloak",
        required: &["azp", "iat", "jti"],
        // Older versions copy the `nonce` of the login into the access token.
        forbidden: &["at_hash", "c_hash", "s_hash", "events"],
        // DPoP-bound access tokens say `DPoP` here.
        also: |claims| match claims.get("typ").and_then(|typ| typ.as_str()) {
            Some("Bearer" | "DPoP") => Ok(()),
            _ => Err(Rejection::ClaimMismatch("typ")),
        },
        ..Profile::JWT
    };

    /// Microsoft Entra, versions 1 and 2, which send `typ: JWT`. In its place: `ver`, `tid` and the
    /// calling application (`azp` in version 2, `appid` in version 1) must be there.
    pub const ENTRA: Profile = Profile {
        name: "entra",
        required: &["sub", "iat", "tid"],
        also: |claims| {
            let version = claims.get("ver").and_then(|version| version.as_str());
            let caller = match version {
                Some("1.0") => "appid",
                Some("2.0") => "azp",
                _ => return Err(Rejection::ClaimMismatch("ver")),
            };
            match claims.has(caller) {
                true => Ok(()),
                false => Err(Rejection::ClaimMissing(caller)),
            }
        },
        ..Profile::JWT
    };

    /// Auth0, which sends `typ: JWT` in its own dialect and `at+jwt` in that of RFC 9068. In its
    /// place: `azp` or `client_id`, and `iat`, must be there.
    pub const AUTH0: Profile = Profile {
        name: "auth0",
        required: &["sub", "iat"],
        also: |claims| match claims.client_id() {
            Some(_) => Ok(()),
            None => Err(Rejection::ClaimMissing("azp")),
        },
        ..Profile::JWT
    };

    /// Okta custom authorization servers, which send no `typ`. In its place: `cid` and `ver` must
    /// be there and `jti` must begin with `AT.` (ID tokens say `ID.`).
    pub const OKTA: Profile = Profile {
        name: "okta",
        required: &["sub", "iat", "cid", "ver"],
        also: |claims| match claims.token_id() {
            Some(id) if id.starts_with("AT.") => Ok(()),
            Some(_) => Err(Rejection::ClaimMismatch("jti")),
            None => Err(Rejection::ClaimMissing("jti")),
        },
        ..Profile::JWT
    };

    /// Amazon Cognito access tokens, which have neither `typ` nor, without a resource binding,
    /// `aud`. In place of both: `token_use` must be `access`, and `client_id` must be one of those
    /// that are configured as audience. Where `aud` is there, it must hold one of them instead.
    pub const COGNITO: Profile = Profile {
        name: "cognito",
        required: &["sub", "iat", "jti", "client_id"],
        audience: AudienceRule::ClientId,
        also: |claims| match claims
            .get("token_use")
            .and_then(|token_use| token_use.as_str())
        {
            Some("access") => Ok(()),
            _ => Err(Rejection::ClaimMismatch("token_use")),
        },
        ..Profile::JWT
    };

    /// Google-signed ID tokens between services, the only JWTs that Google issues to callers of an
    /// API. In place of `typ`: `azp` and `iat` must be there, and the tokens of a login (`nonce`,
    /// `at_hash`) are refused.
    pub const GOOGLE: Profile = Profile {
        name: "google",
        required: &["sub", "iat", "azp"],
        ..Profile::AUTH0
    };

    /// GitHub Actions. In place of `typ`: `repository`, `repository_id`, `workflow_ref` and `jti`
    /// must be there. An audience that GitHub hands out by default is refused when the policy is
    /// built.
    pub const GITHUB_ACTIONS: Profile = Profile {
        name: "github-actions",
        required: &[
            "sub",
            "iat",
            "jti",
            "repository",
            "repository_id",
            "workflow_ref",
        ],
        also: NOTHING_MORE,
        ..Profile::JWT
    };

    /// GitLab CI ID tokens. In place of `typ`: `project_id`, `project_path`, `job_id`,
    /// `pipeline_id` and `jti` must be there.
    pub const GITLAB_CI: Profile = Profile {
        name: "gitlab-ci",
        required: &[
            "sub",
            "iat",
            "jti",
            "project_id",
            "project_path",
            "job_id",
            "pipeline_id",
        ],
        also: NOTHING_MORE,
        ..Profile::JWT
    };

    /// Kubernetes service-account tokens that are bound to an audience and a time. In place of
    /// `typ`: `sub` is `system:serviceaccount:NAMESPACE:NAME` and agrees with the claim
    /// `kubernetes.io`; the legacy kind, which never expires, is refused with `exp` and `iss`.
    pub const KUBERNETES: Profile = Profile {
        name: "kubernetes",
        required: &["iat", "nbf"],
        also: is_service_account,
        ..Profile::JWT
    };

    /// SPIFFE JWT-SVID: `typ` is `JWT`, `JOSE` or absent, the header has nothing but `alg`, `kid`
    /// and `typ`, `sub` is a SPIFFE id of the policy's trust domain. `iss` may be absent, then the
    /// trust domain stands in its place.
    pub const SPIFFE: Profile = Profile {
        name: "spiffe",
        types: &["jwt", "jose"],
        required: &["sub"],
        forbidden: &[],
        bare_header: true,
        also: |claims| match claims.subject().is_some_and(is_spiffe_id) {
            true => Ok(()),
            false => Err(Rejection::ClaimMismatch("sub")),
        },
        ..Profile::JWT
    };

    /// Every profile.
    pub const ALL: [Profile; 12] = [
        Profile::RFC9068,
        Profile::JWT,
        Profile::KEYCLOAK,
        Profile::ENTRA,
        Profile::AUTH0,
        Profile::OKTA,
        Profile::COGNITO,
        Profile::GOOGLE,
        Profile::GITHUB_ACTIONS,
        Profile::GITLAB_CI,
        Profile::KUBERNETES,
        Profile::SPIFFE,
    ];

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Profile> {
        Profile::ALL
            .into_iter()
            .find(|profile| profile.name == name)
    }

    /// The name, as configuration and command line spell it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn check_header(&self, header: &Header<'_>) -> Result<(), Rejection> {
        let fits = match header.typ {
            Some(typ) => self.types.iter().any(|wanted| is_type(typ, wanted)),
            None => self.type_optional,
        };
        if !fits {
            return Err(Rejection::TypeNotAllowed);
        }
        if self.bare_header && header.has_others {
            return Err(Rejection::HeaderNotBare);
        }
        Ok(())
    }

    pub(crate) fn check_claims(&self, claims: &Claims) -> Result<(), Rejection> {
        for name in self.required {
            if !claims.has(name) {
                return Err(Rejection::ClaimMissing(name));
            }
        }
        for name in self.forbidden {
            if claims.get(name).is_some() {
                return Err(Rejection::ClaimForbidden(name));
            }
        }
        (self.also)(claims)
    }

    pub(crate) fn check_audience(
        &self,
        claims: &Claims,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<(), Rejection> {
        let mut audience = claims.audience().peekable();
        if audience.peek().is_none() {
            return match self.audience {
                AudienceRule::ClientId if claims.client_id().is_some_and(&is_ours) => Ok(()),
                AudienceRule::ClientId => Err(Rejection::ClaimMismatch("client_id")),
                AudienceRule::Claim => Err(Rejection::ClaimMissing("aud")),
            };
        }
        match audience.any(is_ours) {
            true => Ok(()),
            false => Err(Rejection::AudienceMismatch),
        }
    }

    /// An audience that every tenant of the issuer can have is none, and neither is that of another
    /// API which every client of the issuer gets.
    pub(crate) fn is_default_audience(&self, issuer: &str, audience: &str) -> bool {
        match self.name {
            "github-actions" => audience.starts_with("https://github.com/"),
            // That of the API server, which every pod's own token has: the issuer by default, and
            // the server's name in the cluster where a provider names another issuer.
            "kubernetes" => {
                audience == issuer
                    || audience == "https://kubernetes.default.svc"
                    || audience == "https://kubernetes.default.svc.cluster.local"
            }
            // The account console, for which Keycloak makes tokens of every user out.
            "keycloak" => audience == "account",
            // Microsoft Graph, by its application id and its URI.
            "entra" => {
                let audience = audience.strip_suffix('/').unwrap_or(audience);
                audience == "https://graph.microsoft.com"
                    || audience.eq_ignore_ascii_case("00000003-0000-0000-c000-000000000000")
            }
            _ => false,
        }
    }
}

impl Default for Profile {
    fn default() -> Profile {
        Profile::RFC9068
    }
}

/// KEP-1205: the subject and the private claim name the same account.
fn is_service_account(claims: &Claims) -> Result<(), Rejection> {
    let subject = claims.subject().ok_or(Rejection::ClaimMissing("sub"))?;
    let (namespace, name) = subject
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'))
        .ok_or(Rejection::ClaimMismatch("sub"))?;
    let private = claims
        .get("kubernetes.io")
        .ok_or(Rejection::ClaimMissing("kubernetes.io"))?;
    let text = |value: Option<crate::json::Value<'_>>, wanted: &str| {
        value
            .and_then(|value| value.as_str())
            .is_some_and(|value| value == wanted)
    };
    let account = private.get("serviceaccount");
    if !text(private.get("namespace"), namespace)
        || !text(account.and_then(|account| account.get("name")), name)
        || account.and_then(|account| account.get("uid")).is_none()
    {
        return Err(Rejection::ClaimMismatch("kubernetes.io"));
    }
    Ok(())
}

/// SPIFFE-ID §2: `spiffe://`, a trust domain of lower-case letters, digits, `.`, `-`, `_`, then
/// segments of letters, digits, `.`, `-`, `_` that are neither empty nor `.` nor `..`; 2048 bytes.
fn is_spiffe_id(id: &str) -> bool {
    let Some(rest) = id.strip_prefix("spiffe://") else {
        return false;
    };
    let mut parts = rest.split('/');
    id.len() <= 2048
        && parts.next().is_some_and(is_trust_domain)
        && parts.all(|part| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        })
}

/// SPIFFE-ID §2.1: letters of lower case, digits, `.`, `-`, `_`, at most 255 bytes.
pub(crate) fn is_trust_domain(domain: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    !domain.is_empty() && domain.len() <= 255 && domain.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_are_told_from_what_only_looks_like_one() {
        for id in ["spiffe://prod.example", "spiffe://a_b-c.d/ns/x/sa/Y.z_1"] {
            assert!(is_spiffe_id(id), "{id}");
        }
        for id in [
            "",
            "spiffe://",
            "spiffe:///x",
            "SPIFFE://a/b",
            "spiffe://A/b",
            "spiffe://a/",
            "spiffe://a//b",
            "spiffe://a/../b",
            "spiffe://a/b?c",
            "spiffe://a:1/b",
            "spiffe://u@a/b",
            "spiffe://a/%41",
        ] {
            assert!(!is_spiffe_id(id), "{id}");
        }
    }

    #[test]
    fn names_are_unique_and_found_again() {
        for profile in Profile::ALL {
            assert_eq!(
                Profile::from_name(profile.name()).map(|found| found.name()),
                Some(profile.name())
            );
        }
        let mut names: Vec<_> = Profile::ALL.iter().map(Profile::name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Profile::ALL.len());
    }
}
