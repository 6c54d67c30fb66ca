//! What all tenants share, such as the changes that are carried out at once, and how much of it one
//! of them may hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::tenancy::Owner;

/// A number of units. Cloning is cheap, and clones share them.
///
/// One tenant holds a quarter of all at most, and never more than what is left then, so that a few who
/// take what they can get leave something for others.
#[derive(Clone, Debug)]
pub(crate) struct Shares(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    held: Mutex<Held>,
    given_back: Notify,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by: HashMap<Owner, usize>,
}

/// Some units of one tenant, which are given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Shares,
    owner: Owner,
    units: usize,
}

impl Shares {
    pub(crate) fn new(total: usize) -> Self {
        Self(Arc::new(Shared {
            total,
            held: Mutex::default(),
            given_back: Notify::new(),
        }))
    }

    /// Takes some, where there is room.
    pub(crate) fn take(&self, owner: Owner, units: usize) -> Option<Share> {
        self.add(owner, units).then(|| Share {
            shares: self.clone(),
            owner,
            units,
        })
    }

    /// Takes some as soon as there is room, if that is within `limit`.
    pub(crate) async fn take_within(
        &self,
        owner: Owner,
        units: usize,
        limit: Duration,
    ) -> Option<Share> {
        let taken = async {
            loop {
                let changed = self.0.given_back.notified();
                let mut changed = std::pin::pin!(changed);
                // What is given back from here on is heard of.
                changed.as_mut().enable();
                if let Some(share) = self.take(owner, units) {
                    return share;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, taken).await.ok()
    }

    /// Waits until nobody holds any.
    pub(crate) async fn idle(&self) {
        loop {
            let mut changed = std::pin::pin!(self.0.given_back.notified());
            changed.as_mut().enable();
            if self.held().all == 0 {
                return;
            }
            changed.await;
        }
    }

    fn add(&self, owner: Owner, units: usize) -> bool {
        let mut held = self.held();
        let left = self.0.total - held.all;
        let own = held.by.get(&owner).copied().unwrap_or(0) + units;
        if own > left.min(self.0.total / 4) {
            return false;
        }
        held.by.insert(owner, own);
        held.all += units;
        true
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Both numbers are changed together, without anything between them that could panic.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes as many more as are wanted beyond what it has, where there is room.
    pub(crate) fn grow_to(&mut self, units: usize) -> bool {
        let more = units.saturating_sub(self.units);
        let grows = more == 0 || self.shares.add(self.owner, more);
        if grows {
            self.units += more;
        }
        grows
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        held.all -= self.units;
        if let Some(own) = held.by.get_mut(&self.owner) {
            *own -= self.units;
            if *own == 0 {
                held.by.remove(&self.owner);
            }
        }
        drop(held);
        self.shares.0.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(number: usize) -> Owner {
        Owner::of("i", &number.to_string())
    }

    #[test]
    fn one_tenant_holds_a_quarter_at_most_and_a_few_leave_something_for_others() {
        let shares = Shares::new(64);
        let mut held = Vec::new();
        let got = [0, 1, 2, 3, 4, 5].map(|number| {
            let before = held.len();
            while let Some(share) = shares.take(owner(number), 1) {
                held.push(share);
            }
            held.len() - before
        });
        assert_eq!(got, [16, 16, 16, 8, 4, 2]);
        held.clear();
        assert_eq!(shares.held().all, 0);
        assert!(shares.held().by.is_empty());
        let mut share = shares.take(owner(0), 10).unwrap();
        assert!(!share.grow_to(17) && share.grow_to(16) && share.grow_to(3));
        assert_eq!(shares.held().all, 16);
    }

    #[tokio::test]
    async fn what_is_given_back_is_waited_for_but_not_for_long() {
        let shares = Shares::new(8);
        let (alice, patience) = (owner(0), Duration::from_secs(20));
        let share = shares.take(alice, 2).unwrap();
        let at_once = shares.take_within(alice, 1, Duration::ZERO).await;
        assert!(at_once.is_none());
        let (waited, ()) = tokio::join!(shares.take_within(alice, 1, patience), async {
            tokio::task::yield_now().await;
            drop(share);
        });
        tokio::join!(shares.idle(), async { drop(waited.unwrap()) });
    }
}
