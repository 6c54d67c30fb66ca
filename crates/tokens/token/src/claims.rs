//! The claims of a token, with the types that RFC 7519 §4.1 and RFC 9068 §2.2 give them.

use std::fmt;

use crate::json::{Document, Place, Value};
use crate::rejection::{Part, Rejection};
use crate::scope::Scopes;

/// The end of the year 9999. A date behind it is a mistake or an attack on whoever adds to it.
const MAX_DATE: f64 = 253_402_300_799.0;
/// The longest `iss`, `sub`, `jti` or `client_id`, in bytes.
const MAX_IDENTIFIER: usize = 1024;

/// A token's claims. Registered ones are typed and have been checked for their type; all others are
/// reached by name.
#[derive(Clone)]
#[repr(C)]
pub struct Claims {
    // In this order, since of a token that is known not much more is read than the beginning.
    dates: Dates,
    document: Document,
    places: Places,
}

/// The dates, which are judged on every use of a token.
#[derive(Clone, Copy, Default)]
struct Dates {
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
}

/// Where each claim stands that has a type.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Places {
    cnf: Place,
    scope: Place,
    sub: Place,
    jti: Place,
    client_id: Place,
    azp: Place,
    cid: Place,
    appid: Place,
    scp: Place,
    iss: Place,
    aud: Place,
}

impl Claims {
    /// A claim of the wrong type is an error and never the same as an absent one (CVE-2026-25537).
    pub(crate) fn read(document: Document) -> Result<Claims, Rejection> {
        let mut places = Places::default();
        let mut dates = Dates::default();
        let members = document
            .root()
            .as_object()
            .ok_or(Rejection::NotAnObject(Part::Claims))?;
        for (name, value) in members {
            let (place, name, fits) = match name {
                "exp" => {
                    dates.exp = Some(date(value).ok_or(Rejection::ClaimMalformed("exp"))?);
                    continue;
                }
                "nbf" => {
                    dates.nbf = Some(date(value).ok_or(Rejection::ClaimMalformed("nbf"))?);
                    continue;
                }
                "iat" => {
                    dates.iat = Some(date(value).ok_or(Rejection::ClaimMalformed("iat"))?);
                    continue;
                }
                "iss" => (&mut places.iss, "iss", is_identifier(value)),
                "sub" => (&mut places.sub, "sub", is_identifier(value)),
                "aud" => (&mut places.aud, "aud", is_audience(value)),
                "jti" => (&mut places.jti, "jti", is_identifier(value)),
                "client_id" => (&mut places.client_id, "client_id", is_identifier(value)),
                "azp" => (&mut places.azp, "azp", is_identifier(value)),
                // No registered names: with another issuer they may be anything, which is then no
                // client.
                "cid" if is_identifier(value) => (&mut places.cid, "cid", true),
                "appid" if is_identifier(value) => (&mut places.appid, "appid", true),
                "scope" => (&mut places.scope, "scope", Scopes::read(value).is_some()),
                "scp" => (&mut places.scp, "scp", Scopes::read(value).is_some()),
                "cnf" => (&mut places.cnf, "cnf", value.as_object().is_some()),
                _ => continue,
            };
            if !fits {
                return Err(Rejection::ClaimMalformed(name));
            }
            *place = value.place();
        }
        let claims = Claims {
            dates,
            document,
            places,
        };
        if let (Some(scope), Some(scp)) = (claims.value(places.scope), claims.value(places.scp)) {
            // Two readers that each take another one of the two would see two tokens.
            let agree = Scopes::read(scope)
                .zip(Scopes::read(scp))
                .is_some_and(|(a, b)| a.same_as(b));
            if !agree {
                return Err(Rejection::ClaimMalformed("scp"));
            }
        }
        Ok(claims)
    }

    fn value(&self, place: Place) -> Option<Value<'_>> {
        (!place.is_none()).then(|| self.document.at(place))
    }

    fn text(&self, place: Place) -> Option<&str> {
        self.value(place)?.as_str()
    }

    /// Any claim by name.
    pub fn get(&self, name: &str) -> Option<Value<'_>> {
        self.document.root().get(name)
    }

    /// The value behind these member names, each of an object inside the one before.
    pub(crate) fn at_path(&self, path: &[String]) -> Option<Value<'_>> {
        let root = self.document.root();
        path.iter().try_fold(root, |value, name| value.get(name))
    }

    /// Whether the claim is there and is not `null`; of those that name the client, also whether it
    /// can be a name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let places = &self.places;
        let place = match name {
            "sub" => places.sub,
            "iat" => return self.dates.iat.is_some(),
            "nbf" => return self.dates.nbf.is_some(),
            "jti" => places.jti,
            "client_id" => places.client_id,
            "azp" => places.azp,
            "cid" => places.cid,
            "appid" => places.appid,
            _ => return self.get(name).is_some_and(|claim| !claim.is_null()),
        };
        !place.is_none()
    }

    /// The claims as the JSON text that was signed. It has passed the strict reader, so any other
    /// reader sees the same in it.
    pub fn json(&self) -> &str {
        self.document.text()
    }

    /// `iss`: who issued the token.
    pub fn issuer(&self) -> Option<&str> {
        self.text(self.places.iss)
    }

    /// `sub`: whom the token is about. Unique only together with the issuer.
    pub fn subject(&self) -> Option<&str> {
        self.text(self.places.sub)
    }

    /// `jti`: the id of the token.
    pub fn token_id(&self) -> Option<&str> {
        self.text(self.places.jti)
    }

    /// The client that got the token: `client_id` (RFC 9068 §2.2), else `azp` (OpenID Connect),
    /// `cid` (Okta) or `appid` (Entra, version 1).
    pub fn client_id(&self) -> Option<&str> {
        let places = &self.places;
        [places.client_id, places.azp, places.cid, places.appid]
            .into_iter()
            .find(|place| !place.is_none())
            .and_then(|place| self.text(place))
    }

    /// `exp` in seconds since 1970-01-01T00:00:00Z; may have a fraction.
    pub fn expires_at(&self) -> Option<f64> {
        self.dates.exp
    }

    /// `nbf`, in the same unit.
    pub fn not_before(&self) -> Option<f64> {
        self.dates.nbf
    }

    /// `iat`, in the same unit.
    pub fn issued_at(&self) -> Option<f64> {
        self.dates.iat
    }

    /// `aud`: for whom the token is meant, one or several.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        let aud = self.value(self.places.aud);
        let one = aud.and_then(Value::as_str);
        let many = aud.and_then(Value::as_strings);
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// `scope` (RFC 9068 §2.2.3) or `scp`, as a string or an array.
    pub fn scopes(&self) -> Scopes<'_> {
        self.value(self.places.scope)
            .or_else(|| self.value(self.places.scp))
            .map_or(Scopes::EMPTY, Scopes::checked)
    }

    /// `roles` (RFC 9068 §2.2.3.1): strings, or objects with a string `value`, as SCIM has them
    /// (RFC 7643 §2.4). Other elements are left out.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.strings("roles")
    }

    /// `groups`, the same.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.strings("groups")
    }

    /// `entitlements`, the same.
    pub fn entitlements(&self) -> impl Iterator<Item = &str> {
        self.strings("entitlements")
    }

    fn strings(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).into_iter().flat_map(texts)
    }

    pub(crate) fn confirmation(&self) -> Option<Value<'_>> {
        self.value(self.places.cnf)
    }
}

/// The texts in an array: its strings, and of its objects the string `value`, as SCIM has them
/// (RFC 7643 §2.4). Of anything else than an array there are none.
pub(crate) fn texts(value: Value<'_>) -> impl Iterator<Item = &str> {
    let elements = value.as_array().into_iter().flatten();
    elements.filter_map(|element| element.as_str().or_else(|| element.get("value")?.as_str()))
}

/// Claims are personal data: only how large they are is shown.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("bytes", &self.json().len())
            .finish_non_exhaustive()
    }
}

fn is_identifier(value: Value<'_>) -> bool {
    value.as_str().is_some_and(|text| {
        !text.is_empty() && text.len() <= MAX_IDENTIFIER && !text.contains(char::is_control)
    })
}

/// RFC 7519 §2: a number of seconds, possibly with a fraction.
fn date(value: Value<'_>) -> Option<f64> {
    value
        .as_f64()
        .filter(|seconds| (0.0..=MAX_DATE).contains(seconds))
}

/// RFC 7519 §4.1.3: a string or an array of strings. An empty array names nobody.
fn is_audience(value: Value<'_>) -> bool {
    is_identifier(value)
        || value
            .as_array()
            .is_some_and(|mut elements| elements.size_hint().0 > 0 && elements.all(is_identifier))
}
