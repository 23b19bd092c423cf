//! Token buckets by the generic cell rate algorithm: one word says when the bucket would be full again.
//!
//! After <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>: each request moves that moment on by the interval in
//! which one token comes; a bucket is empty when the moment lies further ahead than all its tokens together need.

use crate::proxy::liveness::settings::{SettingsError, positive};
use crate::sync::{AtomicU64, Ordering};

/// How many requests in how long a time, and how many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds in which one token comes.
    interval: u64,
    /// Nanoseconds in which an empty bucket fills.
    depth: u64,
}

impl Rate {
    /// `requests` in `seconds`, at most `burst` at once (as many as `requests` where it is not given).
    ///
    /// # Errors
    /// A number that is not positive and finite.
    pub fn new(requests: f64, seconds: f64, burst: Option<f64>) -> Result<Self, SettingsError> {
        positive("max_requests", requests)?;
        positive("time_window", seconds)?;
        // A bucket that cannot hold one whole token would never let a request through.
        burst.map_or(Ok(()), |burst| positive("burst", burst))?;
        let burst = burst.unwrap_or(requests).max(1.0);
        let interval = (seconds / requests * 1e9).clamp(1.0, 1e18);
        Ok(Self { interval: interval as u64, depth: (interval * burst).clamp(1.0, 1e19) as u64 })
    }

    /// When a bucket that would be full at `full_at` has a token.
    #[inline]
    pub(crate) fn ready_at(&self, full_at: u64) -> u64 {
        full_at.saturating_add(self.interval).saturating_sub(self.depth)
    }

    /// When that bucket is full if a token is taken at `now`.
    #[inline]
    pub(crate) fn full_after(&self, full_at: u64, now: u64) -> u64 {
        full_at.max(now).saturating_add(self.interval)
    }

    /// When that bucket is full if a token is given back.
    #[inline]
    pub(crate) fn full_with_one_back(&self, full_at: u64) -> u64 {
        full_at.saturating_sub(self.interval)
    }
}

/// A rate that is read by many while it may be replaced; a mixture of two is a rate as good as either.
#[derive(Debug, Default)]
pub(crate) struct SharedRate {
    interval: AtomicU64,
    depth: AtomicU64,
}

impl SharedRate {
    pub(crate) fn get(&self) -> Rate {
        Rate { interval: self.interval.load(Ordering::Relaxed), depth: self.depth.load(Ordering::Relaxed) }
    }

    pub(crate) fn set(&self, rate: &Rate) {
        self.interval.store(rate.interval, Ordering::Relaxed);
        self.depth.store(rate.depth, Ordering::Relaxed);
    }
}

/// The state of one bucket; full at first. Thread-safe, without a lock.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU64);

/// What came of asking for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// There was one; if it was the last, the moment of the next.
    Taken(Option<u64>),
    /// There was none; the moment of the next.
    None(u64),
}

impl Level {
    /// Takes a token at `now`, if there is one.
    pub(crate) fn take(&self, rate: &Rate, now: u64) -> Token {
        let mut full_at = self.0.load(Ordering::Relaxed);
        loop {
            let ready = rate.ready_at(full_at.max(now));
            if ready > now {
                return Token::None(ready);
            }
            let after = rate.full_after(full_at, now);
            // Relaxed: the word guards nothing but itself.
            match self.0.compare_exchange_weak(full_at, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let next = rate.ready_at(after);
                    return Token::Taken((next > now).then_some(next));
                }
                Err(other) => full_at = other,
            }
        }
    }

    /// Gives a token back that was taken and not used.
    pub(crate) fn give_back(&self, rate: &Rate) {
        let back = |full_at: u64| Some(rate.full_with_one_back(full_at));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// Nanoseconds from `now` until there is a token; 0 if there is one.
    pub(crate) fn wait(&self, rate: &Rate, now: u64) -> u64 {
        rate.ready_at(self.0.load(Ordering::Relaxed).max(now)).saturating_sub(now)
    }
}

/// A bucket with its rate. Thread-safe, without a lock.
#[derive(Debug)]
pub struct TokenBucket {
    rate: Rate,
    level: Level,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, level: Level::default() }
    }

    /// Takes a token if there is one; `now` in nanoseconds on a steady clock.
    pub fn try_acquire(&self, now: u64) -> bool {
        matches!(self.level.take(&self.rate, now), Token::Taken(_))
    }

    /// Nanoseconds until there is a token; 0 if there is one.
    #[must_use]
    pub fn wait(&self, now: u64) -> u64 {
        self.level.wait(&self.rate, now)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_then_one_per_interval() {
        let bucket = TokenBucket::new(Rate::new(10.0, 1.0, Some(3.0)).unwrap());
        let start = 50 * SECOND;
        assert_eq!((0..5).filter(|_| bucket.try_acquire(start)).count(), 3);
        assert_eq!(bucket.wait(start), SECOND / 10);
        assert!(!bucket.try_acquire(start + SECOND / 10 - 1));
        assert!(bucket.try_acquire(start + SECOND / 10));
        assert!(!bucket.try_acquire(start + SECOND / 10));
        // Idle for long, it holds no more than its burst.
        assert_eq!((0..9).filter(|_| bucket.try_acquire(start + 100 * SECOND)).count(), 3);
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_gives_nothing_for_free() {
        let bucket = TokenBucket::new(Rate::new(1.0, 1.0, None).unwrap());
        assert!(bucket.try_acquire(10 * SECOND));
        assert!(!bucket.try_acquire(9 * SECOND));
        assert!(!bucket.try_acquire(0));
        assert!(bucket.try_acquire(11 * SECOND));
    }

    #[test]
    fn a_token_given_back_can_be_taken_again() {
        let rate = Rate::new(1.0, 1.0, None).unwrap();
        let level = Level::default();
        assert_eq!(level.take(&rate, SECOND), Token::Taken(Some(2 * SECOND)));
        assert_eq!(level.take(&rate, SECOND), Token::None(2 * SECOND));
        level.give_back(&rate);
        assert_eq!(level.wait(&rate, SECOND), 0);
    }

    #[test]
    fn refuses_what_is_no_rate() {
        for (requests, seconds, burst) in
            [(0.0, 1.0, None), (-1.0, 1.0, None), (f64::NAN, 1.0, None), (1.0, 0.0, None), (1.0, 1.0, Some(0.0))]
        {
            assert!(Rate::new(requests, seconds, burst).is_err());
        }
        assert!(TokenBucket::new(Rate::new(0.5, 1.0, None).unwrap()).try_acquire(0), "half a request a second is one");
    }
}
