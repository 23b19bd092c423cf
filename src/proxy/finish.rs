//! A request's end, and what it says of the proxy.

use crate::clock::{Clock, Stamp};
use crate::proxy::health::{Health, mark, reason};
use crate::proxy::liveness::capacity::{self, Bound};
use crate::proxy::weight::{bucket_of, latency_weight, with_floor};
use crate::proxy::{Proxy, State, Verdict, flag, rate, watch};
use crate::sync::Ordering;

/// Signs of failures that a good result clears.
const FALLEN: u32 = reason::UNHEALTHY | reason::RESTING | mark::ON_TRIAL | mark::PANIC_EXEMPT;

impl Proxy {
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
        self.ended_one();
    }

    /// One request less is in flight: the limit on it may have room again.
    #[inline]
    pub(crate) fn ended_one(&self) {
        if self.is_watched(watch::CAPACITY) && self.newest_state().has(reason::AT_CAPACITY) {
            capacity::recheck(self, Bound::InFlight);
        }
    }

    /// What is in flight never falls below zero: an end without a start is remembered, so that the next start counts.
    #[cold]
    pub(super) fn end_without_start(&self, started: u64, finished: u64) {
        let missing = finished.wrapping_sub(started) as i64;
        self.in_flight_offset.fetch_max(missing, Ordering::Relaxed);
    }

    /// Records a result without a start.
    pub fn record(&self, verdict: Verdict, alpha: Option<f64>, clock: &dyn Clock) {
        let now = clock.stamp();
        self.updated.store(now.bits(), Ordering::Relaxed);
        match verdict {
            Verdict::Success(ms) => self.succeed(ms, alpha, now),
            Verdict::Failure(_) => self.fail(now, clock),
            Verdict::Refused => {
                self.others.fetch_add(1, Ordering::Relaxed);
                self.result_without_success();
                let (before, _) = self.change(|state| match state.failures() {
                    0 if !state.has(FALLEN) => state,
                    _ => state.with_failures(0).with_health(Health::Healthy).failures_cleared(),
                });
                self.after_good(before);
            }
            Verdict::Elsewhere => {
                self.others.fetch_add(1, Ordering::Relaxed);
                self.result_without_success();
            }
        }
    }

    pub(super) fn succeed(&self, ms: f64, alpha: Option<f64>, now: Stamp) {
        let successes = self.successes.fetch_add(1, Ordering::Relaxed) + 1;
        self.last_success.store(now.bits(), Ordering::Relaxed);
        self.update_latency(ms, alpha);
        // Stored only on change, which keeps the line shared between readers on other cores.
        let (before, _) = self.change(|state| state.with_failures(0).with_health(Health::Healthy).failures_cleared());
        self.after_good(before);
        if self.is_watched(watch::RATE) {
            let total = self.total();
            self.rate_changed(rate(successes - 1, total.saturating_sub(1)), rate(successes, total));
        }
    }

    /// A good result ends whatever bad ones had brought about.
    #[inline]
    fn after_good(&self, before: State) {
        if before.has(FALLEN) {
            self.note_revived();
        }
    }

    pub(super) fn fail(&self, now: Stamp, clock: &dyn Clock) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.result_without_success();
        self.last_failure.store(now.bits(), Ordering::Relaxed);
        self.fail_in_a_row(1, clock);
    }

    /// Turns results that were booked as neither into failures, once it is known whose fault they were. `in_a_row`: how many
    /// of them were not sent before an earlier one was known.
    pub(crate) fn rebook_as_failures(&self, results: u32, in_a_row: u32, clock: &dyn Clock) {
        self.others.fetch_sub(i64::from(results), Ordering::Relaxed);
        self.failures.fetch_add(u64::from(results), Ordering::Relaxed);
        let now = clock.wall_exact();
        self.last_failure.store(now, Ordering::Relaxed);
        self.updated.store(now, Ordering::Relaxed);
        if in_a_row > 0 {
            self.fail_in_a_row(in_a_row, clock);
        }
    }

    fn fail_in_a_row(&self, more: u32, clock: &dyn Clock) {
        let (_, state) = self.change(|state| {
            let in_a_row = state.failures().saturating_add(more);
            state.with_failures(in_a_row).with_health(Health::after_failures(in_a_row))
        });
        // Judging the outcome of a lease has set the proxy to rest, or made it exempt, beforehand.
        let judged = state.has(reason::RESTING | mark::PANIC_EXEMPT);
        if !judged && !state.health().is_usable() {
            for pool in self.observers() {
                pool.note_fallen(self, clock);
            }
        }
        if state.health() == Health::Dead {
            for pool in self.observers() {
                pool.note_dead(self, state.failures());
            }
        }
    }

    pub(super) fn result_without_success(&self) {
        if self.is_watched(watch::RATE) {
            let (total, successes, _) = self.totals();
            self.rate_changed(rate(successes, total.saturating_sub(1)), rate(successes, total));
        }
    }

    pub(super) fn rate_changed(&self, before: f64, after: f64) {
        if bucket_of(with_floor(before)) != bucket_of(with_floor(after)) {
            self.reindex_in_pools();
        }
    }

    /// The moving averages after one more sample: the first value initialises, later ones count by `alpha`.
    pub fn update_latency(&self, ms: f64, alpha: Option<f64>) {
        if !(ms.is_finite() && ms >= 0.0) {
            return;
        }
        self.latency.set(Some(ms));
        let alpha = alpha.unwrap_or_else(|| self.ema_alpha());
        let step = |old: Option<f64>| moving_average(old, ms, alpha);
        let (before, after) = self.ema.update(step);
        if self.flags.load(Ordering::Relaxed) & flag::AVERAGE != 0 {
            self.set_cold(|cold| cold.average_ms = Some(step(cold.average_ms)));
        }
        if self.is_watched(watch::LATENCY) && before.map(latency_bucket) != Some(latency_bucket(after)) {
            self.reindex_in_pools();
        }
    }
}

/// An exponential moving average after one more sample, which counts by `alpha`; the first one is the average.
#[must_use]
pub fn moving_average(before: Option<f64>, sample: f64, alpha: f64) -> f64 {
    before.map_or(sample, |before| alpha * sample + (1.0 - alpha) * before)
}

fn latency_bucket(ms: f64) -> u8 {
    bucket_of(latency_weight(ms))
}
