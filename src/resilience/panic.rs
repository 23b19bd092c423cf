//! The panic guard: while nothing succeeds, failures are the target's or the network's, not those of half the pool.
//!
//! After Envoy's panic threshold,
//! <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold>.

use crate::clock::{Clock, nanoseconds};
use crate::pool::{Pool, Table};
use crate::proxy::Proxy;
use crate::proxy::health::reason;
use crate::resilience::settings::Settings;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// In smaller pools half is too few to tell.
const SMALLEST: usize = 4;
/// Pools up to this size are counted anew each time.
const SMALL: usize = 4096;
/// Nanoseconds for which the count of a larger one is believed.
const BELIEVED: u64 = 100_000_000;
/// Successes closer together than this, in nanoseconds, are one: not every end of a request writes to the same place.
const CLOSE: u64 = 100_000_000;

const BENCHED: u32 = reason::UNHEALTHY | reason::RESTING;

/// See the module.
pub(crate) struct Panic {
    // Moments on the steady clock.
    last_success: AtomicU64,
    counted_at: AtomicU64,
    counted: AtomicUsize,
    is_reported: AtomicBool,
}

impl Panic {
    pub(crate) fn new() -> Self {
        Self {
            last_success: AtomicU64::new(0),
            counted_at: AtomicU64::new(0),
            counted: AtomicUsize::new(0),
            is_reported: AtomicBool::new(false),
        }
    }

    /// Something has succeeded.
    #[inline]
    pub(crate) fn calm(&self, now: u64) {
        // Relaxed: a moment more or less decides nothing.
        if now.saturating_sub(self.last_success.load(Ordering::Relaxed)) > CLOSE {
            self.last_success.store(now, Ordering::Relaxed);
            self.is_reported.store(false, Ordering::Relaxed);
        }
    }

    /// Whether one more failure is to be held against `proxy`: no if nothing has succeeded lately and with it more than the
    /// allowed share of the pool would be benched.
    pub(crate) fn holds(&self, pool: &Pool, proxy: &Proxy, settings: &Settings, clock: &dyn Clock) -> bool {
        let size = pool.len();
        if size < SMALLEST {
            return false;
        }
        let now = clock.steady();
        let last = self.last_success.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) < nanoseconds(settings.panic_window) {
            return false;
        }
        let allowed = settings.panic_share * size as f64;
        let table = pool.table();
        // An ineligible proxy may be at its limits. The count is of benched ones, and taken only where they can be
        // enough.
        let out = size.saturating_sub(table.all.dense.len());
        if (out + 1) as f64 <= allowed {
            return false;
        }
        let mut benched = self.count(&table, size, now);
        if proxy.state().has(BENCHED) {
            benched = benched.saturating_sub(1);
        }
        (benched + 1) as f64 > allowed
    }

    fn count(&self, table: &Table, size: usize, now: u64) -> usize {
        let at = self.counted_at.load(Ordering::Relaxed);
        if size > SMALL && at != 0 && now.saturating_sub(at) < BELIEVED {
            return self.counted.load(Ordering::Relaxed);
        }
        let benched = |slot: usize| table.proxy(slot as u32).is_some_and(|proxy| proxy.state().has(BENCHED));
        let count = table.all.members.iter().filter(|slot| benched(*slot)).count();
        self.counted.store(count, Ordering::Relaxed);
        self.counted_at.store(now, Ordering::Relaxed);
        count
    }

    /// Whether it is to be reported: once each time.
    pub(crate) fn is_news(&self) -> bool {
        !self.is_reported.swap(true, Ordering::Relaxed)
    }
}
