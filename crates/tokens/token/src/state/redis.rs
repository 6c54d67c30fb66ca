//! The store in Redis or Valkey (feature `redis`), for more than one machine.

use std::fmt;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, ExistenceCheck, FromRedisValue, RedisError, SetExpiry, SetOptions};

use super::{Answer, Key, State, StateError};
use crate::base64url;

/// How long one question may take, connecting included. A request waits for it.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The longest value that is taken, in bytes.
const MAX_VALUE: usize = 64 << 10;

/// Keys with an expiry in Redis. Each is the prefix and 43 characters of base64url of a hash; used
/// proofs and revoked tokens have a value that means nothing, answers of introspection one that is
/// sealed.
///
/// Whoever reads the server learns how many there are and when they expire. Whoever writes to it can
/// refuse service, and by deleting make a used proof usable again or a revoked token good until it
/// expires: it is trusted as far as that, so it belongs into the same network as the services, with
/// a password or an access list of its own.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    prefix: String,
}

impl Redis {
    /// Connects to `url` (`redis://host:port/db`, `redis+unix:///path`). `prefix` keeps its keys apart
    /// from those of others, for example `cofferdam:`.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] where the URL is none or the server does not answer. Later on the
    /// connection is made again by itself.
    pub async fn connect(url: &str, prefix: &str) -> Result<Redis, StateError> {
        let client = Client::open(url).map_err(unavailable)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_with_config(client, config)
            .await
            .map_err(unavailable)?;
        Ok(Redis {
            connection,
            prefix: prefix.to_owned(),
        })
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{}", self.prefix, base64url::encode(key))
    }

    fn ask<T: FromRedisValue + Send + 'static>(&self, command: Cmd) -> Answer<'_, T> {
        let mut connection = self.connection.clone();
        Answer::Pending(Box::pin(async move {
            let answer = tokio::time::timeout(TIMEOUT, command.query_async(&mut connection)).await;
            match answer {
                Ok(result) => result.map_err(unavailable),
                Err(_) => Err(StateError::Unavailable(
                    "it does not answer in time".to_owned(),
                )),
            }
        }))
    }
}

impl State for Redis {
    fn insert(&self, key: Key, until: u64, now: u64) -> Answer<'_, bool> {
        // By this machine's clock alone: those of the server and of other machines do not matter.
        let seconds = until.saturating_sub(now).max(1);
        let options = SetOptions::default()
            .conditional_set(ExistenceCheck::NX)
            .with_expiration(SetExpiry::EX(seconds));
        let answer = self.ask::<Option<String>>(Cmd::set_options(self.name(&key), 1, options));
        // `OK` where it was set, nothing where the key was there.
        Answer::Pending(Box::pin(async { Ok(answer.get().await?.is_some()) }))
    }

    fn contains(&self, key: &Key, _: u64) -> Answer<'_, bool> {
        self.ask(Cmd::exists(self.name(key)))
    }

    fn put(&self, key: Key, value: Vec<u8>, until: u64, now: u64) -> Answer<'_, ()> {
        let seconds = until.saturating_sub(now).max(1);
        self.ask(Cmd::set_ex(self.name(&key), value, seconds))
    }

    fn load(&self, key: &Key, _: u64) -> Answer<'_, Option<Vec<u8>>> {
        let answer = self.ask::<Option<Vec<u8>>>(Cmd::get(self.name(key)));
        let bounded = |value: &Vec<u8>| value.len() <= MAX_VALUE;
        Answer::Pending(Box::pin(
            async move { Ok(answer.get().await?.filter(bounded)) },
        ))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Its message names addresses and errors of the connection, and no key.
fn unavailable(error: RedisError) -> StateError {
    StateError::Unavailable(error.to_string())
}
