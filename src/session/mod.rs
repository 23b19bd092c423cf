//! Sticky assignments: which proxy serves a session, and until when.
//!
//! Sessions live in shards under one short lock each. The bound on their number is over all shards. One count of uses
//! orders evictions, so that exactly the least recently used session leaves, whichever shard it is in.

use std::hash::{Hash, Hasher};

use lru::LruCache;

use crate::clock::{Clock, Micros};
use crate::pool::query::{Choice, Query};
use crate::proxy::{Id, Proxy};
use crate::sync::{Arc, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering};

const SHARDS: usize = 16;
const SECOND: Micros = 1_000_000;

/// One session. Its fields may be read and written from any thread.
#[derive(Debug)]
pub struct Session {
    /// The user's name for it.
    pub id: Box<str>,
    proxy: [AtomicU64; 2],
    slot: AtomicU32,
    created: AtomicI64,
    expires: AtomicI64,
    last_used: AtomicI64,
    requests: AtomicU64,
    // Seconds by which each use moves the end; zero where the end is fixed.
    slide: AtomicI64,
}

impl Session {
    /// A session of that name with that proxy until `expires`.
    #[must_use]
    pub fn new(id: &str, proxy: Id, created: Micros, expires: Micros, slide: i64) -> Self {
        Self {
            id: id.into(),
            proxy: [AtomicU64::new(proxy.0), AtomicU64::new(proxy.1)],
            slot: AtomicU32::new(u32::MAX),
            created: AtomicI64::new(created),
            expires: AtomicI64::new(expires),
            last_used: AtomicI64::new(created),
            requests: AtomicU64::new(0),
            slide: AtomicI64::new(slide),
        }
    }

    /// The proxy that serves it.
    #[must_use]
    pub fn proxy_id(&self) -> Id {
        Id(self.proxy[0].load(Ordering::Relaxed), self.proxy[1].load(Ordering::Relaxed))
    }

    /// When it began, when it ends, when it was used last.
    #[must_use]
    pub fn times(&self) -> (Micros, Micros, Micros) {
        (
            self.created.load(Ordering::Relaxed),
            self.expires.load(Ordering::Relaxed),
            self.last_used.load(Ordering::Relaxed),
        )
    }

    /// Sets when it ends.
    pub fn set_expires(&self, at: Micros) {
        self.expires.store(at, Ordering::Relaxed);
    }

    /// Sets when it was used last.
    pub fn set_last_used(&self, at: Micros) {
        self.last_used.store(at, Ordering::Relaxed);
    }

    /// Requests made in it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sets the number of requests made in it.
    pub fn set_requests(&self, count: u64) {
        self.requests.store(count, Ordering::Relaxed);
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, clock: &dyn Clock) -> bool {
        clock.wall() >= self.expires.load(Ordering::Relaxed)
    }

    /// Counts one use, and moves the end where it slides.
    pub fn touch(&self, clock: &dyn Clock) {
        let now = clock.wall_exact();
        self.last_used.store(now, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        let slide = self.slide.load(Ordering::Relaxed);
        if slide > 0 {
            self.expires.store(now.saturating_add(slide.saturating_mul(SECOND)), Ordering::Relaxed);
        }
    }

    /// Where its proxy is in the query's table, if it still is in the pool.
    #[must_use]
    pub fn slot(&self, query: &Query<'_>) -> Option<u32> {
        let id = self.proxy_id();
        // A proxy that left and came back is in another slot, and the slot it left still shows it.
        let here = |slot: u32| {
            query.table().all.members.contains(slot as usize)
                && query.proxy(Choice(slot)).is_some_and(|proxy| proxy.id() == id)
        };
        let hint = self.slot.load(Ordering::Relaxed);
        if here(hint) {
            return Some(hint);
        }
        let (table, slot) = query.pool().find(id)?;
        if !Arc::ptr_eq(&table, query.table()) {
            // The pool was rebuilt in this very moment. Rare enough to search the table the query has: a session must not
            // move for that.
            return (0..query.table().len() as u32).find(|slot| here(*slot));
        }
        self.slot.store(slot, Ordering::Relaxed);
        Some(slot)
    }

    /// Remembers where its proxy is.
    pub fn remember(&self, choice: Choice) {
        self.slot.store(choice.0, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Kept {
    session: Arc<Session>,
    used: u64,
}

type Shard = LruCache<Box<str>, Kept, ahash::RandomState>;

/// All sessions of one strategy or rotator. All methods may be called from any thread.
#[derive(Debug)]
pub struct SessionManager {
    shards: Box<[Mutex<Shard>]>,
    max: usize,
    cleanup_every: u64,
    made: AtomicU64,
    uses: AtomicU64,
    count: AtomicUsize,
}

impl Default for SessionManager {
    fn default() -> Self {
        Self::new(10_000, 100)
    }
}

impl SessionManager {
    /// At most `max` sessions; the expired are purged every `cleanup_every` new ones.
    #[must_use]
    pub fn new(max: usize, cleanup_every: u64) -> Self {
        let shard = || Mutex::new(LruCache::unbounded_with_hasher(crate::random::hash_key()));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            max: max.max(1),
            cleanup_every: cleanup_every.max(1),
            made: AtomicU64::new(0),
            uses: AtomicU64::new(0),
            count: AtomicUsize::new(0),
        }
    }

    fn shard(&self, id: &str) -> &Mutex<Shard> {
        let mut hasher = crate::random::hasher();
        id.hash(&mut hasher);
        // The map inside uses the same hash from its other end.
        &self.shards[(hasher.finish() >> 32) as usize % SHARDS]
    }

    /// Bounds and present number: (number, most, purge interval).
    #[must_use]
    pub fn stats(&self) -> (usize, usize, u64) {
        (self.count.load(Ordering::Relaxed), self.max, self.cleanup_every)
    }

    /// The live session of that name; an expired one is removed. Counts as a use in the order of eviction.
    #[must_use]
    pub fn find(&self, id: &str, clock: &dyn Clock) -> Option<Arc<Session>> {
        let mut shard = self.shard(id).lock();
        let kept = shard.get_mut(id)?;
        if kept.session.is_expired(clock) {
            shard.pop(id);
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        kept.used = self.uses.fetch_add(1, Ordering::Relaxed);
        Some(kept.session.clone())
    }

    /// Binds a session to a proxy for `ttl` seconds, replacing one of the same name.
    pub fn bind(&self, id: &str, proxy: &Proxy, ttl: i64, sliding: bool, clock: &dyn Clock) -> Arc<Session> {
        self.bind_unless(id, proxy, ttl, sliding, clock, |_| false).0
    }

    /// Binds a session to a proxy as [`Self::bind`] does, unless a live one of that name is there which `holds`: then
    /// returns that. The second value is whether it was bound now.
    pub fn bind_unless(
        &self,
        id: &str,
        proxy: &Proxy,
        ttl: i64,
        sliding: bool,
        clock: &dyn Clock,
        holds: impl Fn(&Arc<Session>) -> bool,
    ) -> (Arc<Session>, bool) {
        let now = clock.wall_exact();
        let expires = now.saturating_add(ttl.saturating_mul(SECOND));
        let session = Arc::new(Session::new(id, proxy.id(), now, expires, if sliding { ttl } else { 0 }));
        let above = {
            let mut shard = self.shard(id).lock();
            if let Some(kept) = shard.peek(id).filter(|kept| !kept.session.is_expired(clock) && holds(&kept.session)) {
                return (kept.session.clone(), false);
            }
            // The count of uses and that of sessions change under the lock, so that they agree with the shard's order and
            // never fall below zero.
            let used = self.uses.fetch_add(1, Ordering::Relaxed);
            let new = shard.put(session.id.clone(), Kept { session: session.clone(), used }).is_none();
            new && self.count.fetch_add(1, Ordering::Relaxed) >= self.max
        };
        if above {
            self.evict();
        }
        if self.made.fetch_add(1, Ordering::Relaxed) % self.cleanup_every == self.cleanup_every - 1 {
            self.cleanup(clock);
        }
        (session, true)
    }

    fn evict(&self) {
        // One shard at a time: no two locks are ever held together.
        let oldest = self
            .shards
            .iter()
            .filter_map(|shard| shard.lock().peek_lru().map(|(_, kept)| kept.used).map(|used| (used, shard)))
            .min_by_key(|(used, _)| *used);
        if let Some((_, shard)) = oldest
            && shard.lock().pop_lru().is_some()
        {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Removes a session; whether there was one.
    pub fn remove(&self, id: &str) -> bool {
        let found = self.shard(id).lock().pop(id).is_some();
        if found {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        found
    }

    /// Counts a use of a live session; whether there was one.
    pub fn touch(&self, id: &str, clock: &dyn Clock) -> bool {
        self.find(id, clock).is_some_and(|session| {
            session.touch(clock);
            true
        })
    }

    /// Removes the expired sessions; their number.
    pub fn cleanup(&self, clock: &dyn Clock) -> usize {
        self.remove_where(|session| session.is_expired(clock))
    }

    /// Removes every session for which `drop_it` says so; their number.
    pub fn remove_where(&self, drop_it: impl Fn(&Session) -> bool) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut shard = shard.lock();
            let doomed: Vec<Box<str>> =
                shard.iter().filter(|(_, kept)| drop_it(&kept.session)).map(|(id, _)| id.clone()).collect();
            for id in doomed {
                shard.pop(&id);
                removed += 1;
            }
        }
        self.count.fetch_sub(removed, Ordering::Relaxed);
        removed
    }

    /// The live sessions, the least recently used first; the expired are removed.
    #[must_use]
    pub fn all(&self, clock: &dyn Clock) -> Vec<Arc<Session>> {
        self.cleanup(clock);
        let mut all: Vec<(u64, Arc<Session>)> = Vec::new();
        for shard in &self.shards {
            all.extend(shard.lock().iter().map(|(_, kept)| (kept.used, kept.session.clone())));
        }
        all.sort_unstable_by_key(|(used, _)| *used);
        all.into_iter().map(|(_, session)| session).collect()
    }

    /// Removes all sessions.
    pub fn clear(&self) {
        self.remove_where(|_| true);
    }
}
