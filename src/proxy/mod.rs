//! One proxy: where it is, what it has carried, how it fared.

pub mod address;
pub mod cold;
pub mod health;
mod window;

use std::fmt;

use compact_str::CompactString;
use smallvec::SmallVec;

use crate::clock::{Clock, Micros};
use crate::pool::Pool;
use crate::sync::{Arc, AtomicF64, AtomicI64, AtomicU8, AtomicU64, Mutex, Ordering, Weak};
use address::{Address, Credentials, Protocol, escape};
use cold::{Cold, DEFAULT_ALPHA, DEFAULT_WINDOW};
use health::{Health, Source, reason};
use window::SlidingCount;

/// "No such time" in an atomic word.
const NEVER: i64 = i64::MIN;

/// A proxy's 128-bit identifier (a UUID), as two words that order like its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64, pub u64);

impl Id {
    /// A random identifier.
    #[must_use]
    pub fn random() -> Self {
        Self::from_u128(
            uuid::Builder::from_u128((u128::from(crate::random::next()) << 64) | u128::from(crate::random::next()))
                .with_version(uuid::Version::Random)
                .with_variant(uuid::Variant::RFC4122)
                .into_uuid()
                .as_u128(),
        )
    }

    /// From the number a UUID stands for.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        Self((number >> 64) as u64, number as u64)
    }

    /// The number a UUID stands for.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        ((self.0 as u128) << 64) | self.1 as u128
    }

    /// Reads a UUID in any of its usual notations.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(|uuid| Self::from_u128(uuid.as_u128()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.as_u128()).hyphenated().fmt(f)
    }
}

/// Kinds of derived state that somebody keeps about a proxy and that must hear of changes.
pub(crate) mod watch {
    /// Weights by latency average.
    pub(crate) const LATENCY: u8 = 1;
    /// Weights by success rate.
    pub(crate) const RATE: u8 = 1 << 1;
    /// Orders by use: hear of counts that fall.
    pub(crate) const COUNTS: u8 = 1 << 2;
    /// Sets of proxies with few results: hear of totals that fall.
    pub(crate) const TOTALS: u8 = 1 << 3;
}

/// Fields away from their default: only then does the hot path look into the cold part.
mod flag {
    pub(super) const ALPHA: u8 = 1;
    pub(super) const WINDOW: u8 = 1 << 1;
    pub(super) const EXPIRY: u8 = 1 << 2;
    pub(super) const COST: u8 = 1 << 3;
    /// The two documented averages differ, because one was assigned.
    pub(super) const AVERAGE: u8 = 1 << 4;
}

/// Which pools hold the proxy.
#[derive(Debug, Default)]
enum Homes {
    #[default]
    None,
    One(Weak<Pool>),
    // One word: a proxy in two pools is rare, and every proxy pays for the size of this.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Weak<Pool>>>),
}

#[derive(Debug)]
struct Inner {
    protocol: Protocol,
    authority: CompactString,
    homes: Homes,
    cold: Option<Box<Cold>>,
}

/// One proxy. All methods may be called from any thread; counters are atomics and no reader of them takes a lock.
///
/// The fields that a selection reads and writes come first and share a cache line.
#[repr(C)]
pub struct Proxy {
    state: AtomicU64,
    flags: AtomicU8,
    watch: AtomicU8,
    source: AtomicU8,
    // Starts and ends since the proxy was made. What users see are differences: those in the window start at a base,
    // and what is in flight is their difference, so that a start and an end are one atomic step each.
    started: AtomicU64,
    finished: AtomicU64,
    // Ends without a start, and what users have written into the number in flight.
    in_flight_offset: AtomicI64,
    window_start: AtomicI64,
    minute: window::Minute,
    updated: AtomicI64,

    ema: AtomicF64,
    successes: AtomicU64,
    failures: AtomicU64,
    // Results that are neither, and what users have written into the total.
    others: AtomicI64,
    last_success: AtomicI64,
    started_base: AtomicU64,
    finished_base: AtomicU64,

    latency: AtomicF64,
    average: AtomicF64,
    last_failure: AtomicI64,
    created: AtomicI64,
    sliding: OncePointer<SlidingCount>,
    id: [AtomicU64; 2],
    inner: Mutex<Inner>,
}

/// Reasons (the lowest 24 bits), health (8) and failures in a row (32) in one word: health follows from failures, and
/// eligibility from health, so two threads that end requests at once must not each write a part.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State(u64);

impl State {
    const NEW: Self = Self((Health::Unknown as u64) << 24);
    const REASONS: u64 = 0xff_ffff;

    fn reasons(self) -> u32 {
        (self.0 & Self::REASONS) as u32
    }

    fn health(self) -> Health {
        Health::from_number((self.0 >> 24) as u8)
    }

    fn failures(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn with_failures(self, in_a_row: u32) -> Self {
        Self(self.0 & 0xffff_ffff | u64::from(in_a_row) << 32)
    }

    fn with_health(self, health: Health) -> Self {
        let reason = if health.is_usable() { 0 } else { u64::from(reason::UNHEALTHY) };
        Self(self.0 & !(0xff << 24) & !u64::from(reason::UNHEALTHY) | (health as u64) << 24 | reason)
    }

    fn with_reason(self, bit: u32, on: bool) -> Self {
        let bit = u64::from(bit) & Self::REASONS;
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}

/// A box made at most once, one word wide.
pub(crate) struct OncePointer<T>(crate::sync::AtomicPtr<T>);

impl<T> OncePointer<T> {
    fn empty() -> Self {
        Self(crate::sync::AtomicPtr::new(std::ptr::null_mut()))
    }

    fn get(&self) -> Option<&T> {
        // SAFETY: a non-null pointer came from `Box::into_raw` in `get_or_init` and is freed only by `drop`, which
        // has the cell to itself. Acquire pairs with the release there, so the value is seen whole.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let made = Box::into_raw(Box::new(make()));
        match self.0.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: as in `get`; this thread has just published it.
            Ok(_) => unsafe { &*made },
            Err(theirs) => {
                // SAFETY: `made` was never shared; `theirs` is published.
                unsafe {
                    drop(Box::from_raw(made));
                    &*theirs
                }
            }
        }
    }
}

impl<T> Drop for OncePointer<T> {
    fn drop(&mut self) {
        let pointer = self.0.load(Ordering::Acquire);
        if !pointer.is_null() {
            // SAFETY: made by `Box::into_raw`, and nobody else has the cell any more.
            unsafe { drop(Box::from_raw(pointer)) };
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("id", &self.id().to_string())
            .field("url", &self.masked_url())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// What a request's end does to a proxy's books.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It carried the request; milliseconds to the answer.
    Success(f64),
    /// It did not; milliseconds until that was known.
    Failure(f64),
    /// It did, but the site refused it: counted, neither success nor failure, and no failure in a row any more.
    Refused,
    /// The fault was elsewhere: counted, and nothing else.
    Elsewhere,
}

impl Proxy {
    /// A proxy at that address, created at `now`, with a random identifier.
    #[must_use]
    pub fn new(address: &Address, source: Source, now: Micros) -> Self {
        let cold = address
            .credentials
            .as_ref()
            .map(|login| Box::new(Cold { credentials: Some(login.clone()), ..Cold::default() }));
        Self {
            state: AtomicU64::new(State::NEW.0),
            flags: AtomicU8::new(0),
            watch: AtomicU8::new(0),
            source: AtomicU8::new(source as u8),
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            started_base: AtomicU64::new(0),
            window_start: AtomicI64::new(NEVER),
            minute: window::Minute::new(),
            updated: AtomicI64::new(now),
            ema: AtomicF64::none(),
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            others: AtomicI64::new(0),
            last_success: AtomicI64::new(NEVER),
            in_flight_offset: AtomicI64::new(0),
            finished_base: AtomicU64::new(0),
            latency: AtomicF64::none(),
            average: AtomicF64::none(),
            last_failure: AtomicI64::new(NEVER),
            created: AtomicI64::new(now),
            sliding: OncePointer::empty(),
            id: {
                let id = Id::random();
                [AtomicU64::new(id.0), AtomicU64::new(id.1)]
            },
            inner: Mutex::new(Inner {
                protocol: address.protocol,
                authority: address.authority(),
                homes: Homes::None,
                cold,
            }),
        }
    }

    // ---- eligibility -------------------------------------------------------------------------------------------

    fn state(&self) -> State {
        // Acquire pairs with the release in `change`: who sees a reason gone sees why.
        State(self.state.load(Ordering::Acquire))
    }

    /// Changes the state in one step, and tells the pools that hold the proxy when its eligibility has changed.
    fn change(&self, change: impl Fn(State) -> State) -> State {
        let mut before = self.state();
        let after = loop {
            let after = change(before);
            if after == before {
                return after;
            }
            match self.state.compare_exchange_weak(before.0, after.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break after,
                Err(now) => before = State(now),
            }
        };
        if (before.reasons() == 0) != (after.reasons() == 0) {
            self.refresh();
        }
        after
    }

    /// The reasons against it; zero means eligible.
    #[inline]
    #[must_use]
    pub fn reasons(&self) -> u32 {
        self.state().reasons()
    }

    /// Sets or clears one reason, and tells the pools that hold the proxy.
    pub fn set_reason(&self, bit: u32, on: bool) {
        self.change(|state| state.with_reason(bit, on));
    }

    /// Whether its time to live is over at `now`. Cheap for a proxy that has none.
    #[inline]
    #[must_use]
    pub fn is_expired(&self, clock: &dyn Clock) -> bool {
        self.flags.load(Ordering::Relaxed) & flag::EXPIRY != 0
            && self.cold(|cold| cold.expires_at).is_some_and(|at| clock.wall() > at)
    }

    /// Its health.
    #[must_use]
    pub fn health(&self) -> Health {
        self.state().health()
    }

    /// Sets its health.
    pub fn set_health(&self, health: Health) {
        self.change(|state| state.with_health(health));
    }

    // ---- the pools that hold it --------------------------------------------------------------------------------

    pub(crate) fn join(&self, pool: &Weak<Pool>) {
        let mut inner = self.inner.lock();
        inner.homes = match std::mem::take(&mut inner.homes) {
            Homes::None => Homes::One(pool.clone()),
            Homes::One(first) => Homes::Many(Box::new(vec![first, pool.clone()])),
            Homes::Many(mut all) => {
                all.retain(|home| home.strong_count() > 0);
                all.push(pool.clone());
                Homes::Many(all)
            }
        };
    }

    pub(crate) fn leave(&self, pool: &Weak<Pool>) {
        let mut inner = self.inner.lock();
        inner.homes = match std::mem::take(&mut inner.homes) {
            Homes::One(home) if Weak::ptr_eq(&home, pool) => Homes::None,
            Homes::Many(mut all) => {
                all.retain(|home| !Weak::ptr_eq(home, pool) && home.strong_count() > 0);
                Homes::Many(all)
            }
            other => other,
        };
    }

    /// The pools that hold it.
    #[must_use]
    pub fn homes(&self) -> SmallVec<[Arc<Pool>; 2]> {
        match &self.inner.lock().homes {
            Homes::None => SmallVec::new(),
            Homes::One(home) => home.upgrade().into_iter().collect(),
            Homes::Many(all) => all.iter().filter_map(Weak::upgrade).collect(),
        }
    }

    /// Brings the derived state in every pool that holds the proxy up to date with it.
    pub(crate) fn refresh(&self) {
        // The pools are collected first: a pool's writer lock comes before the proxy's own in the order of locks.
        for pool in self.homes() {
            pool.refresh(self);
        }
    }

    pub(crate) fn add_watch(&self, bits: u8) {
        self.watch.fetch_or(bits, Ordering::AcqRel);
    }

    fn is_watched(&self, bits: u8) -> bool {
        self.watch.load(Ordering::Relaxed) & bits != 0
    }

    // ---- a request's start -------------------------------------------------------------------------------------

    /// Counts a request as started. An expired counting window is begun anew first.
    #[inline]
    pub fn start(&self, clock: &dyn Clock) {
        if self.start_unannounced(clock) && self.is_watched(watch::COUNTS) {
            self.refresh();
        }
    }

    /// The same without telling the pools that the counts have fallen; whether they have.
    #[inline]
    pub(crate) fn start_unannounced(&self, clock: &dyn Clock) -> bool {
        let now = clock.wall();
        let (length, width) = self.window_shape();
        let begun = self.window_start.load(Ordering::Relaxed);
        let anew = (begun == NEVER || now - begun >= i64::from(length) * 1_000_000) && self.begin_window(begun, now);
        // Release: who sees an end that this start led to (by acquiring `finished`) sees the start.
        let before = self.started.fetch_add(1, Ordering::AcqRel);
        self.updated.store(now, Ordering::Relaxed);
        self.minute.count(before, now, width, &self.sliding);
        anew
    }

    /// Takes a start back, as if the proxy had never been chosen.
    pub fn take_back(&self, _clock: &dyn Clock) {
        // Never below zero: users may have set the counter in between.
        let taken = self.started.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let left = taken.map_or(0, |before| before - 1);
        let base = self.started_base.load(Ordering::Relaxed);
        if (left.wrapping_sub(base) as i64) < 0 {
            // The start was of a window that has been reset since: the present one has none to give back.
            let _ = self.started_base.compare_exchange(base, left, Ordering::Relaxed, Ordering::Relaxed);
        }
        if self.is_watched(watch::COUNTS) {
            self.refresh();
        }
    }

    fn window_shape(&self) -> (u32, i64) {
        if self.flags.load(Ordering::Relaxed) & flag::WINDOW == 0 {
            return (DEFAULT_WINDOW, 60);
        }
        let length = self.cold(|cold| cold.window_duration);
        (length, window::bucket_width(length))
    }

    #[cold]
    fn begin_window(&self, seen: i64, now: Micros) -> bool {
        // The thread that moves the start of the window resets the counters; the others count on.
        let won = self.window_start.compare_exchange(seen, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won && seen != NEVER {
            self.rebase();
            return true;
        }
        false
    }

    /// Counts from here. What is in flight was started, and stays so: leaving it out would make the sum of the counters
    /// wrong at rest. Started and completed follow from one reading, so that threads which go on counting cannot part them.
    fn rebase(&self) {
        let finished = self.finished.load(Ordering::Relaxed);
        let offset = self.in_flight_offset.load(Ordering::Relaxed);
        self.finished_base.store(finished, Ordering::Relaxed);
        self.started_base.store(finished.wrapping_sub(offset as u64), Ordering::Relaxed);
    }

    fn zero_window(&self) {
        self.finished_base.store(self.finished.load(Ordering::Relaxed), Ordering::Relaxed);
        self.started_base.store(self.started.load(Ordering::Relaxed), Ordering::Relaxed);
        if self.is_watched(watch::COUNTS) {
            self.refresh();
        }
    }

    /// Begins the counting window anew: started and completed are zero, what is in flight is kept.
    pub fn reset_window(&self, clock: &dyn Clock) {
        self.window_start.store(clock.wall(), Ordering::Relaxed);
        self.zero_window();
    }

    /// Whether the counting window is over. False while none has begun.
    #[must_use]
    pub fn is_window_expired(&self, clock: &dyn Clock) -> bool {
        let begun = self.window_start.load(Ordering::Relaxed);
        begun != NEVER && clock.wall() - begun >= i64::from(self.window_shape().0) * 1_000_000
    }

    /// Resets the window if it is over; true for the one caller that did.
    pub fn reset_if_expired(&self, clock: &dyn Clock) -> bool {
        let won = self.claim_window(clock);
        if won {
            self.zero_window();
        }
        won
    }

    /// The same, but what is in flight counts as started in the new window, as when a start begins it.
    pub(crate) fn renew_if_expired(&self, clock: &dyn Clock) {
        if self.claim_window(clock) {
            self.rebase();
            if self.is_watched(watch::COUNTS) {
                self.refresh();
            }
        }
    }

    /// Moves the start of a window that is over to now; true for the one caller that did.
    fn claim_window(&self, clock: &dyn Clock) -> bool {
        let begun = self.window_start.load(Ordering::Relaxed);
        let now = clock.wall();
        begun != NEVER
            && now - begun >= i64::from(self.window_shape().0) * 1_000_000
            && self.window_start.compare_exchange(begun, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The key of least-used: starts, or completions and requests in flight where those are more.
    #[inline]
    #[must_use]
    pub fn use_count(&self) -> u64 {
        let (started, completed, active) = self.usage();
        started.max(completed + u64::from(active))
    }

    /// When the counting window will be over, if one has begun.
    pub(crate) fn window_end(&self) -> Option<Micros> {
        let begun = self.window_start.load(Ordering::Relaxed);
        (begun != NEVER).then(|| begun.saturating_add(i64::from(self.window_shape().0) * 1_000_000))
    }

    // ---- a request's end ---------------------------------------------------------------------------------------

    /// Ends a started request. `alpha` is the weight of this sample in the latency average, the proxy's own if `None`.
    #[inline]
    pub fn complete(&self, verdict: Verdict, alpha: Option<f64>, clock: &dyn Clock) {
        // Acquire: the starts that led to the ends counted so far are visible now; release: so is this one to the next.
        let finished = self.finished.fetch_add(1, Ordering::AcqRel) + 1;
        let started = self.started.load(Ordering::Relaxed);
        if (started.wrapping_sub(finished) as i64) + self.in_flight_offset.load(Ordering::Relaxed) < 0 {
            self.end_without_start(started, finished);
        }
        self.record(verdict, alpha, clock);
    }

    /// What is in flight never falls below zero: an end without a start is remembered, so that the next start counts.
    #[cold]
    fn end_without_start(&self, started: u64, finished: u64) {
        let missing = finished.wrapping_sub(started) as i64;
        self.in_flight_offset.fetch_max(missing, Ordering::Relaxed);
    }

    /// Records a result without a start.
    pub fn record(&self, verdict: Verdict, alpha: Option<f64>, clock: &dyn Clock) {
        let now = clock.wall();
        self.updated.store(now, Ordering::Relaxed);
        match verdict {
            Verdict::Success(ms) => self.succeed(ms, alpha, now),
            Verdict::Failure(_) => self.fail(now),
            Verdict::Refused => {
                self.others.fetch_add(1, Ordering::Relaxed);
                self.result_without_success();
                self.change(|state| match state.failures() {
                    0 => state,
                    _ => state.with_failures(0).with_health(Health::Healthy),
                });
            }
            Verdict::Elsewhere => {
                self.others.fetch_add(1, Ordering::Relaxed);
                self.result_without_success();
            }
        }
    }

    fn succeed(&self, ms: f64, alpha: Option<f64>, now: Micros) {
        let successes = self.successes.fetch_add(1, Ordering::Relaxed) + 1;
        self.last_success.store(now, Ordering::Relaxed);
        self.update_latency(ms, alpha);
        // Stored only on change, which keeps the line shared between readers on other cores.
        self.change(|state| state.with_failures(0).with_health(Health::Healthy));
        if self.is_watched(watch::RATE) {
            let total = self.total();
            self.rate_changed(rate(successes - 1, total.saturating_sub(1)), rate(successes, total));
        }
    }

    fn fail(&self, now: Micros) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.result_without_success();
        self.last_failure.store(now, Ordering::Relaxed);
        let state = self.change(|state| {
            let in_a_row = state.failures().saturating_add(1);
            state.with_failures(in_a_row).with_health(Health::after_failures(in_a_row))
        });
        if state.health() == Health::Dead {
            for pool in self.homes() {
                pool.note_dead(self, state.failures());
            }
        }
    }

    fn result_without_success(&self) {
        if self.is_watched(watch::RATE) {
            let (total, successes, _) = self.totals();
            self.rate_changed(rate(successes, total.saturating_sub(1)), rate(successes, total));
        }
    }

    fn rate_changed(&self, before: f64, after: f64) {
        use crate::pool::sampler::bucket_of;
        if bucket_of(floored(before)) != bucket_of(floored(after)) {
            self.refresh();
        }
    }

    /// The moving averages after one more sample: the first value initialises, later ones count by `alpha`.
    pub fn update_latency(&self, ms: f64, alpha: Option<f64>) {
        if !(ms.is_finite() && ms >= 0.0) {
            return;
        }
        self.latency.set(Some(ms));
        let alpha = alpha.unwrap_or_else(|| self.ema_alpha());
        let step = |old: Option<f64>| old.map_or(ms, |old| alpha * ms + (1.0 - alpha) * old);
        let (before, after) = self.ema.update(step);
        if self.flags.load(Ordering::Relaxed) & flag::AVERAGE != 0 {
            self.average.update(step);
        }
        if self.is_watched(watch::LATENCY) && before.map(latency_bucket) != Some(latency_bucket(after)) {
            self.refresh();
        }
    }

    // ---- readings ----------------------------------------------------------------------------------------------

    /// Share of successes among all results, 0 to 1; 0 without any.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        let (total, successes, _) = self.totals();
        rate(successes, total)
    }

    /// Its identifier.
    #[inline]
    #[must_use]
    pub fn id(&self) -> Id {
        Id(self.id[0].load(Ordering::Relaxed), self.id[1].load(Ordering::Relaxed))
    }

    /// Gives it another identifier and re-files it in the pools that hold it.
    pub fn set_id(&self, id: Id) {
        let old = self.id();
        let homes = self.homes();
        self.id[0].store(id.0, Ordering::Relaxed);
        self.id[1].store(id.1, Ordering::Relaxed);
        for pool in homes {
            pool.refile(self, old);
        }
    }

    /// How it is spoken to.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.inner.lock().protocol
    }

    /// `host[:port]`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.inner.lock().authority.to_string()
    }

    /// The address, with credentials.
    #[must_use]
    pub fn address(&self) -> Address {
        let (protocol, authority, credentials) = {
            let inner = self.inner.lock();
            let login = inner.cold.as_ref().and_then(|cold| cold.credentials.clone());
            (inner.protocol, inner.authority.clone(), login)
        };
        let bare = format!("{}://{authority}", protocol.as_str());
        let (host, port) = match Address::parse(&bare) {
            Ok(address) => (address.host, address.port),
            // What is stored was checked when it came in.
            Err(_) => (authority.as_str().into(), None),
        };
        Address { protocol, host, port, credentials }
    }

    /// Moves it to another address; `raw` is the text to show as its URL.
    pub fn set_address(&self, address: &Address, raw: Option<Box<str>>) {
        let homes = self.homes();
        {
            let mut inner = self.inner.lock();
            inner.protocol = address.protocol;
            inner.authority = address.authority();
            if raw.is_some() || address.credentials.is_some() || inner.cold.is_some() {
                let cold = inner.cold.get_or_insert_default();
                cold.raw_url = raw;
                if address.credentials.is_some() {
                    cold.credentials.clone_from(&address.credentials);
                }
            }
        }
        let id = self.id();
        for pool in homes {
            pool.refile(self, id);
        }
    }

    /// The URL as given.
    #[must_use]
    pub fn url(&self) -> String {
        let inner = self.inner.lock();
        match inner.cold.as_ref().and_then(|cold| cold.raw_url.as_deref()) {
            Some(raw) => raw.to_owned(),
            None => format!("{}://{}", inner.protocol.as_str(), inner.authority),
        }
    }

    /// The URL to hand to an HTTP client: from the parts, credentials percent-encoded.
    #[must_use]
    pub fn client_url(&self) -> String {
        let inner = self.inner.lock();
        match inner.cold.as_ref().and_then(|cold| cold.credentials.as_ref()) {
            None => format!("{}://{}", inner.protocol.as_str(), inner.authority),
            Some(login) => format!(
                "{}://{}:{}@{}",
                inner.protocol.as_str(),
                escape(&login.username),
                escape(&login.password),
                inner.authority
            ),
        }
    }

    /// The URL with credentials masked.
    #[must_use]
    pub fn masked_url(&self) -> String {
        let inner = self.inner.lock();
        let login = inner.cold.as_ref().is_some_and(|cold| cold.credentials.is_some());
        let mask = if login { "***:***@" } else { "" };
        format!("{}://{mask}{}", inner.protocol.as_str(), inner.authority)
    }

    /// What makes it the same as another.
    pub(crate) fn with_key<R>(&self, read: impl FnOnce(Key<'_>) -> R) -> R {
        let inner = self.inner.lock();
        let authority = inner.authority.as_str();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (authority, None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let login = inner.cold.as_ref().and_then(|cold| cold.credentials.as_ref());
        read(Key {
            protocol: inner.protocol,
            host,
            port: port.unwrap_or(inner.protocol.default_port()),
            credentials: login.map(|login| (&*login.username, &*login.password)),
        })
    }

    /// What to log in with.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        self.cold(|cold| cold.credentials.clone())
    }

    /// Sets what to log in with.
    pub fn set_credentials(&self, credentials: Option<Credentials>) {
        let homes = self.homes();
        self.set_cold(|cold| cold.credentials = credentials);
        let id = self.id();
        for pool in homes {
            pool.refile(self, id);
        }
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::from_number(self.source.load(Ordering::Relaxed))
    }

    /// Sets where it came from.
    pub fn set_source(&self, source: Source) {
        self.source.store(source as u8, Ordering::Relaxed);
        self.refresh();
    }

    /// Reads the cold part, or the defaults where there is none.
    pub fn cold<R>(&self, read: impl FnOnce(&Cold) -> R) -> R {
        static DEFAULTS: std::sync::LazyLock<Cold> = std::sync::LazyLock::new(Cold::default);
        match &self.inner.lock().cold {
            Some(cold) => read(cold),
            None => read(&DEFAULTS),
        }
    }

    /// Writes the cold part, then brings everything derived from it up to date.
    pub fn set_cold<R>(&self, write: impl FnOnce(&mut Cold) -> R) -> R {
        let (result, expiry) = {
            let mut inner = self.inner.lock();
            let cold = inner.cold.get_or_insert_default();
            let result = write(cold);
            let mut flags = self.flags.load(Ordering::Relaxed) & flag::AVERAGE;
            if cold.ema_alpha.to_bits() != DEFAULT_ALPHA.to_bits() {
                flags |= flag::ALPHA;
            }
            if cold.window_duration != DEFAULT_WINDOW {
                flags |= flag::WINDOW;
            }
            if cold.expires_at.is_some() {
                flags |= flag::EXPIRY;
            }
            if cold.cost.unwrap_or(0.0) != 0.0 {
                flags |= flag::COST;
            }
            self.flags.store(flags, Ordering::Relaxed);
            (result, cold.expires_at)
        };
        // Only ever cleared here: that a time has come is noticed by whoever looks next.
        if self.reasons() & reason::EXPIRED != 0 && expiry.is_none_or(|at| at >= crate::clock::exact_wall()) {
            self.set_reason(reason::EXPIRED, false);
        }
        self.refresh();
        result
    }

    /// Weight of the newest sample in its latency average.
    #[inline]
    #[must_use]
    pub fn ema_alpha(&self) -> f64 {
        if self.flags.load(Ordering::Relaxed) & flag::ALPHA == 0 {
            DEFAULT_ALPHA
        } else {
            self.cold(|cold| cold.ema_alpha)
        }
    }

    /// Price of one request; nothing known counts as free.
    #[inline]
    #[must_use]
    pub fn cost(&self) -> f64 {
        if self.flags.load(Ordering::Relaxed) & flag::COST == 0 {
            0.0
        } else {
            self.cold(|cold| cold.cost.unwrap_or(0.0))
        }
    }

    /// Moving average of the time to answer, in milliseconds.
    #[inline]
    #[must_use]
    pub fn ema(&self) -> Option<f64> {
        self.ema.get()
    }

    /// The second moving average of the documented API.
    #[must_use]
    pub fn average(&self) -> Option<f64> {
        // One arithmetic serves both until somebody assigns one of them.
        if self.flags.load(Ordering::Relaxed) & flag::AVERAGE == 0 { self.ema.get() } else { self.average.get() }
    }

    fn part_averages(&self) {
        if self.flags.load(Ordering::Relaxed) & flag::AVERAGE == 0 {
            self.average.set(self.ema.get());
            self.flags.fetch_or(flag::AVERAGE, Ordering::Relaxed);
        }
    }

    /// Latency measured last, in milliseconds.
    #[must_use]
    pub fn latency(&self) -> Option<f64> {
        self.latency.get()
    }

    /// Sets the latency measured last.
    pub fn set_latency(&self, ms: Option<f64>) {
        self.latency.set(ms);
    }

    /// Sets the moving average.
    pub fn set_ema(&self, ms: Option<f64>) {
        self.part_averages();
        self.ema.set(ms);
        self.refresh();
    }

    /// Sets the second moving average.
    pub fn set_average(&self, ms: Option<f64>) {
        self.part_averages();
        self.average.set(ms);
    }

    /// Requests started in the current window, completed in it, and in flight.
    #[inline]
    #[must_use]
    pub fn usage(&self) -> (u64, u64, u32) {
        // In this order: an end seen here has its start seen, too.
        let finished = self.finished.load(Ordering::Acquire);
        let started = self.started.load(Ordering::Acquire);
        let open = started.wrapping_sub(finished) as i64 + self.in_flight_offset.load(Ordering::Relaxed);
        // A base may be ahead for a moment while the window is begun anew.
        let since = |count: u64, base: &AtomicU64| {
            u64::try_from(count.wrapping_sub(base.load(Ordering::Relaxed)) as i64).unwrap_or(0)
        };
        (
            since(started, &self.started_base),
            since(finished, &self.finished_base),
            u32::try_from(open.max(0)).unwrap_or(u32::MAX),
        )
    }

    /// All results, successes and failures.
    #[inline]
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        let successes = self.successes.load(Ordering::Relaxed);
        let failures = self.failures.load(Ordering::Relaxed);
        let total = (successes + failures).saturating_add_signed(self.others.load(Ordering::Relaxed));
        (total, successes, failures)
    }

    /// Number of results.
    #[inline]
    #[must_use]
    pub fn total(&self) -> u64 {
        self.totals().0
    }

    /// Sets one counter directly, as users of the documented API do. The others stay as they are.
    pub fn set_counter(&self, counter: Counter, value: u64) {
        let (total, successes, failures) = self.totals();
        let others = |successes: u64, failures: u64, total: u64| {
            self.others.store(total.wrapping_sub(successes + failures) as i64, Ordering::Relaxed);
        };
        match counter {
            Counter::Started => {
                self.started_base.store(self.started.load(Ordering::Relaxed).wrapping_sub(value), Ordering::Relaxed);
            }
            Counter::Completed => {
                self.finished_base.store(self.finished.load(Ordering::Relaxed).wrapping_sub(value), Ordering::Relaxed);
            }
            Counter::Active => {
                let open = self.started.load(Ordering::Relaxed).wrapping_sub(self.finished.load(Ordering::Relaxed));
                self.in_flight_offset.store(value.wrapping_sub(open) as i64, Ordering::Relaxed);
            }
            Counter::Total => others(successes, failures, value),
            Counter::Successes => {
                self.successes.store(value, Ordering::Relaxed);
                others(value, failures, total);
            }
            Counter::Failures => {
                self.failures.store(value, Ordering::Relaxed);
                others(successes, value, total);
            }
            Counter::ConsecutiveFailures => {
                self.change(|state| state.with_failures(saturate(value)));
            }
        }
        self.refresh();
    }

    /// Failures since the last success.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.state().failures()
    }

    /// One of its times, if it has come.
    #[must_use]
    pub fn time(&self, which: Moment) -> Option<Micros> {
        let at = self.moment(which).load(Ordering::Relaxed);
        // The clock of the hot path lags some milliseconds behind the one that creation was read from.
        let earliest = if which == Moment::Updated { self.created.load(Ordering::Relaxed) } else { NEVER };
        (at != NEVER).then_some(at.max(earliest))
    }

    /// Sets one of its times.
    pub fn set_time(&self, which: Moment, at: Option<Micros>) {
        self.moment(which).store(at.unwrap_or(NEVER), Ordering::Relaxed);
        if which == Moment::WindowStart {
            self.refresh();
        }
    }

    fn moment(&self, which: Moment) -> &AtomicI64 {
        match which {
            Moment::Created => &self.created,
            Moment::Updated => &self.updated,
            Moment::LastSuccess => &self.last_success,
            Moment::LastFailure => &self.last_failure,
            Moment::WindowStart => &self.window_start,
        }
    }

    /// Requests started per minute of the sliding window: start of the minute in seconds since 1970, and their number.
    #[must_use]
    pub fn window_buckets(&self, clock: &dyn Clock) -> Vec<(i64, u64)> {
        let (length, _) = self.window_shape();
        self.minute.buckets(self.started.load(Ordering::Relaxed), clock.wall(), length, &self.sliding)
    }
}

/// The counters that may be written directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Requests started in the current window.
    Started,
    /// Requests completed in the current window.
    Completed,
    /// Requests in flight.
    Active,
    /// All results.
    Total,
    /// Successes.
    Successes,
    /// Failures.
    Failures,
    /// Failures since the last success.
    ConsecutiveFailures,
}

/// The times a proxy remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When it was made.
    Created,
    /// When anything last happened to it.
    Updated,
    /// Its last success.
    LastSuccess,
    /// Its last failure.
    LastFailure,
    /// When its counting window began.
    WindowStart,
}

fn saturate(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn rate(successes: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { (successes as f64 / total as f64).clamp(0.0, 1.0) }
}

/// The documented floor of a weight by success rate, so that nobody is never tried again.
pub(crate) fn floored(rate: f64) -> f64 {
    rate.max(0.1)
}

fn latency_bucket(ms: f64) -> u8 {
    crate::pool::sampler::bucket_of(crate::pool::sampler::latency_weight(ms))
}

/// What makes two proxies the same: protocol, host, port as dialled, and what is logged in with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key<'a> {
    protocol: Protocol,
    host: &'a str,
    port: u16,
    credentials: Option<(&'a str, &'a str)>,
}

impl<'a> Key<'a> {
    pub(crate) fn of(address: &'a Address) -> Self {
        let login = address.credentials.as_ref();
        Self {
            protocol: address.protocol,
            host: &address.host,
            port: address.effective_port(),
            credentials: login.map(|login| (&*login.username, &*login.password)),
        }
    }

    /// The same without credentials.
    pub(crate) fn bare(self) -> Self {
        Self { credentials: None, ..self }
    }

    pub(crate) fn hash(&self) -> u32 {
        use std::hash::{Hash, Hasher};
        let mut hasher = crate::random::hasher();
        Hash::hash(self, &mut hasher);
        hasher.finish() as u32
    }
}
