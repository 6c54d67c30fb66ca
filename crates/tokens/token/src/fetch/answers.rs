//! Answers of introspection that are remembered, in a store that others may read.
//!
//! Whoever reads the store learns neither a token nor what is known of it, and whoever writes to it
//! makes no token good: a name there is an HMAC of the token, a value is sealed with AES-256-GCM-SIV
//! (RFC 8452) under its name. Both keys come from the client's secret, by HKDF (RFC 5869), so all
//! processes that ask as the same client at the same endpoint share what they know, and no other
//! process can. What whoever writes to the store can do is to have answers forgotten, or bring back
//! an older one until its own time is over, which is sealed in as well.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hkdf, hmac, rand};

use crate::state::{Key, Memory, State, StateError};

/// How many answers the memory of one process holds.
const CAPACITY: usize = 10_000;
/// A longer answer is not remembered, in bytes.
const MAX_ANSWER: usize = 8 << 10;
const NONCE: usize = 12;

pub(super) struct Answers {
    pub(super) store: Arc<dyn State>,
    names: hmac::Key,
    seal: LessSafeKey,
}

impl Answers {
    /// In the memory of this process, under keys from `secret` for what is known to `client` of
    /// `endpoint`.
    pub(super) fn new(endpoint: &str, client: &str, secret: &str) -> Result<Answers, Unspecified> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"cofferdam introspection answers");
        let secret = salt.extract(secret.as_bytes());
        // No URL has a line end in it.
        let what = format!("{endpoint}\n{client}");
        let info = |purpose: &'static [u8]| [purpose, what.as_bytes()];
        let names = info(b"names\n");
        let names = hmac::Key::from(secret.expand(&names, hmac::HMAC_SHA256)?);
        let values = info(b"values\n");
        let seal = UnboundKey::from(secret.expand(&values, &AES_256_GCM_SIV)?);
        Ok(Answers {
            store: Arc::new(Memory::new(CAPACITY)),
            names,
            seal: LessSafeKey::new(seal),
        })
    }

    /// What was remembered of the token and is still believed.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn load(&self, token: &str, now: u64) -> Result<Option<Vec<u8>>, StateError> {
        let name = self.name(token);
        let value = self.store.load(&name, now).get().await?;
        Ok(value.and_then(|value| self.open(&name, value, now)))
    }

    /// Remembers an answer. Where that does not succeed the issuer is asked again, no more.
    pub(super) async fn keep(&self, token: &str, answer: &[u8], until: u64, now: u64) {
        let name = self.name(token);
        if answer.len() <= MAX_ANSWER
            && until > now
            && let Ok(value) = self.close(&name, answer, until)
        {
            let _ = self.store.put(name, value, until, now).get().await;
        }
    }

    fn name(&self, token: &str) -> Key {
        let mut name = Key::default();
        name.copy_from_slice(hmac::sign(&self.names, token.as_bytes()).as_ref());
        name
    }

    /// Nonce, then the time until which it is believed and the answer, sealed.
    fn close(&self, name: &Key, answer: &[u8], until: u64) -> Result<Vec<u8>, Unspecified> {
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce)?;
        let mut sealed = [&until.to_be_bytes(), answer].concat();
        self.seal.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(name),
            &mut sealed,
        )?;
        Ok([&nonce, sealed.as_slice()].concat())
    }

    /// `None` for what this client has not sealed under this name, or not for this time.
    fn open(&self, name: &Key, value: Vec<u8>, now: u64) -> Option<Vec<u8>> {
        let (nonce, sealed) = value.split_first_chunk::<NONCE>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.seal.open_in_place(nonce, Aad::from(name), &mut sealed);
        let (until, answer) = opened.ok()?.split_first_chunk::<8>()?;
        (u64::from_be_bytes(*until) > now).then(|| answer.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(endpoint: &str, client: &str, secret: &str) -> Answers {
        Answers::new(endpoint, client, secret).unwrap()
    }

    #[test]
    fn who_reads_or_writes_the_store_learns_nothing_and_makes_no_token_good() {
        let ours = answers("https://idp.example/introspect", "rs", "secret");
        let (name, other) = (ours.name("token"), ours.name("other"));
        let value = ours.close(&name, b"{\"sub\":\"alice\"}", 100).unwrap();
        let shows = |text: &[u8]| value.windows(text.len()).any(|part| part == text);
        assert!(!shows(b"alice") && !shows(b"token"));
        let read = |by: &Answers, name, value: &[u8], now| by.open(name, value.to_vec(), now);
        let expected = Some(b"{\"sub\":\"alice\"}".to_vec());
        assert_eq!(read(&ours, &name, &value, 99), expected);
        // Not beyond its time, not for another token, not when changed or cut.
        assert_eq!(read(&ours, &name, &value, 100), None);
        assert_eq!(read(&ours, &other, &value, 99), None);
        for place in 0..value.len() {
            let mut changed = value.clone();
            changed[place] ^= 1;
            assert_eq!(read(&ours, &name, &changed, 99), None, "{place}");
            assert_eq!(read(&ours, &name, &value[..place], 99), None, "{place}");
        }
        // The same client shares it; one of another secret, name or endpoint does not.
        let same = answers("https://idp.example/introspect", "rs", "secret");
        assert_eq!(same.name("token"), name);
        assert_eq!(read(&same, &name, &value, 99), expected);
        for stranger in [
            answers("https://idp.example/introspect", "rs", "guess"),
            answers("https://idp.example/introspect", "other", "secret"),
            answers("https://evil.example/introspect", "rs", "secret"),
        ] {
            assert_ne!(stranger.name("token"), name);
            assert_eq!(read(&stranger, &name, &value, 99), None);
        }
    }
}
