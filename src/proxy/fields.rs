//! The fields that users read and write.

use crate::clock::{Clock, Micros, Stamp, exact_wall};
use crate::proxy::cold::{Cold, DEFAULT_ALPHA, DEFAULT_WINDOW};
use crate::proxy::health::{Source, reason};
use crate::proxy::{Id, NEVER, Proxy, flag, rate};
use crate::sync::{AtomicI64, AtomicU64, Ordering};

impl Proxy {
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
        let observers = self.observers();
        self.id[0].store(id.0, Ordering::Relaxed);
        self.id[1].store(id.1, Ordering::Relaxed);
        for pool in observers {
            pool.rekey(self, old);
        }
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::from_number(self.source.load(Ordering::Relaxed))
    }

    /// Whether it must not lie in the user's own network: others have named it, and the user does not allow it.
    #[must_use]
    pub fn must_be_public(&self) -> bool {
        !self.source().may_be_local(self.cold(|cold| cold.allow_local))
    }

    /// Sets where it came from.
    pub fn set_source(&self, source: Source) {
        self.source.store(source as u8, Ordering::Relaxed);
        self.reindex_in_pools();
    }

    /// Reads the cold part, or the defaults where there is none.
    pub fn cold<R>(&self, read: impl FnOnce(&Cold) -> R) -> R {
        static DEFAULTS: std::sync::LazyLock<Cold> = std::sync::LazyLock::new(Cold::default);
        match &self.inner.lock().cold {
            Some(cold) => read(cold),
            None => read(&DEFAULTS),
        }
    }

    /// Whether each new connection leaves by another exit address, as a gateway's do.
    #[inline]
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & flag::ROTATING != 0
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
            if self.keep_prices(cold) {
                flags |= flag::COST;
            }
            if cold.rotating {
                flags |= flag::ROTATING;
            }
            self.flags.store(flags, Ordering::Relaxed);
            (result, cold.expires_at)
        };
        // Only ever cleared here: the next selection notices that a time has come.
        if self.reasons() & reason::EXPIRED != 0 && expiry.is_none_or(|at| at >= exact_wall()) {
            self.set_reason(reason::EXPIRED, false);
        }
        self.reindex_in_pools();
        result
    }

    /// Sets its time to live in seconds; it expires so long after it was made.
    pub fn set_ttl(&self, seconds: Option<i64>) {
        let created = self.time(Moment::Created).unwrap_or_default();
        self.set_cold(|cold| {
            cold.ttl = seconds;
            if let Some(seconds) = seconds {
                cold.expires_at = Some(end_of_life(created, seconds));
            }
        });
    }

    /// Sets when it stops being offered.
    pub fn set_expiry(&self, at: Option<Micros>, clock: &dyn Clock) {
        self.set_cold(|cold| cold.expires_at = at);
        // A selection looks at a clock that lags: a time in the past holds from now on.
        if self.is_expired(clock) {
            self.set_reason(reason::EXPIRED, true);
        }
    }

    /// Sets the length of its counting window in seconds, at least 1.
    pub fn set_window_duration(&self, seconds: u32) {
        if self.store_window_duration(seconds) {
            self.reindex_in_pools();
        }
    }

    /// The same without telling the pools that hold it; whether it has changed.
    pub(crate) fn store_window_duration(&self, seconds: u32) -> bool {
        let mut inner = self.inner.lock();
        let held = inner.cold.as_ref().map_or(DEFAULT_WINDOW, |cold| cold.window_duration);
        if held == seconds {
            return false;
        }
        inner.cold.get_or_insert_default().window_duration = seconds;
        // Under the lock that every writer of the flags holds.
        let flags = self.flags.load(Ordering::Relaxed) & !flag::WINDOW;
        self.flags.store(if seconds == DEFAULT_WINDOW { flags } else { flags | flag::WINDOW }, Ordering::Relaxed);
        true
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

    /// Moving average of the time to answer, in milliseconds.
    #[inline]
    #[must_use]
    pub fn ema(&self) -> Option<f64> {
        self.ema.get()
    }

    /// The second moving average of the documented API.
    #[must_use]
    pub fn average(&self) -> Option<f64> {
        // One arithmetic serves both until one of them is assigned.
        if self.flags.load(Ordering::Relaxed) & flag::AVERAGE == 0 {
            self.ema.get()
        } else {
            self.cold(|cold| cold.average_ms)
        }
    }

    pub(super) fn part_averages(&self) {
        if self.flags.load(Ordering::Relaxed) & flag::AVERAGE == 0 {
            let common = self.ema.get();
            self.set_cold(|cold| cold.average_ms = common);
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
        self.reindex_in_pools();
    }

    /// Sets the second moving average.
    pub fn set_average(&self, ms: Option<f64>) {
        self.part_averages();
        self.set_cold(|cold| cold.average_ms = ms);
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

    /// Whether its first requests are in flight and none has succeeded yet.
    #[inline]
    #[must_use]
    pub(crate) fn is_being_tried(&self) -> bool {
        self.successes.load(Ordering::Relaxed) == 0 && self.usage().2 > 0
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
        self.reindex_in_pools();
    }

    /// Failures since the last success.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.state().failures()
    }

    /// One of its times, if it has come.
    #[must_use]
    pub fn time(&self, which: Moment) -> Option<Micros> {
        let moment = self.moment(which);
        let bits = moment.load(Ordering::Relaxed);
        if bits == NEVER {
            return None;
        }
        let shown = Stamp::from_bits(bits).shown();
        if bits != shown {
            // Kept as it was shown, so that it is the same whenever it is read; unless there is a newer one meanwhile.
            let _ = moment.compare_exchange(bits, shown, Ordering::Relaxed, Ordering::Relaxed);
        }
        Some(shown)
    }

    /// Sets one of its times.
    pub fn set_time(&self, which: Moment, at: Option<Micros>) {
        self.moment(which).store(at.unwrap_or(NEVER), Ordering::Relaxed);
        if which == Moment::WindowStart {
            self.reindex_in_pools();
        }
    }

    pub(super) fn moment(&self, which: Moment) -> &AtomicI64 {
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

/// When a proxy made at that time, to live so many seconds, expires.
#[must_use]
pub fn end_of_life(created: Micros, ttl: i64) -> Micros {
    created.saturating_add(ttl.saturating_mul(1_000_000))
}

fn saturate(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
