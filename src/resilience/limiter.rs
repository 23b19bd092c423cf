//! Limits that users set for each proxy, for single ones, and for all of them together: a token bucket each.
//!
//! A request takes a token of every bucket that concerns it, or none. Nothing waits here: that is the caller's choice.

use std::collections::VecDeque;
use std::fmt;

use ahash::AHashMap;
use lru::LruCache;

use crate::clock::{Clock, Micros};
use crate::proxy::Id;
use crate::proxy::liveness::{Rate, SettingsError, TokenBucket};
use crate::sync::{AtomicBool, Mutex, Ordering};

/// Buckets of proxies without a limit of their own. The least recently used goes first.
const MOST_BUCKETS: usize = 100_000;
/// Changes and refusals that are kept.
const MOST_EVENTS: usize = 1_000;

/// What a limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All proxies together: no other may carry the request either.
    Global,
    /// One proxy: another may.
    Proxy,
}

impl Scope {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Proxy => "proxy",
        }
    }
}

/// Why a request may not go now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refusal {
    /// What the limit is of.
    pub scope: Scope,
    /// Seconds until asking again makes sense. Another request may be first then.
    pub retry_after: f64,
}

/// A proxy by its identifier, or any other name that a user counts by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A proxy.
    Proxy(Id),
    /// Another name.
    Name(Box<str>),
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Id::parse(name).map_or_else(|| Self::Name(name.into()), Self::Proxy)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// So many requests in so many seconds, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Requests.
    pub requests: f64,
    /// Seconds.
    pub seconds: f64,
    /// Requests at once after a rest; by default `requests`.
    pub burst: Option<f64>,
}

impl Limit {
    fn rate(&self) -> Result<Rate, SettingsError> {
        Rate::new(self.requests, self.seconds, self.burst)
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: Micros,
    /// To which proxy.
    pub key: Key,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    /// A request was refused.
    Exceeded(Refusal),
    /// A proxy was given a limit of its own, or lost it.
    Changed(Option<Limit>),
}

struct State {
    own: AHashMap<Key, (Limit, TokenBucket)>,
    each: LruCache<Key, TokenBucket, ahash::RandomState>,
    events: VecDeque<Event>,
}

impl State {
    fn note(&mut self, at: Micros, key: Key, what: What) {
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { at, key, what });
    }
}

/// See the module. Thread-safe.
pub struct Limiter {
    each: Option<Rate>,
    global: Option<TokenBucket>,
    has_own: AtomicBool,
    // One lock, so that a refusal takes no token of any bucket, not even for a moment.
    state: Mutex<State>,
}

impl Limiter {
    /// A limit for each proxy, and one for all of them together.
    ///
    /// # Errors
    /// A number that is not positive and finite.
    pub fn new(each: Option<Limit>, global: Option<Limit>) -> Result<Self, SettingsError> {
        let rate = |limit: Option<Limit>| limit.map(|limit| limit.rate()).transpose();
        let each_bucket = LruCache::unbounded_with_hasher(crate::random::hash_key());
        let state = State { own: AHashMap::new(), each: each_bucket, events: VecDeque::new() };
        Ok(Self {
            each: rate(each)?,
            global: rate(global)?.map(TokenBucket::new),
            has_own: AtomicBool::new(false),
            state: Mutex::new(state),
        })
    }

    /// Gives a proxy a limit of its own, with a full bucket, in place of that of each; `None` takes it away.
    ///
    /// # Errors
    /// A number that is not positive and finite; nothing has changed then.
    pub fn set_own(&self, key: Key, limit: Option<Limit>, clock: &dyn Clock) -> Result<(), SettingsError> {
        let own = limit.map(|limit| Ok((limit, TokenBucket::new(limit.rate()?)))).transpose()?;
        let at = clock.wall_exact();
        let mut state = self.state.lock();
        state.each.pop(&key);
        match own {
            Some(own) => drop(state.own.insert(key.clone(), own)),
            None => drop(state.own.remove(&key)),
        }
        self.has_own.store(!state.own.is_empty(), Ordering::Relaxed);
        state.note(at, key, What::Changed(limit));
        Ok(())
    }

    /// The limits of single proxies.
    #[must_use]
    pub fn own(&self) -> Vec<(Key, Limit)> {
        self.state.lock().own.iter().map(|(key, (limit, _))| (key.clone(), *limit)).collect()
    }

    /// The latest refusals and changes, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.state.lock().events.iter().cloned().collect()
    }

    /// Names of the proxies with a bucket of the limit for each, the least recently used first.
    #[must_use]
    pub fn counted(&self) -> Vec<Key> {
        self.state.lock().each.iter().rev().map(|(key, _)| key.clone()).collect()
    }

    /// Whether [`Self::admit`] has nothing to look at.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.global.is_none() && !self.has_own.load(Ordering::Relaxed)
    }

    /// Takes a token of every bucket that concerns a proxy; `None`: the request may go.
    pub fn acquire(&self, key: &Key, clock: &dyn Clock) -> Option<Refusal> {
        self.take(key, true, clock)
    }

    /// The same but for the limit of each proxy, whose tokens a pool keeps by itself.
    #[inline]
    pub fn admit(&self, key: &Key, clock: &dyn Clock) -> Option<Refusal> {
        if self.is_idle() { None } else { self.take(key, false, clock) }
    }

    fn take(&self, key: &Key, with_each: bool, clock: &dyn Clock) -> Option<Refusal> {
        let now = clock.steady_now();
        let mut state = self.state.lock();
        let refusal = self.take_from(&mut state, key, with_each, now);
        if let Some(refusal) = refusal {
            state.note(clock.wall_exact(), key.clone(), What::Exceeded(refusal));
        }
        refusal
    }

    fn take_from(&self, state: &mut State, key: &Key, with_each: bool, now: u64) -> Option<Refusal> {
        if let Some(global) = &self.global
            && global.wait(now) > 0
        {
            return Some(refused(Scope::Global, global.wait(now)));
        }
        let taken = match (state.own.get(key), &self.each) {
            (Some((_, own)), _) => taken_from(own, now),
            (None, Some(rate)) if with_each => {
                let taken = taken_from(state.each.get_or_insert(key.clone(), || TokenBucket::new(*rate)), now);
                if state.each.len() > MOST_BUCKETS {
                    state.each.pop_lru();
                }
                taken
            }
            (None, _) => None,
        };
        if taken.is_none()
            && let Some(global) = &self.global
        {
            // Under the lock: the token that was there a moment ago still is.
            global.try_acquire(now);
        }
        taken
    }

    /// Nanoseconds until [`Self::acquire`] lets a request through, if no other comes; 0 if now. Takes nothing.
    #[must_use]
    pub fn wait(&self, key: &Key, clock: &dyn Clock) -> u64 {
        self.wait_of(key, true, clock.steady_now())
    }

    /// The same for [`Self::admit`].
    #[must_use]
    pub fn wait_to_admit(&self, key: &Key, clock: &dyn Clock) -> u64 {
        if self.is_idle() { 0 } else { self.wait_of(key, false, clock.steady_now()) }
    }

    fn wait_of(&self, key: &Key, with_each: bool, now: u64) -> u64 {
        let state = self.state.lock();
        let own = state.own.get(key).map(|(_, own)| own);
        // A bucket that is not there is full.
        let own = own.or_else(|| if with_each { state.each.peek(key) } else { None });
        [self.global.as_ref(), own].into_iter().flatten().map(|bucket| bucket.wait(now)).max().unwrap_or(0)
    }
}

fn taken_from(bucket: &TokenBucket, now: u64) -> Option<Refusal> {
    if bucket.try_acquire(now) { None } else { Some(refused(Scope::Proxy, bucket.wait(now))) }
}

fn refused(scope: Scope, wait: u64) -> Refusal {
    Refusal { scope, retry_after: wait as f64 / 1e9 }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn limit(requests: f64, seconds: f64) -> Limit {
        Limit { requests, seconds, burst: None }
    }

    fn granted(limiter: &Limiter, key: &str, clock: &ManualClock) -> usize {
        (0..10).filter(|_| limiter.acquire(&key.into(), clock).is_none()).count()
    }

    #[test]
    fn the_limit_of_each_is_one_bucket_per_proxy_and_no_matter_to_a_pool() {
        let clock = ManualClock::at(0);
        let limiter = Limiter::new(Some(limit(2.0, 10.0)), None).unwrap();
        assert_eq!((granted(&limiter, "a", &clock), granted(&limiter, "b", &clock)), (2, 2));
        assert!(limiter.is_idle() && limiter.admit(&"a".into(), &clock).is_none());
        assert_eq!(limiter.wait(&"a".into(), &clock), 5_000_000_000);
        assert_eq!((limiter.wait(&"new".into(), &clock), limiter.wait_to_admit(&"a".into(), &clock)), (0, 0));
        clock.advance(5_000_000);
        assert_eq!(granted(&limiter, "a", &clock), 1);
    }

    #[test]
    fn a_refusal_takes_no_token_of_the_other_bucket() {
        let clock = ManualClock::at(0);
        let limiter = Limiter::new(None, Some(limit(3.0, 60.0))).unwrap();
        limiter.set_own("a".into(), Some(limit(1.0, 30.0)), &clock).unwrap();
        assert!(!limiter.is_idle());
        assert!(limiter.admit(&"a".into(), &clock).is_none());
        assert_eq!(limiter.admit(&"a".into(), &clock), Some(Refusal { scope: Scope::Proxy, retry_after: 30.0 }));
        assert_eq!(granted(&limiter, "b", &clock), 2, "the refused request has left the common token");
        let refusal = limiter.acquire(&"b".into(), &clock);
        assert_eq!(refusal, Some(Refusal { scope: Scope::Global, retry_after: 20.0 }));
        assert_eq!(limiter.wait_to_admit(&"a".into(), &clock), 30_000_000_000, "the later of both");
    }

    #[test]
    fn an_own_limit_is_full_at_first_and_goes_again() {
        let clock = ManualClock::at(7);
        let limiter = Limiter::new(Some(limit(1.0, 60.0)), None).unwrap();
        assert_eq!(granted(&limiter, "a", &clock), 1);
        limiter.set_own("a".into(), Some(limit(3.0, 60.0)), &clock).unwrap();
        assert_eq!(granted(&limiter, "a", &clock), 3);
        assert!(limiter.set_own("a".into(), Some(limit(0.0, 1.0)), &clock).is_err());
        assert_eq!(limiter.own(), [("a".into(), limit(3.0, 60.0))]);
        limiter.set_own("a".into(), None, &clock).unwrap();
        assert!(limiter.is_idle() && limiter.own().is_empty());
        assert_eq!(granted(&limiter, "a", &clock), 1);
        let changes: Vec<_> =
            limiter.events().into_iter().filter(|event| matches!(event.what, What::Changed(_))).collect();
        let changed = |what| Event { at: 7, key: "a".into(), what: What::Changed(what) };
        assert_eq!(changes, [changed(Some(limit(3.0, 60.0))), changed(None)]);
    }

    #[test]
    fn buckets_and_events_are_bounded() {
        let clock = ManualClock::at(0);
        let limiter = Limiter::new(Some(limit(1.0, 1e6)), None).unwrap();
        for number in 0..MOST_BUCKETS + 3 {
            assert!(limiter.acquire(&number.to_string().as_str().into(), &clock).is_none());
        }
        let counted = limiter.counted();
        assert_eq!((counted.len(), &counted[0]), (MOST_BUCKETS, &Key::from("3")));
        for _ in 0..MOST_EVENTS + 5 {
            assert!(limiter.acquire(&"9".into(), &clock).is_some());
        }
        assert_eq!(limiter.events().len(), MOST_EVENTS);
    }

    #[test]
    fn an_identifier_is_one_key_however_it_is_written() {
        let id = Id::from_u128(5);
        assert_eq!(Key::from(id.to_string().as_str()), Key::Proxy(id));
        assert_eq!(Key::Proxy(id).to_string(), id.to_string());
        assert_eq!(Key::from("shop").to_string(), "shop");
    }
}
