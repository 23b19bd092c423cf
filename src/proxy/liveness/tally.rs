//! How many successes lately: six counters that take turns, so that the hot path neither locks nor allocates.

use crate::sync::{AtomicU64, Ordering};

/// Parts of a window. What is counted covers five to six of them.
pub(crate) const PARTS: u64 = 6;

/// See the module. Each entry is the number of its part (32 bits) and a count (32).
#[derive(Debug)]
pub(crate) struct Tally([AtomicU64; PARTS as usize]);

fn part(now: u64, window: u64) -> u32 {
    // The numbers wrap after centuries of even the shortest windows in use; equality is all they are asked for.
    (now / (window / PARTS).max(1)) as u32
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Counts one.
    #[inline]
    pub(crate) fn count(&self, now: u64, window: u64) {
        let part = part(now, window);
        let entry = &self.0[part as usize % PARTS as usize];
        let seen = entry.load(Ordering::Relaxed);
        if (seen >> 32) as u32 == part {
            // Relaxed: the counters publish nothing but themselves. One that lands in a part just begun is a success of now.
            entry.fetch_add(1, Ordering::Relaxed);
        } else {
            // A thread that loses this exchange has seen another begin the part; one success less decides nothing.
            let _ = entry.compare_exchange(seen, u64::from(part) << 32 | 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// How many there were from the part of `since` on.
    pub(crate) fn sum(&self, now: u64, since: u64, window: u64) -> u64 {
        let (present, first) = (part(now, window), part(since, window));
        let span = present.wrapping_sub(first).min(PARTS as u32 - 1);
        let inside = |entry: u64| present.wrapping_sub((entry >> 32) as u32) <= span;
        self.0
            .iter()
            .map(|entry| entry.load(Ordering::Relaxed))
            .filter(|entry| inside(*entry))
            .map(|e| e & 0xffff_ffff)
            .sum()
    }

    pub(crate) fn clear(&self) {
        for entry in &self.0 {
            entry.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_of_the_window_and_forgets_the_rest() {
        let (window, start) = (60, 6_000);
        let tally = Tally::new();
        for now in start..start + 60 {
            tally.count(now, window);
        }
        assert_eq!(tally.sum(start + 59, start, window), 60);
        assert_eq!(tally.sum(start + 59, start + 50, window), 10);
        // Ten later the first part is over.
        assert_eq!(tally.sum(start + 69, start + 10, window), 50);
        assert_eq!(tally.sum(start + 200, start + 141, window), 0);
        tally.count(start + 200, window);
        assert_eq!(tally.sum(start + 200, start + 141, window), 1);
    }
}
