//! Names of proxies, resolved once for all proxies of a host.

use std::net::{IpAddr, SocketAddr};

use ahash::AHashMap;
use lru::LruCache;
use smallvec::SmallVec;

use super::inbox::Inbox;
use crate::clock::{Clock, SystemClock};
use crate::drive::names::look_up;
use crate::sync::{Arc, Mutex};
use crate::wire::error::Error;

const MOST: usize = 65_536;
const KEPT: u64 = 60_000_000_000;
const KEPT_FAILURE: u64 = 10_000_000_000;
/// Addresses of one name that are tried.
const TRIED: usize = 8;

/// Addresses of a host; none if its name leads nowhere.
pub(super) type Found = SmallVec<[IpAddr; 2]>;

/// What there is of a name.
pub(super) enum Lookup {
    Found(Found),
    /// It is being looked up; the inbox is told when that is over.
    Asked,
    /// Too many look-ups are under way.
    Busy,
}

pub(super) struct Names(Mutex<State>);

struct State {
    known: LruCache<Box<str>, (u64, Found)>,
    /// Those who wait for names that are being looked up.
    asked: AHashMap<Box<str>, Vec<(Arc<Inbox>, usize)>>,
}

impl Names {
    pub(super) fn new() -> Self {
        // Bounded by hand: a bounded one reserves its memory at once.
        Self(Mutex::new(State { known: LruCache::unbounded(), asked: AHashMap::new() }))
    }

    /// The addresses of a host, for a check of that number.
    pub(super) fn resolve(self: &Arc<Self>, host: &str, inbox: &Arc<Inbox>, number: usize) -> Lookup {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Lookup::Found(smallvec::smallvec![ip]);
        }
        let mut state = self.0.lock();
        if let Some((until, found)) = state.known.get(host)
            && SystemClock.steady() < *until
        {
            return Lookup::Found(found.clone());
        }
        let waiter = (Arc::clone(inbox), number);
        if let Some(waiters) = state.asked.get_mut(host) {
            waiters.push(waiter);
            return Lookup::Asked;
        }
        state.asked.insert(host.into(), vec![waiter]);
        drop(state);
        let (names, name) = (Arc::clone(self), Box::<str>::from(host));
        // No thread to be had is a shortage as well.
        if look_up(host, 0, move |found| names.found(name, found)).unwrap_or(false) {
            return Lookup::Asked;
        }
        let left_behind = self.0.lock().asked.remove(host).unwrap_or_default();
        for (inbox, other) in left_behind {
            // The caller asks again by itself.
            if other != number {
                inbox.look_at(other);
            }
        }
        Lookup::Busy
    }

    fn found(&self, name: Box<str>, found: Result<Vec<SocketAddr>, Error>) {
        let mut addresses: Found = found.unwrap_or_default().iter().map(SocketAddr::ip).take(TRIED).collect();
        addresses.dedup();
        let kept = if addresses.is_empty() { KEPT_FAILURE } else { KEPT };
        let waiters = {
            let mut state = self.0.lock();
            let waiters = state.asked.remove(&name).unwrap_or_default();
            state.known.put(name, (SystemClock.steady() + kept, addresses));
            if state.known.len() > MOST {
                state.known.pop_lru();
            }
            waiters
        };
        for (inbox, number) in waiters {
            inbox.look_at(number);
        }
    }
}
