//! Liveness: whether a proxy carries bytes. One state per proxy, made for it at its first result: its cooldown and trial, the
//! breaker, the limits on what it may carry at once and in a time.
//!
//! Each reason against a proxy is a bit of its one state word, so that the pools' indexes follow. What is to happen later is
//! handed to the observers of the proxy, see [`due`].

pub mod breaker;
pub mod bucket;
pub mod capacity;
pub(crate) mod cooldown;
pub mod due;
mod settings;
mod tally;

use crate::clock::{Clock, Micros};
use crate::proxy::Proxy;
use crate::proxy::health::reason;
use crate::proxy::observers::LivenessEvent;
use crate::sync::{Arc, ArcSwapOption, AtomicU8, AtomicU32, AtomicU64, Ordering};
pub use breaker::{Breaker, Phase, Transition};
use bucket::Level;
pub use bucket::{Rate, TokenBucket};
use due::{Due, schedule};
pub use settings::{BreakerSettings, SettingsError};
pub(crate) use settings::{at_least_one, positive, share};
use tally::Tally;

/// Successes after which a proxy has proved itself: one alone, two at a time, four at a time.
const PROVEN: u32 = 7;

/// In the word of the connections in use: a limit was reached once, so that every end of one looks for the reason it left.
const LIMIT_REACHED: u32 = 1 << 31;

/// See the module. The moments are nanoseconds on the steady clock.
///
/// What every success touches is here, so that a proxy that does well needs no breaker.
pub(crate) struct Liveness {
    // Nanoseconds that a success counts.
    window: AtomicU64,
    successes: Tally,
    breaker: ArcSwapOption<Breaker>,
    rest_until: AtomicU64,
    probe_until: AtomicU64,
    tokens_at: AtomicU64,
    pub(crate) tokens: Level,
    // When it was last blamed for what might have been a site's fault.
    blamed_at: AtomicU64,
    // Successes since it began, or began anew.
    earned: AtomicU32,
    // Connections in use, and LIMIT_REACHED.
    connections: AtomicU32,
    // Rests in a row.
    level: AtomicU8,
}

impl Liveness {
    fn new(proven: bool, window: u64) -> Self {
        Self {
            window: AtomicU64::new(window),
            successes: Tally::new(),
            breaker: ArcSwapOption::empty(),
            rest_until: AtomicU64::new(0),
            probe_until: AtomicU64::new(0),
            tokens_at: AtomicU64::new(0),
            tokens: Level::default(),
            blamed_at: AtomicU64::new(0),
            earned: AtomicU32::new(if proven { PROVEN } else { 0 }),
            connections: AtomicU32::new(0),
            level: AtomicU8::new(0),
        }
    }

    /// A success, while the breaker is closed or there is none.
    #[inline]
    pub(crate) fn count_success(&self, now: u64) {
        self.successes.count(now, self.window.load(Ordering::Relaxed));
    }

    pub(crate) fn successes(&self) -> &Tally {
        &self.successes
    }

    pub(crate) fn set_window(&self, window: u64) {
        self.window.store(window, Ordering::Relaxed);
    }

    /// Its breaker, if it has one yet.
    pub(crate) fn breaker(&self) -> arc_swap::Guard<Option<Arc<Breaker>>> {
        self.breaker.load()
    }

    /// Its breaker, made on first demand.
    pub(crate) fn breaker_or(&self, proxy: &Arc<Proxy>, settings: &BreakerSettings) -> Arc<Breaker> {
        if let Some(breaker) = &*self.breaker.load() {
            return breaker.clone();
        }
        let made = Breaker::with(settings);
        made.belong_to(proxy);
        let none: Option<Arc<Breaker>> = None;
        match &*self.breaker.compare_and_swap(&none, Some(made.clone())) {
            Some(theirs) => theirs.clone(),
            None => made,
        }
    }

    pub(crate) fn set_breaker(&self, breaker: Arc<Breaker>) {
        self.set_window(breaker.window());
        self.breaker.store(Some(breaker));
    }

    pub(crate) fn rest_until(&self) -> u64 {
        self.rest_until.load(Ordering::Acquire)
    }

    pub(crate) fn set_rest_until(&self, until: u64) {
        self.rest_until.store(until, Ordering::Release);
    }

    /// When the request on trial is given up.
    pub(crate) fn probe_until(&self) -> u64 {
        self.probe_until.load(Ordering::Acquire)
    }

    /// Awaits a request on trial; the number by which its end is known.
    pub(crate) fn expect_probe(&self, until: u64) -> u64 {
        // No two have the same number, so that one that was given up cannot end its successor.
        let before = self.probe_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| Some(until.max(old + 1)));
        until.max(before.unwrap_or(0) + 1)
    }

    /// When its empty bucket holds a token again.
    pub(crate) fn tokens_at(&self) -> u64 {
        self.tokens_at.load(Ordering::Acquire)
    }

    pub(crate) fn set_tokens_at(&self, at: u64) {
        self.tokens_at.store(at, Ordering::Release);
    }

    /// Counts one more connection in use; how many that makes.
    pub(crate) fn connect(&self) -> u32 {
        (self.connections.fetch_add(1, Ordering::AcqRel) & !LIMIT_REACHED) + 1
    }

    /// Counts one connection less, if there is one; whether the limit was ever reached.
    ///
    /// Count and flag share a word, so that of a request that ends and one that reaches the limit at least one sees the other.
    pub(crate) fn disconnect(&self) -> bool {
        let fewer = |word: u32| (word & !LIMIT_REACHED > 0).then(|| word - 1);
        let before = self.connections.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
        before.is_ok_and(|word| word & LIMIT_REACHED != 0)
    }

    /// From now on every end of a connection looks whether it makes room.
    pub(crate) fn note_limit_reached(&self) {
        self.connections.fetch_or(LIMIT_REACHED, Ordering::AcqRel);
    }

    /// Connections in use.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Acquire) & !LIMIT_REACHED
    }

    /// No connection is in use: the requests are those of another process.
    pub(crate) fn forget_connections(&self) {
        self.connections.fetch_and(LIMIT_REACHED, Ordering::AcqRel);
    }

    /// Rests in a row so far.
    pub(crate) fn level(&self) -> u32 {
        u32::from(self.level.load(Ordering::Relaxed))
    }

    pub(crate) fn rested_again(&self) {
        let next = self.level.load(Ordering::Relaxed).saturating_add(1);
        self.level.store(next, Ordering::Relaxed);
        self.earned.store(0, Ordering::Relaxed);
    }

    pub(crate) fn revived(&self) {
        self.level.store(0, Ordering::Relaxed);
    }

    /// Notes at `now` that it is to blame for a request that began then; whether that one was sent after the last such
    /// failure was known. Failures of one burst say the same thing once.
    pub(crate) fn is_blamed_anew(&self, began: u64, now: u64) -> bool {
        // Relaxed: of two threads at once either may be the first of the burst.
        self.blamed_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| (began >= at).then_some(now)).is_ok()
    }

    /// Requests at a time it has earned; `None`: any number.
    pub(crate) fn earned(&self) -> Option<u32> {
        match self.earned.load(Ordering::Relaxed) {
            0 => Some(1),
            1 | 2 => Some(2),
            3..PROVEN => Some(4),
            _ => None,
        }
    }

    /// A success counts while it has something to prove; whether it may do more now than before.
    #[inline]
    pub(crate) fn earn(&self) -> bool {
        if self.earned.load(Ordering::Relaxed) >= PROVEN {
            return false;
        }
        matches!(self.earned.fetch_add(1, Ordering::Relaxed) + 1, 1 | 3 | PROVEN)
    }
}

impl Proxy {
    /// What is held against it, if anything has been.
    #[inline]
    pub(crate) fn liveness(&self) -> Option<&Liveness> {
        self.judged.get()
    }

    /// The same, made on first demand; `window` in nanoseconds.
    pub(crate) fn judged_over(&self, window: u64) -> &Liveness {
        // A proxy that succeeded before it was judged is proven.
        self.judged.get_or_init(|| Liveness::new(self.totals().1 > 0, window))
    }

    /// Its rests in a row, and until when it rests now, in wall-clock time; `None` if it does not.
    #[must_use]
    pub fn resting(&self, clock: &dyn Clock) -> Option<(u32, Micros)> {
        let record = self.liveness().filter(|_| self.state().has(reason::RESTING))?;
        let left = record.rest_until().saturating_sub(clock.steady()) / 1_000;
        Some((record.level(), clock.wall().saturating_add(left as Micros)))
    }

    /// Lets it rest as it did in another process, until then in wall-clock time.
    pub fn rest_again(self: &Arc<Self>, level: u32, until: Micros, clock: &dyn Clock) {
        let record = self.judged_over(BreakerSettings::default().window());
        let left = u64::try_from(until.saturating_sub(clock.wall())).unwrap_or(0);
        let until = clock.steady().saturating_add(left.saturating_mul(1_000));
        record.level.store(u8::try_from(level).unwrap_or(u8::MAX), Ordering::Relaxed);
        record.earned.store(0, Ordering::Relaxed);
        record.set_rest_until(until);
        self.change(|state| state.resting(false));
        schedule(self, until, Due::Rest);
    }

    /// A good result has ended its rest or trial.
    #[cold]
    pub(crate) fn note_revived(&self) {
        if let Some(record) = self.judged.get() {
            record.revived();
        }
        self.tell(&LivenessEvent::Revived);
    }
}
