//! JWS in compact serialization (RFC 7515 §7.1) and its header.

use crate::base64url;
use crate::json::{Document, Limits, Value};
use crate::key::{Jwk, JwkSet, Lookup, MAX_KID};
use crate::rejection::{Part, Rejection};
use crate::{Algorithm, AlgorithmSet};

/// The longest signature, RSA of 8192 bits, in bytes.
const MAX_SIGNATURE: usize = 1024;
/// The longest header segment, in characters.
const MAX_HEADER: usize = 4096;

/// Verifies a JWS whose payload may be anything, and answers the payload.
///
/// This is the signature alone, without issuer, audience or time: access tokens go to
/// [`crate::Verifier`]. At most 1 MiB is read.
///
/// # Errors
/// [`Rejection`], as for a token.
pub fn verify(jws: &str, keys: &JwkSet, allowed: AlgorithmSet) -> Result<Vec<u8>, Rejection> {
    let compact = Compact::split(jws, 1 << 20)?;
    let document = compact.header_document()?;
    let header = Header::read(&document, EmbeddedKey::Forbidden)?;
    header.allow(allowed)?;
    let payload = base64url::decode(compact.payload).ok_or(Rejection::Base64(Part::Claims))?;
    compact.verify(find(keys, &header)?, header.algorithm)?;
    Ok(payload)
}

pub(crate) fn find<'k>(keys: &'k JwkSet, header: &Header<'_>) -> Result<&'k Jwk, Rejection> {
    match keys.find(header.kid, header.algorithm) {
        Lookup::Found(key) => Ok(key),
        Lookup::Unknown => Err(Rejection::KeyUnknown),
        Lookup::Unfit => Err(Rejection::KeyUnfit),
        Lookup::Ambiguous => Err(Rejection::KeyAmbiguous),
    }
}

/// The three segments, still encoded.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'t> {
    pub(crate) header: &'t str,
    pub(crate) payload: &'t str,
    pub(crate) signature: &'t str,
    /// What is signed: header, dot, payload.
    pub(crate) signed: &'t str,
}

impl<'t> Compact<'t> {
    /// Splits at the dots, of which there are exactly two. The length is judged first, so what a
    /// million dots cost is a comparison (CVE-2025-30204).
    pub(crate) fn split(token: &'t str, max_length: usize) -> Result<Compact<'t>, Rejection> {
        if token.len() > max_length {
            return Err(Rejection::TooLong);
        }
        let (header, rest) = token.split_once('.').ok_or(Rejection::NotCompact)?;
        let (payload, signature) = rest.split_once('.').ok_or(Rejection::NotCompact)?;
        if signature.contains('.') {
            return Err(Rejection::NotCompact);
        }
        let signed = &token[..header.len() + 1 + payload.len()];
        Ok(Compact {
            header,
            payload,
            signature,
            signed,
        })
    }

    pub(crate) fn header_document(&self) -> Result<Document, Rejection> {
        if self.header.len() > MAX_HEADER {
            return Err(Rejection::TooLong);
        }
        document(self.header, Part::Header, &Limits::HEADER)
    }

    pub(crate) fn claims_document(&self) -> Result<Document, Rejection> {
        document(self.payload, Part::Claims, &Limits::CLAIMS)
    }

    pub(crate) fn verify(&self, key: &Jwk, algorithm: Algorithm) -> Result<(), Rejection> {
        let mut buffer = [0; MAX_SIGNATURE];
        let signature = base64url::decode_into(self.signature, &mut buffer)
            .ok_or(Rejection::Base64(Part::Signature))?;
        match key.verify(algorithm, self.signed.as_bytes(), signature) {
            true => Ok(()),
            false => Err(Rejection::SignatureInvalid),
        }
    }
}

fn document(segment: &str, part: Part, limits: &Limits) -> Result<Document, Rejection> {
    let bytes = base64url::decode(segment).ok_or(Rejection::Base64(part))?;
    let document =
        Document::parse(bytes, limits).map_err(|error| Rejection::Json { part, error })?;
    match document.root().as_object() {
        Some(_) => Ok(document),
        None => Err(Rejection::NotAnObject(part)),
    }
}

/// The header's members that decide something.
pub(crate) struct Header<'d> {
    pub(crate) algorithm: Algorithm,
    pub(crate) typ: Option<&'d str>,
    pub(crate) kid: Option<&'d str>,
    /// Only ever `Some` where the reader asked for it (DPoP proofs).
    pub(crate) jwk: Option<Value<'d>>,
    /// Whether a member other than `alg`, `kid` and `typ` is there.
    pub(crate) has_others: bool,
}

/// Whether `jwk` may stand in the header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmbeddedKey {
    Forbidden,
    Required,
}

impl<'d> Header<'d> {
    /// Unknown members are ignored (RFC 7515 §4); those that would choose the key or change how the
    /// payload is read are not.
    pub(crate) fn read(
        document: &'d Document,
        embedded: EmbeddedKey,
    ) -> Result<Header<'d>, Rejection> {
        let mut algorithm = None;
        let mut header = Header {
            algorithm: Algorithm::Rs256,
            typ: None,
            kid: None,
            jwk: None,
            has_others: false,
        };
        let members = document
            .root()
            .as_object()
            .ok_or(Rejection::NotAnObject(Part::Header))?;
        for (name, value) in members {
            match name {
                "alg" => {
                    let name = value.as_str().ok_or(Rejection::HeaderMalformed("alg"))?;
                    algorithm =
                        Some(Algorithm::from_name(name).ok_or(Rejection::AlgorithmUnknown)?);
                }
                "typ" => {
                    header.typ = Some(value.as_str().ok_or(Rejection::HeaderMalformed("typ"))?);
                }
                "kid" => {
                    let kid = value.as_str().filter(|kid| is_kid(kid));
                    header.kid = Some(kid.ok_or(Rejection::HeaderMalformed("kid"))?);
                }
                "jwk" if embedded == EmbeddedKey::Required => {
                    header.jwk = Some(value);
                    header.has_others = true;
                }
                "crit" => return Err(Rejection::Critical),
                "jwk" => return Err(Rejection::HeaderForbidden("jwk")),
                "jku" => return Err(Rejection::HeaderForbidden("jku")),
                "x5u" => return Err(Rejection::HeaderForbidden("x5u")),
                "x5c" => return Err(Rejection::HeaderForbidden("x5c")),
                "zip" => return Err(Rejection::HeaderForbidden("zip")),
                "enc" => return Err(Rejection::HeaderForbidden("enc")),
                "cty" => return Err(Rejection::HeaderForbidden("cty")),
                "b64" => return Err(Rejection::HeaderForbidden("b64")),
                _ => header.has_others = true,
            }
        }
        header.algorithm = algorithm.ok_or(Rejection::HeaderMissing("alg"))?;
        Ok(header)
    }

    pub(crate) fn allow(&self, algorithms: AlgorithmSet) -> Result<(), Rejection> {
        match algorithms.contains(self.algorithm) {
            true => Ok(()),
            false => Err(Rejection::AlgorithmNotAllowed),
        }
    }
}

/// A key id is an index into a set that is in memory. What could mean something to a file system, a
/// database or a shell is refused all the same: it is no id that an issuer gives, and it will reach
/// logs.
fn is_kid(kid: &str) -> bool {
    !kid.is_empty()
        && kid.len() <= MAX_KID
        && !kid.contains("..")
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=:@#".contains(&byte))
}

/// Whether `typ` is `wanted` (lower case, without `application/`). Media types compare without case,
/// and the prefix may be left out (RFC 7515 §4.1.9).
pub(crate) fn is_type(typ: &str, wanted: &str) -> bool {
    const PREFIX: usize = "application/".len();
    let bare = match typ.split_at_checked(PREFIX) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    };
    bare.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_compare_without_case_and_prefix() {
        for typ in [
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/AT+jwt",
        ] {
            assert!(is_type(typ, "at+jwt"), "{typ}");
        }
        for typ in [
            "",
            "jwt",
            "at+jwt ",
            "application/",
            "text/at+jwt",
            "application/application/at+jwt",
        ] {
            assert!(!is_type(typ, "at+jwt"), "{typ}");
        }
    }

    #[test]
    fn key_ids_of_real_issuers_pass_and_payloads_do_not() {
        for kid in [
            "k1",
            "1234example=",
            "dF9/x+8=",
            "2YP5:signer#1",
            "https://kv.example/keys/1",
        ] {
            assert!(is_kid(kid), "{kid}");
        }
        let long = "k".repeat(257);
        for kid in [
            "",
            "../../dev/null",
            "a' OR 1=1",
            "a b",
            "k\0",
            "|id",
            "schlüssel",
            &long,
        ] {
            assert!(!is_kid(kid), "{kid}");
        }
    }

    #[test]
    fn only_three_segments_are_a_token() {
        for token in ["", ".", "a.b", "...", "a.b.c.d", "a.b.c."] {
            assert_eq!(
                Compact::split(token, 100).err(),
                Some(Rejection::NotCompact),
                "{token}"
            );
        }
        assert_eq!(Compact::split("a.b.c", 4).err(), Some(Rejection::TooLong));
        assert_eq!(
            Compact::split("a.b.c", 5).ok().map(|jws| jws.signed),
            Some("a.b")
        );
    }
}
