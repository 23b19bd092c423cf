//! Health, failures in a row and the reasons against a proxy in one word, so that they change in one step.

use crate::clock::Clock;
use crate::proxy::health::{Health, reason};
use crate::proxy::{Proxy, flag};
use crate::sync::Ordering;

/// Reasons (the lowest 24 bits), health (8) and failures in a row (32) in one word: health follows from failures, and
/// eligibility from health, so two threads that end requests at once must not each write a part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State(pub(super) u64);

impl State {
    pub(super) const NEW: Self = Self((Health::Unknown as u64) << 24);
    const REASONS: u64 = 0xff_ffff;

    pub(super) fn reasons(self) -> u32 {
        (self.0 & Self::REASONS) as u32
    }

    pub(super) fn health(self) -> Health {
        Health::from_number((self.0 >> 24) as u8)
    }

    pub(super) fn failures(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) fn with_failures(self, in_a_row: u32) -> Self {
        Self(self.0 & 0xffff_ffff | u64::from(in_a_row) << 32)
    }

    pub(super) fn with_health(self, health: Health) -> Self {
        let reason = if health.is_usable() { 0 } else { u64::from(reason::UNHEALTHY) };
        Self(self.0 & !(0xff << 24) & !u64::from(reason::UNHEALTHY) | (health as u64) << 24 | reason)
    }

    pub(super) fn with_reason(self, bit: u32, on: bool) -> Self {
        let bit = u64::from(bit) & Self::REASONS;
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}

impl Proxy {
    pub(super) fn state(&self) -> State {
        // Acquire pairs with the release in `change`: who sees a reason gone sees why.
        State(self.state.load(Ordering::Acquire))
    }

    /// Changes the state in one step, and tells the pools that hold the proxy when its eligibility has changed.
    pub(super) fn change(&self, change: impl Fn(State) -> State) -> State {
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
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::clock::ManualClock;
    use crate::proxy::address::Address;
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
