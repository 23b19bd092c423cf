//! Connections by [`Identity`]: the idle ones, and how many are in use.
//!
//! Of one identity the connection that was used last is taken first (LIFO), so that the others grow old and go. Where
//! there is no room, the idle connection that was used least recently (of all) gives way. A session has its own to each
//! proxy, so it is counted with it: see [`Whose`]. No I/O and no lock: what is to be closed is handed back, to be dropped
//! outside of the caller's lock.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use ahash::AHashMap;
use lru::LruCache;
use smallvec::SmallVec;

use super::route::{Identity, Whose};

/// Bounds of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most connections, idle ones included.
    pub open: usize,
    /// Most connections to one proxy (or without one, to all sites together), idle ones included; a session's by
    /// themselves.
    pub open_per_proxy: usize,
    /// Most idle ones.
    pub idle: usize,
    /// Most idle ones to one proxy; a session's by themselves.
    pub idle_per_proxy: usize,
    /// Most proxies with idle connections, each session's counted by themselves.
    pub proxies: usize,
    /// How long an idle one is kept; `None` for ever.
    pub keep_alive: Option<Duration>,
}

impl Default for Bounds {
    /// As httpx: 20 idle ones, 5 seconds. Those in use are bounded by the leases.
    fn default() -> Self {
        Self {
            open: usize::MAX,
            open_per_proxy: usize::MAX,
            idle: usize::MAX,
            idle_per_proxy: 20,
            proxies: 2000,
            keep_alive: Some(Duration::from_secs(5)),
        }
    }
}

/// Once is bad luck: the other side may end idle connections after a while. Twice, without a request over one of them in
/// between, is its habit: none are kept for [`HABIT`].
const STALE_ENOUGH: u32 = 2;
/// Nanoseconds: a minute.
const HABIT: u64 = 60_000_000_000;
/// Most idle connections that are looked at together: each has a bit in a word.
pub const SWEPT: usize = u64::BITS as usize;
/// Identities whose habits are known.
const HABITS: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// Where an idle connection is: the moment at which it became idle, and a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64, u64);

/// The connections of one driver; `T` is a connection.
#[derive(Debug)]
pub struct Connections<T> {
    bounds: Bounds,
    lots: AHashMap<Identity, Lot<T>>,
    tallies: AHashMap<Whose, Tally>,
    oldest: BTreeMap<Place, Identity>,
    next: u64,
    /// Where the next look at idle ones begins.
    swept: Place,
    open: usize,
    proxies_with_idle: usize,
    /// How many idle connections were found closed, and when the last was.
    stale: LruCache<Identity, (u32, u64)>,
}

/// The connections of one identity.
#[derive(Debug)]
struct Lot<T> {
    /// The last is the one used last.
    idle: Vec<(Place, T)>,
    used: usize,
    /// Grows with each eviction: connections in use before are not kept.
    epoch: u64,
}

impl<T> Default for Lot<T> {
    fn default() -> Self {
        Self { idle: Vec::new(), used: 0, epoch: 0 }
    }
}

#[derive(Debug, Default)]
struct Tally {
    open: usize,
    idle: usize,
}

/// The right to one connection: it counts as in use until it is given back.
#[derive(Debug)]
#[must_use = "without `put_back` or `close` the connection counts for ever"]
pub struct Ticket {
    identity: Identity,
    epoch: u64,
    is_reused: bool,
}

impl Ticket {
    /// What the connection is fit for.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// What there is for a request.
#[derive(Debug)]
pub enum Checkout<T> {
    /// An idle connection.
    Idle(Ticket, T),
    /// Room for a new one.
    Room(Ticket),
    /// Neither: every connection that counts is in use.
    Full,
}

/// Connections to be closed.
pub type Leaving<T> = SmallVec<[T; 2]>;

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub open: usize,
    /// Of these, the idle ones.
    pub idle: usize,
}

impl<T> Connections<T> {
    /// None, within those bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lots: AHashMap::new(),
            tallies: AHashMap::new(),
            oldest: BTreeMap::new(),
            next: 0,
            swept: Place(0, 0),
            open: 0,
            proxies_with_idle: 0,
            stale: LruCache::new(HABITS),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { open: self.open, idle: self.oldest.len() }
    }

    /// Takes an idle connection, or room for a new one. `fresh`: no idle one will do.
    pub fn check_out(&mut self, identity: &Identity, fresh: bool, now: u64, leaving: &mut Leaving<T>) -> Checkout<T> {
        self.expire(now, leaving);
        if !fresh
            && let Some(lot) = self.lots.get_mut(identity)
            && let Some((at, connection)) = lot.idle.pop()
        {
            lot.used += 1;
            let ticket = Ticket { identity: identity.clone(), epoch: lot.epoch, is_reused: true };
            self.oldest.remove(&at);
            self.count_idle(identity.whose(), false);
            return Checkout::Idle(ticket, connection);
        }
        if !self.make_room(identity.whose(), leaving) {
            return Checkout::Full;
        }
        self.open += 1;
        self.tallies.entry(identity.whose()).or_default().open += 1;
        let lot = self.lots.entry(identity.clone()).or_default();
        lot.used += 1;
        Checkout::Room(Ticket { identity: identity.clone(), epoch: lot.epoch, is_reused: false })
    }

    /// Gives a connection back that can serve another request.
    /// Where it is then, if it is kept.
    pub fn put_back(&mut self, ticket: Ticket, connection: T, now: u64, leaving: &mut Leaving<T>) -> Option<Place> {
        self.expire(now, leaving);
        let whose = ticket.identity.whose();
        if ticket.is_reused && !self.stale.is_empty() {
            self.stale.pop(&ticket.identity);
        }
        let is_kept = self.lots.get(&ticket.identity).is_some_and(|lot| lot.epoch == ticket.epoch)
            && !self.closes_idle_ones(&ticket.identity, now)
            && self.bounds.idle > 0
            && self.bounds.idle_per_proxy > 0
            && self.bounds.keep_alive != Some(Duration::ZERO);
        if !is_kept {
            leaving.push(connection);
            self.close(ticket);
            return None;
        }
        let identity = ticket.identity;
        if self.tallies.entry(whose).or_default().idle >= self.bounds.idle_per_proxy {
            self.drop_oldest_of(whose, leaving);
        }
        let at = Place(now, self.next);
        self.next += 1;
        if let Some(lot) = self.lots.get_mut(&identity) {
            lot.used -= 1;
            lot.idle.push((at, connection));
        }
        self.oldest.insert(at, identity);
        self.count_idle(whose, true);
        while self.proxies_with_idle > self.bounds.proxies || self.oldest.len() > self.bounds.idle {
            self.drop_oldest(leaving);
        }
        self.oldest.contains_key(&at).then_some(at)
    }

    /// A connection that was in use is closed.
    pub fn close(&mut self, ticket: Ticket) {
        let identity = ticket.identity;
        if let Some(lot) = self.lots.get_mut(&identity) {
            lot.used -= 1;
            if lot.used == 0 && lot.idle.is_empty() {
                self.lots.remove(&identity);
            }
        }
        self.count_closed(identity.whose());
    }

    /// An idle connection was found closed by the other side.
    pub fn note_stale(&mut self, identity: &Identity, now: u64) {
        let (count, last) = self.stale.get_or_insert_mut(identity.clone(), || (0, now));
        *count = count.saturating_add(1);
        *last = now;
    }

    fn closes_idle_ones(&mut self, identity: &Identity, now: u64) -> bool {
        !self.stale.is_empty()
            && self.stale.get(identity).is_some_and(|(count, last)| *count >= STALE_ENOUGH && now < last + HABIT)
    }

    /// Closes what is idle of one identity, and keeps nothing of it that is in use.
    pub fn evict(&mut self, identity: &Identity, leaving: &mut Leaving<T>) {
        self.evict_where(|found| found == identity, leaving);
    }

    /// The same, of a proxy.
    pub fn evict_proxy(&mut self, id: u128, leaving: &mut Leaving<T>) {
        self.evict_where(|found| found.proxy_id() == Some(id), leaving);
    }

    /// The same, of a session.
    pub fn evict_owner(&mut self, owner: u64, leaving: &mut Leaving<T>) {
        self.evict_where(|found| found.owner() == Some(owner), leaving);
    }

    /// The same, of all.
    pub fn evict_all(&mut self, leaving: &mut Leaving<T>) {
        self.evict_where(|_| true, leaving);
    }

    /// Closes those that have been idle for too long.
    pub fn expire(&mut self, now: u64, leaving: &mut Leaving<T>) {
        let Some(keep) = self.bounds.keep_alive else { return };
        let keep = u64::try_from(keep.as_nanos()).unwrap_or(u64::MAX);
        while let Some((&Place(since, _), _)) = self.oldest.first_key_value()
            && since.saturating_add(keep) <= now
        {
            self.drop_oldest(leaving);
        }
    }

    /// When the next idle connection is to be closed.
    #[must_use]
    pub fn next_expiry(&self) -> Option<u64> {
        let keep = u64::try_from(self.bounds.keep_alive?.as_nanos()).unwrap_or(u64::MAX);
        self.oldest.first_key_value().map(|(Place(since, _), _)| since.saturating_add(keep))
    }

    /// Closes an idle connection.
    pub fn close_idle(&mut self, at: Place, leaving: &mut Leaving<T>) {
        self.drop_idle(at, leaving);
    }

    /// Looks at the next few idle connections, in turn, and closes those of which `have_ended` says that the other side
    /// has closed them.
    pub fn sweep(&mut self, most: usize, have_ended: impl FnOnce(&[&T]) -> u64, leaving: &mut Leaving<T>) {
        let mut places: SmallVec<[Place; SWEPT]> = SmallVec::new();
        let mut looked_at: SmallVec<[&T; SWEPT]> = SmallVec::new();
        let most = most.min(SWEPT);
        for (at, identity) in self.oldest.range(self.swept..).take(most) {
            let lot = self.lots.get(identity).map_or(&[][..], |lot| &lot.idle);
            if let Some((_, connection)) = lot.iter().find(|(found, _)| found == at) {
                places.push(*at);
                looked_at.push(connection);
            }
        }
        let ended = if places.is_empty() { 0 } else { have_ended(&looked_at) };
        drop(looked_at);
        self.swept = match places.last() {
            Some(Place(since, number)) if places.len() == most => Place(*since, number + 1),
            _ => Place(0, 0),
        };
        for (index, at) in places.into_iter().enumerate() {
            if ended >> index & 1 == 1 {
                self.drop_idle(at, leaving);
            }
        }
    }

    fn evict_where(&mut self, is_meant: impl Fn(&Identity) -> bool, leaving: &mut Leaving<T>) {
        let meant: Vec<Identity> = self.lots.keys().filter(|found| is_meant(found)).cloned().collect();
        for identity in meant {
            let Some(lot) = self.lots.get_mut(&identity) else { continue };
            lot.epoch += 1;
            let idle = std::mem::take(&mut lot.idle);
            if lot.used == 0 {
                self.lots.remove(&identity);
            }
            for (at, connection) in idle {
                self.oldest.remove(&at);
                self.count_idle(identity.whose(), false);
                self.count_closed(identity.whose());
                leaving.push(connection);
            }
        }
    }

    /// Makes room for one more connection by closing idle ones.
    fn make_room(&mut self, whose: Whose, leaving: &mut Leaving<T>) -> bool {
        while self.tallies.get(&whose).is_some_and(|tally| tally.open >= self.bounds.open_per_proxy) {
            if !self.drop_oldest_of(whose, leaving) {
                return false;
            }
        }
        while self.open >= self.bounds.open {
            if !self.drop_oldest(leaving) {
                return false;
            }
        }
        true
    }

    fn drop_oldest(&mut self, leaving: &mut Leaving<T>) -> bool {
        let Some((&at, _)) = self.oldest.first_key_value() else { return false };
        self.drop_idle(at, leaving)
    }

    /// Rare: a proxy has more connections than its bound.
    fn drop_oldest_of(&mut self, whose: Whose, leaving: &mut Leaving<T>) -> bool {
        if self.tallies.get(&whose).is_none_or(|tally| tally.idle == 0) {
            return false;
        }
        let Some(at) = self.oldest.iter().find(|(_, found)| found.whose() == whose).map(|(at, _)| *at) else {
            return false;
        };
        self.drop_idle(at, leaving)
    }

    fn drop_idle(&mut self, at: Place, leaving: &mut Leaving<T>) -> bool {
        let Some(identity) = self.oldest.remove(&at) else { return false };
        if let Some(lot) = self.lots.get_mut(&identity) {
            if let Some(place) = lot.idle.iter().position(|(found, _)| *found == at) {
                leaving.push(lot.idle.remove(place).1);
            }
            if lot.used == 0 && lot.idle.is_empty() {
                self.lots.remove(&identity);
            }
        }
        self.count_idle(identity.whose(), false);
        self.count_closed(identity.whose());
        true
    }

    fn count_idle(&mut self, whose: Whose, is_more: bool) {
        let Some(tally) = self.tallies.get_mut(&whose) else { return };
        if is_more {
            tally.idle += 1;
            self.proxies_with_idle += usize::from(tally.idle == 1);
        } else {
            tally.idle -= 1;
            self.proxies_with_idle -= usize::from(tally.idle == 0);
        }
    }

    fn count_closed(&mut self, whose: Whose) {
        self.open -= 1;
        let Some(tally) = self.tallies.get_mut(&whose) else { return };
        tally.open -= 1;
        if tally.open == 0 {
            self.tallies.remove(&whose);
        }
    }
}
