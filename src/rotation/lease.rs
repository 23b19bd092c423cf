//! A lease: one proxy, taken for one piece of work, until its outcome is told.

use crate::clock::{Clock, SystemClock};
use crate::proxy::{Proxy, Verdict};
use crate::rotation::outcome::Outcome;
use crate::strategy::Shared;
use crate::sync::{Arc, AtomicBool, Ordering};

/// One started request on one proxy. Ended exactly once, by whoever comes first; dropped without a verdict it is as if the
/// proxy had never been chosen.
pub struct Lease {
    proxy: Arc<Proxy>,
    strategy: Shared,
    began: u64,
    closed: AtomicBool,
}

/// The lease had its verdict already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyClosed;

impl Lease {
    /// A lease on a proxy whose start has been counted. The result goes to the strategy that chose it, whichever is active
    /// by then.
    #[must_use]
    pub fn new(proxy: Arc<Proxy>, strategy: Shared, clock: &dyn Clock) -> Self {
        Self { proxy, strategy, began: clock.steady(), closed: AtomicBool::new(false) }
    }

    /// The proxy.
    #[must_use]
    pub fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    /// Whether the verdict has been given.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Milliseconds since it was taken.
    #[must_use]
    pub fn elapsed_ms(&self, clock: &dyn Clock) -> f64 {
        clock.steady().saturating_sub(self.began) as f64 / 1e6
    }

    /// Claims the right to end the lease.
    fn close(&self) -> Result<(), AlreadyClosed> {
        // Acquire and release are not needed: the flag guards nothing but the right to record, which uses its own atomics.
        if self.closed.swap(true, Ordering::Relaxed) { Err(AlreadyClosed) } else { Ok(()) }
    }

    /// Ends the lease. `elapsed_ms` is measured from its beginning where it is not given.
    ///
    /// # Errors
    /// [`AlreadyClosed`] for a second verdict; nothing is recorded then.
    pub fn finish(&self, outcome: Outcome, elapsed_ms: Option<f64>, clock: &dyn Clock) -> Result<(), AlreadyClosed> {
        self.close()?;
        let elapsed = elapsed_ms.unwrap_or_else(|| self.elapsed_ms(clock));
        self.settle(outcome.verdict(elapsed), clock);
        Ok(())
    }

    /// Ends the lease as if the proxy had never been chosen.
    ///
    /// # Errors
    /// [`AlreadyClosed`] after a verdict.
    pub fn release(&self, clock: &dyn Clock) -> Result<(), AlreadyClosed> {
        self.close()?;
        self.settle(None, clock);
        Ok(())
    }

    fn settle(&self, verdict: Option<Verdict>, clock: &dyn Clock) {
        match verdict {
            Some(verdict) => self.strategy.record(&self.proxy, verdict, clock),
            None => self.proxy.take_back(clock),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_closed() {
            // An open lease can only be given back: its outcome is not known to anybody any more.
            let _ = self.release(&SystemClock);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::clock::ManualClock;
    use crate::proxy::address::Address;
    use crate::proxy::health::Source;
    use crate::strategy::round_robin::RoundRobin;
    use crate::sync::model;
    use loom::thread;

    // Fails when `close` looks and then stores.
    #[test]
    fn of_two_verdicts_and_a_drop_one_counts() {
        model(|| {
            let clock = ManualClock::at(0);
            let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
            proxy.start(&clock);
            let lease = Arc::new(Lease::new(proxy.clone(), Arc::new(RoundRobin::default()), &clock));
            let other = thread::spawn({
                let lease = lease.clone();
                move || lease.finish(Outcome::ProxyDown, Some(1.0), &ManualClock::at(0)).is_ok()
            });
            let mine = lease.release(&clock).is_ok();
            // Whichever of the two lets go last drops the lease, which must add nothing.
            drop(lease);
            let theirs = other.join().unwrap();
            assert!(mine != theirs, "{mine} and {theirs}");
            let expected = if theirs { ((1, 1, 0), (1, 0, 1)) } else { ((0, 0, 0), (0, 0, 0)) };
            assert_eq!((proxy.usage(), proxy.totals()), expected);
        });
    }
}
