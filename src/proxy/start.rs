//! A request's start, and the window in which starts are counted.

use crate::clock::{Clock, Micros};
use crate::proxy::cold::DEFAULT_WINDOW;
use crate::proxy::{NEVER, Proxy, flag, watch, window};
use crate::sync::Ordering;

impl Proxy {
    /// Counts a request as started. An expired counting window is begun anew first.
    #[inline]
    pub fn start(&self, clock: &dyn Clock) {
        if self.start_unannounced(clock) && self.is_watched(watch::COUNTS) {
            self.reindex_in_pools();
        }
    }

    /// The same without telling the pools that the counts have fallen; whether they have.
    #[inline]
    pub(crate) fn start_unannounced(&self, clock: &dyn Clock) -> bool {
        let stamp = clock.stamp();
        let now = stamp.earliest();
        let (length, width) = self.window_shape();
        let begun = self.window_start.load(Ordering::Relaxed);
        let anew = (begun == NEVER || now - begun >= i64::from(length) * 1_000_000) && self.begin_window(begun, clock);
        // Release: a thread that sees an end of this start (by acquiring `finished`) sees the start.
        let before = self.started.fetch_add(1, Ordering::AcqRel);
        self.updated.store(stamp.bits(), Ordering::Relaxed);
        self.minute.count(before, now, width, &self.sliding);
        anew
    }

    /// Takes a start back, as if the proxy had never been chosen.
    pub fn cancel_start(&self, _clock: &dyn Clock) {
        // Never below zero: users may have set the counter in between.
        let taken = self.started.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let left = taken.map_or(0, |before| before - 1);
        let base = self.started_base.load(Ordering::Relaxed);
        if (left.wrapping_sub(base) as i64) < 0 {
            // The start was of a window that has been reset since: the present one has none to give back.
            let _ = self.started_base.compare_exchange(base, left, Ordering::Relaxed, Ordering::Relaxed);
        }
        if self.is_watched(watch::COUNTS) {
            self.reindex_in_pools();
        }
        self.ended_one();
    }

    /// Takes back as many starts as have no end: what has begun them is not in this process.
    pub(crate) fn forget_in_flight(&self, clock: &dyn Clock) {
        for _ in 0..self.usage().2 {
            self.cancel_start(clock);
        }
    }

    pub(super) fn window_shape(&self) -> (u32, i64) {
        if self.flags.load(Ordering::Relaxed) & flag::WINDOW == 0 {
            return (DEFAULT_WINDOW, 60);
        }
        let length = self.cold(|cold| cold.window_duration);
        (length, window::bucket_width(length))
    }

    #[cold]
    pub(super) fn begin_window(&self, seen: i64, clock: &dyn Clock) -> bool {
        let now = clock.wall_exact();
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
    pub(super) fn rebase(&self) {
        let finished = self.finished.load(Ordering::Relaxed);
        let offset = self.in_flight_offset.load(Ordering::Relaxed);
        self.finished_base.store(finished, Ordering::Relaxed);
        self.started_base.store(finished.wrapping_sub(offset as u64), Ordering::Relaxed);
    }

    pub(super) fn zero_window(&self) {
        self.finished_base.store(self.finished.load(Ordering::Relaxed), Ordering::Relaxed);
        self.started_base.store(self.started.load(Ordering::Relaxed), Ordering::Relaxed);
        if self.is_watched(watch::COUNTS) {
            self.reindex_in_pools();
        }
    }

    /// Begins the counting window anew: started and completed are zero, what is in flight is kept.
    pub fn reset_window(&self, clock: &dyn Clock) {
        self.window_start.store(clock.wall_exact(), Ordering::Relaxed);
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
                self.reindex_in_pools();
            }
        }
    }

    /// Moves the start of a window that is over to now; true for the one caller that did.
    pub(super) fn claim_window(&self, clock: &dyn Clock) -> bool {
        let begun = self.window_start.load(Ordering::Relaxed);
        let now = clock.wall();
        begun != NEVER
            && now - begun >= i64::from(self.window_shape().0) * 1_000_000
            && self
                .window_start
                .compare_exchange(begun, clock.wall_exact(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
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
}
