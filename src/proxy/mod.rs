//! One proxy: where it is, what it has carried, how it fared.

pub mod cold;
mod fields;
mod finish;
pub mod health;
mod id;
pub mod liveness;
mod location;
pub mod money;
mod observers;
mod once;
mod start;
mod state;
pub mod table;
pub mod traffic;
pub(crate) mod weight;
mod window;

use std::fmt;

use compact_str::CompactString;

use crate::clock::Micros;
use crate::net::address::{Address, Protocol};
use crate::sync::{AtomicF64, AtomicI64, AtomicU8, AtomicU64, Mutex};
use cold::Cold;
pub use fields::{Counter, Moment, end_of_life};
pub use finish::moving_average;
use health::Source;
pub use id::Id;
use liveness::Liveness;
pub(crate) use location::Key;
use observers::Observers;
pub use observers::{LivenessEvent, PoolObserver};
pub(crate) use once::OncePointer;
pub(crate) use state::State;
use traffic::Traffic;
use window::SlidingCount;

/// "No such time" in an atomic word.
const NEVER: i64 = i64::MIN;

/// Kinds of derived state that observers keep about a proxy and update on its changes.
pub(crate) mod watch {
    /// Weights by latency average.
    pub(crate) const LATENCY: u8 = 1;
    /// Weights by success rate.
    pub(crate) const RATE: u8 = 1 << 1;
    /// Orders by use: notified of counts that fall.
    pub(crate) const COUNTS: u8 = 1 << 2;
    /// Sets of proxies with few results: notified of totals that fall.
    pub(crate) const TOTALS: u8 = 1 << 3;
    /// Limits on what is in flight: notified of requests that end.
    pub(crate) const CAPACITY: u8 = 1 << 4;
}

/// Fields away from their default: only then does the hot path look into the cold part.
mod flag {
    pub(super) const ALPHA: u8 = 1;
    pub(super) const WINDOW: u8 = 1 << 1;
    pub(super) const EXPIRY: u8 = 1 << 2;
    pub(super) const COST: u8 = 1 << 3;
    /// The two documented averages differ, because one was assigned.
    pub(super) const AVERAGE: u8 = 1 << 4;
    pub(super) const ROTATING: u8 = 1 << 5;
}

struct Inner {
    protocol: Protocol,
    authority: CompactString,
    observers: Observers,
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
    last_failure: AtomicI64,
    created: AtomicI64,
    sliding: OncePointer<SlidingCount>,
    pub(crate) judged: OncePointer<Liveness>,
    traffic: OncePointer<Traffic>,
    id: [AtomicU64; 2],
    inner: Mutex<Inner>,
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

/// What a request's end does to a proxy's counters.
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
        let proxy = Self::at(address.protocol, address.authority(), source, now);
        if let Some(login) = &address.credentials {
            proxy.inner.lock().cold = Some(Box::new(Cold { credentials: Some(login.clone()), ..Cold::default() }));
        }
        proxy
    }

    /// The same without credentials; `authority` is `host[:port]` as [`Address::authority`] writes it.
    pub(crate) fn at(protocol: Protocol, authority: CompactString, source: Source, now: Micros) -> Self {
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
            last_failure: AtomicI64::new(NEVER),
            created: AtomicI64::new(now),
            sliding: OncePointer::empty(),
            judged: OncePointer::empty(),
            traffic: OncePointer::empty(),
            id: {
                let id = Id::random();
                [AtomicU64::new(id.0), AtomicU64::new(id.1)]
            },
            inner: Mutex::new(Inner { protocol, authority, observers: Observers::None, cold: None }),
        }
    }
}

fn rate(successes: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { (successes as f64 / total as f64).clamp(0.0, 1.0) }
}
