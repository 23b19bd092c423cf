//! How many requests a proxy started lately: sixty buckets that slide, each a minute wide or a sixtieth of a longer window.

use crate::clock::Micros;
use crate::proxy::OncePointer;
use crate::sync::{AtomicU64, Ordering};

/// Buckets kept for a window, whatever its length.
pub const BUCKETS: usize = 60;

const MINUTE: i64 = 60;

/// The minute being counted: its number, and the proxy's starts when it began, in one word. Most requests find the minute
/// as it is and write nothing.
#[derive(Debug)]
pub(crate) struct Minute(AtomicU64);

const NO_MINUTE: u64 = 0;

/// Past minutes of one proxy. Made when its second minute begins.
#[derive(Debug)]
pub(crate) struct SlidingCount {
    // number << 32 | count: an entry is of the window if its number is.
    past: [AtomicU64; BUCKETS],
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

fn pack(number: u32, rest: u32) -> u64 {
    u64::from(number) << 32 | u64::from(rest)
}

/// Starts since the minute began; none if more were taken back since.
fn since(started: u64, minute: u64) -> u32 {
    let count = (started as u32).wrapping_sub(minute as u32);
    if count > u32::MAX / 2 { 0 } else { count }
}

impl Minute {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(NO_MINUTE))
    }

    /// Counts a start; `before` is the number of all starts before it.
    #[inline]
    pub(crate) fn count(&self, before: u64, now: Micros, width: i64, past: &OncePointer<SlidingCount>) {
        let present = number(now, width);
        let seen = self.0.load(Ordering::Relaxed);
        if (seen >> 32) as u32 != present {
            self.turn(seen, present, before, past);
        }
    }

    #[cold]
    fn turn(&self, seen: u64, present: u32, before: u64, past: &OncePointer<SlidingCount>) {
        if present.wrapping_add(1) == (seen >> 32) as u32 {
            // Not a clock that was set back, but a thread that read it just before the minute was over: its start counts
            // in the new one, since the old one is filed.
            return;
        }
        let next = pack(present, before as u32);
        // The thread that turns the minute files the old one; starts that others count meanwhile are in the new one.
        if self.0.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() && seen != NO_MINUTE {
            let old = (seen >> 32) as u32;
            let count = since(before, seen);
            // A clock that was set back makes an old minute come again: what it held is replaced.
            past.get_or_init(SlidingCount::new).past[old as usize % BUCKETS].store(pack(old, count), Ordering::Relaxed);
        }
    }

    /// Start of each bucket inside the window (seconds since 1970) that holds something, with its count, oldest first.
    pub(crate) fn buckets(
        &self,
        started: u64,
        now: Micros,
        window: u32,
        past: &OncePointer<SlidingCount>,
    ) -> Vec<(i64, u64)> {
        let width = bucket_width(window);
        let present = number(now, width);
        let span = ((i64::from(window) + width - 1) / width).clamp(1, BUCKETS as i64) as u32;
        let inside = |number: u32| number <= present && present - number < span;
        let mut found = Vec::new();
        if let Some(sliding) = past.get() {
            for entry in &sliding.past {
                let entry = entry.load(Ordering::Relaxed);
                found.push(((entry >> 32) as u32, entry as u32));
            }
        }
        let current = self.0.load(Ordering::Relaxed);
        if current != NO_MINUTE {
            found.push(((current >> 32) as u32, since(started, current)));
        }
        found.retain(|(number, count)| *count > 0 && inside(*number));
        found.sort_unstable();
        found.into_iter().map(|(number, count)| (i64::from(number) * width, u64::from(count))).collect()
    }
}

impl SlidingCount {
    fn new() -> Self {
        Self { past: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    struct Counted(Minute, OncePointer<SlidingCount>, u64);

    impl Counted {
        fn start(&mut self, now: Micros) {
            self.0.count(self.2, now, 60, &self.1);
            self.2 += 1;
        }

        fn buckets(&self, now: Micros) -> Vec<(i64, u64)> {
            self.0.buckets(self.2, now, 3600, &self.1)
        }

        fn total(&self, now: Micros) -> u64 {
            self.buckets(now).iter().map(|bucket| bucket.1).sum()
        }
    }

    #[test]
    fn slides_by_minutes_and_forgets_what_left() {
        let start = 1_700_000_040 * SECOND;
        let mut count = Counted(Minute::new(), OncePointer::empty(), 0);
        for _ in 0..5 {
            count.start(start);
        }
        assert_eq!(count.total(start), 5);
        assert!(count.1.get().is_none(), "one minute needs no past");
        count.start(start + 60 * SECOND);
        assert_eq!(count.buckets(start + 60 * SECOND), [(1_700_000_040, 5), (1_700_000_100, 1)]);
        assert_eq!(count.total(start + 3600 * SECOND), 1);
        assert_eq!(count.total(start + 7200 * SECOND), 0);
    }

    #[test]
    fn widens_its_buckets_for_long_windows() {
        assert_eq!(bucket_width(60), 60);
        assert_eq!(bucket_width(3600), 60);
        assert_eq!(bucket_width(7200), 120);
    }
}
