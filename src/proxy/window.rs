//! How many requests a proxy started lately: sixty buckets that slide, each a minute wide or a sixtieth of a longer window.

use crate::clock::Micros;
use crate::sync::{AtomicU16, AtomicU32, OnceLock, Ordering};

/// Buckets kept for a window, whatever its length.
pub const BUCKETS: usize = 60;

const MINUTE: i64 = 60;

/// The sliding counters of one proxy. Made at its first request.
#[derive(Debug)]
pub(crate) struct SlidingCount {
    // Sixteen bits hold any minute of real traffic; what runs over is carried into `high`, which few proxies ever need.
    low: [AtomicU16; BUCKETS],
    high: OnceLock<Box<[AtomicU16; BUCKETS]>>,
    newest: AtomicU32,
}

/// Width of a bucket in seconds for a window of `window` seconds: whole minutes, so that keys have no seconds.
pub(crate) fn bucket_width(window: u32) -> i64 {
    let minutes = (i64::from(window) + MINUTE * BUCKETS as i64 - 1) / (MINUTE * BUCKETS as i64);
    minutes.max(1) * MINUTE
}

fn number(now: Micros, width: i64) -> u32 {
    // Seconds since 1970 divided by at least 60 fit 32 bits for eight thousand years.
    (now.div_euclid(1_000_000) / width).clamp(0, i64::from(u32::MAX)) as u32
}

impl SlidingCount {
    pub(crate) fn new(now: Micros, width: i64) -> Self {
        Self {
            low: std::array::from_fn(|_| AtomicU16::new(0)),
            high: OnceLock::new(),
            newest: AtomicU32::new(number(now, width)),
        }
    }

    fn clear(&self, index: usize) {
        self.low[index].store(0, Ordering::Relaxed);
        if let Some(high) = self.high.get() {
            high[index].store(0, Ordering::Relaxed);
        }
    }

    /// Moves the window so that `bucket` is its newest, clearing what it passes.
    fn slide_to(&self, bucket: u32) {
        let newest = self.newest.load(Ordering::Acquire);
        if bucket <= newest {
            return;
        }
        // One thread wins the move and clears; a start counted by another between the two may be lost with the bucket
        // it belongs to, once a minute at most, and the totals elsewhere do not depend on it.
        if self.newest.compare_exchange(newest, bucket, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            let steps = (bucket - newest).min(BUCKETS as u32);
            for step in 0..steps {
                self.clear(((bucket - step) as usize) % BUCKETS);
            }
        }
    }

    pub(crate) fn count(&self, now: Micros, width: i64) {
        let bucket = number(now, width);
        self.slide_to(bucket);
        let index = bucket as usize % BUCKETS;
        // Relaxed: counters publish nothing but themselves.
        if self.low[index].fetch_add(1, Ordering::Relaxed) == u16::MAX {
            let high = self.high.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU16::new(0))));
            high[index].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes one count back, if any is left in the bucket of `now`.
    pub(crate) fn uncount(&self, now: Micros, width: i64) {
        let index = number(now, width) as usize % BUCKETS;
        let _ = self.low[index].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }

    /// Start of each bucket inside the window (seconds since 1970) that holds something, with its count, oldest first.
    pub(crate) fn buckets(&self, now: Micros, window: u32) -> Vec<(i64, u64)> {
        let width = bucket_width(window);
        let current = number(now, width);
        self.slide_to(current);
        let span = ((i64::from(window) + width - 1) / width).clamp(1, BUCKETS as i64) as u32;
        (0..span)
            .rev()
            .filter_map(|back| {
                let bucket = current.checked_sub(back)?;
                let index = bucket as usize % BUCKETS;
                let high = self.high.get().map_or(0, |high| high[index].load(Ordering::Relaxed));
                let count = u64::from(self.low[index].load(Ordering::Relaxed)) + (u64::from(high) << 16);
                (count > 0).then_some((i64::from(bucket) * width, count))
            })
            .collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    #[test]
    fn slides_by_minutes_and_forgets_what_left() {
        let start = 1_700_000_040 * SECOND;
        let count = SlidingCount::new(start, 60);
        for _ in 0..5 {
            count.count(start, 60);
        }
        count.count(start + 60 * SECOND, 60);
        let total = |now| count.buckets(now, 3600).iter().map(|b| b.1).sum::<u64>();
        assert_eq!(total(start + 60 * SECOND), 6);
        assert_eq!(count.buckets(start + 60 * SECOND, 3600).len(), 2);
        assert_eq!(total(start + 3600 * SECOND), 1);
        assert_eq!(total(start + 7200 * SECOND), 0);
    }

    #[test]
    fn carries_past_sixteen_bits() {
        let now = 1_700_000_000 * SECOND;
        let count = SlidingCount::new(now, 60);
        for _ in 0..70_000 {
            count.count(now, 60);
        }
        assert_eq!(count.buckets(now, 3600)[0].1, 70_000);
    }

    #[test]
    fn widens_its_buckets_for_long_windows() {
        assert_eq!(bucket_width(60), 60);
        assert_eq!(bucket_width(3600), 60);
        assert_eq!(bucket_width(7200), 120);
    }
}
