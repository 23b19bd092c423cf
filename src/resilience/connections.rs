//! How many connections in use a proxy may have: the lowest of the limits in force.

use crate::sync::{AtomicU32, Mutex, Ordering};

/// Limits in force. The lowest is kept apart, for requests to read without a lock.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    lowest: AtomicU32,
    all: Mutex<Vec<u32>>,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { lowest: AtomicU32::new(u32::MAX), all: Mutex::new(Vec::new()) }
    }
}

impl ConnectionLimits {
    /// Connections in use that a proxy may have.
    #[inline]
    pub(crate) fn most(&self) -> u32 {
        // Relaxed: a limit is set before the requests that it is for.
        self.lowest.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, most: u32) {
        let mut all = self.all.lock();
        all.push(most);
        self.note(&all);
    }

    pub(crate) fn remove(&self, most: u32) {
        let mut all = self.all.lock();
        if let Some(index) = all.iter().position(|limit| *limit == most) {
            all.swap_remove(index);
        }
        self.note(&all);
    }

    fn note(&self, all: &[u32]) {
        self.lowest.store(all.iter().copied().min().unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_holds_as_long_as_it_is_there() {
        let limits = ConnectionLimits::default();
        assert_eq!(limits.most(), u32::MAX);
        for (add, most) in [(5, 5), (2, 2), (2, 2), (9, 2)] {
            limits.add(add);
            assert_eq!(limits.most(), most);
        }
        for (remove, most) in [(2, 2), (2, 5), (7, 5), (5, 9), (9, u32::MAX)] {
            limits.remove(remove);
            assert_eq!(limits.most(), most);
        }
    }
}
