//! Health, failures in a row and the reasons against a proxy in one word, so that they change in one step.

use crate::clock::Clock;
use crate::proxy::health::{Health, mark, reason};
use crate::proxy::{Proxy, flag};
use crate::sync::Ordering;

/// Reasons (the lowest 16 bits), marks (8), health (8) and failures in a row (32) in one word: health follows from failures,
/// and eligibility from health, so two threads that end requests at once must not each write a part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State(pub(super) u64);

/// Marks under which health does not keep a proxy from being chosen.
const EXCUSED: u32 = mark::ON_TRIAL | mark::PANIC_EXEMPT;

impl State {
    pub(super) const NEW: Self = Self((Health::Unknown as u64) << 24);
    const REASONS: u64 = 0xffff;
    const BITS: u64 = 0xff_ffff;

    /// The reasons against it; zero means eligible.
    pub(crate) fn reasons(self) -> u32 {
        (self.0 & Self::REASONS) as u32
    }

    /// Whether it has any of these reasons or marks.
    pub(crate) fn has(self, bits: u32) -> bool {
        self.0 & u64::from(bits) & Self::BITS != 0
    }

    pub(crate) fn health(self) -> Health {
        Health::from_number((self.0 >> 24) as u8)
    }

    pub(super) fn failures(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn with_failures(self, in_a_row: u32) -> Self {
        Self(self.0 & 0xffff_ffff | u64::from(in_a_row) << 32)
    }

    pub(super) fn with_health(self, health: Health) -> Self {
        Self(self.0 & !(0xff << 24) | (health as u64) << 24).judged()
    }

    /// Sets or clears reasons and marks.
    pub(crate) fn with(self, bits: u32, on: bool) -> Self {
        let bits = u64::from(bits) & Self::BITS;
        Self(if on { self.0 | bits } else { self.0 & !bits })
    }

    /// The reason that follows from its health and the marks.
    fn judged(self) -> Self {
        self.with(reason::UNHEALTHY, !self.health().is_usable() && !self.has(EXCUSED))
    }

    /// The one request of a trial has ended, or there is no trial any more.
    fn probed(self) -> Self {
        if self.has(mark::TRIAL) { self } else { self.with(reason::PROBE_OUT, false) }
    }

    /// Without anything that its own failures have brought about but its health.
    pub(crate) fn failures_cleared(self) -> Self {
        self.with(reason::RESTING | EXCUSED | mark::LOGIN, false).probed().judged()
    }

    /// Benched until its time comes, for want of credentials or for its failures.
    pub(crate) fn resting(self, login: bool) -> Self {
        self.with(EXCUSED, false).probed().with(reason::RESTING, true).with(mark::LOGIN, login).judged()
    }

    /// Its time has come: one request at a time.
    pub(crate) fn on_trial(self) -> Self {
        self.with(reason::RESTING | mark::LOGIN, false).with(mark::ON_TRIAL, true).judged()
    }

    /// Eligible whatever its failures.
    pub(crate) fn panic_exempt(self) -> Self {
        self.with(reason::RESTING | mark::ON_TRIAL | mark::LOGIN, false)
            .with(mark::PANIC_EXEMPT, true)
            .probed()
            .judged()
    }

    /// What its breaker says: shut out, on trial (and whether the one request is under way), or neither.
    pub(crate) fn with_breaker(self, shut: bool, trial: bool, probe: bool) -> Self {
        let state = self.with(reason::BREAKER, shut).with(mark::BREAKER_TRIAL, trial);
        // Of two trials at once each waits for the same request.
        if probe || !state.has(mark::ON_TRIAL) { state.with(reason::PROBE_OUT, probe) } else { state }
    }
}

impl Proxy {
    pub(crate) fn state(&self) -> State {
        // Acquire pairs with the release in `change`: a thread that sees a reason gone sees why.
        State(self.state.load(Ordering::Acquire))
    }

    /// The state, with every earlier change to it: for a thread that has written elsewhere what the threads that change
    /// the state read.
    pub(crate) fn newest_state(&self) -> State {
        // Writing makes this one step in the order of all changes of the word; a plain load could be of before them.
        State(self.state.fetch_or(0, Ordering::AcqRel))
    }

    /// Changes the state in one step, without a call of the observers: before and after.
    pub(crate) fn exchange(&self, change: impl Fn(State) -> State) -> (State, State) {
        let mut before = self.state();
        loop {
            let after = change(before);
            if after == before {
                return (before, after);
            }
            match self.state.compare_exchange_weak(before.0, after.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return (before, after),
                Err(now) => before = State(now),
            }
        }
    }

    /// Changes the state in one step, and reindexes the proxy in its pools when its eligibility has changed.
    pub(crate) fn change(&self, change: impl Fn(State) -> State) -> (State, State) {
        let (before, after) = self.exchange(change);
        if (before.reasons() == 0) != (after.reasons() == 0) {
            self.reindex_in_pools();
        }
        (before, after)
    }

    /// The reasons against it; zero means eligible.
    #[inline]
    #[must_use]
    pub fn reasons(&self) -> u32 {
        self.state().reasons()
    }

    /// Sets or clears one reason, and reindexes the proxy in its pools.
    pub fn set_reason(&self, bit: u32, on: bool) {
        self.change(|state| state.with(bit, on));
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

    /// Sets its health by hand: it holds until the next result, and nothing its failures have brought about does.
    pub fn set_health(&self, health: Health) {
        self.change(|state| state.with_health(health).failures_cleared());
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::clock::ManualClock;
    use crate::net::address::Address;
    use crate::proxy::health::Source;
    use crate::proxy::{Counter, Verdict};
    use crate::sync::{Arc, model};
    use loom::thread;

    fn proxy() -> Arc<Proxy> {
        Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0))
    }

    // Fails when `change` stores what it has computed instead of exchanging it.
    #[test]
    fn health_follows_failures_whoever_ends_first() {
        model(|| {
            let proxy = proxy();
            proxy.set_counter(Counter::ConsecutiveFailures, 2);
            let other = thread::spawn({
                let proxy = proxy.clone();
                move || proxy.record(Verdict::Failure(1.0), None, &ManualClock::at(0))
            });
            proxy.record(Verdict::Success(1.0), None, &ManualClock::at(0));
            other.join().unwrap();
            let state = proxy.state();
            // The success came last, or the failure after it: never the third in a row that was counted before.
            assert!(state.failures() <= 1, "{}", state.failures());
            assert_eq!(state.health(), Health::after_failures(state.failures()));
            assert_eq!(state.reasons() == 0, state.health().is_usable());
        });
    }

    // Fails when the two bases of a window that is begun anew come from two readings.
    #[test]
    fn the_books_balance_over_the_end_of_a_window() {
        model(|| {
            let proxy = proxy();
            proxy.start(&ManualClock::at(0));
            let over = || ManualClock::at(3600 * 1_000_000);
            let request = move |proxy: &Proxy| {
                proxy.start(&over());
                proxy.complete(Verdict::Elsewhere, None, &over());
            };
            let other = thread::spawn({
                let proxy = proxy.clone();
                move || request(&proxy)
            });
            request(&proxy);
            other.join().unwrap();
            let (started, completed, active) = proxy.usage();
            assert_eq!((started, active), (completed + 1, 1));
        });
    }
}
