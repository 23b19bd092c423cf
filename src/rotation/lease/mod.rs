//! A lease: one proxy, taken for one piece of work, until its outcome is reported.

mod bytes;
mod end;
#[cfg(all(test, loom))]
mod model;
mod suspect;
mod take;

use crate::clock::{Clock, SystemClock};
use crate::fork;
use crate::proxy::Proxy;
use crate::proxy::money::Money;
use crate::resilience::guard::Admitted;
use crate::resilience::site::Site;
use crate::resilience::standing::{Admission, SiteOutcome};
use crate::rotation::Domain;
use crate::strategy::Shared;
use crate::sync::{Arc, AtomicBool, Ordering};
pub use bytes::Bill;
use bytes::Meter;
pub use end::Ending;
pub use suspect::{Suspicion, conclude};
pub use take::LeaseRequest;

/// What a lease is about. An embedding program that keeps all three alive by objects of its own gives those: a lease then
/// touches no count that threads contend for.
pub trait References: Send + Sync {
    /// The pool that the proxy was taken from.
    fn pool(&self) -> &Arc<Domain>;
    /// The proxy.
    fn proxy(&self) -> &Arc<Proxy>;
    /// The strategy that chose it.
    fn strategy(&self) -> &Shared;
}

/// The three themselves.
pub struct Owned {
    pool: Arc<Domain>,
    proxy: Arc<Proxy>,
    strategy: Shared,
}

impl References for Owned {
    fn pool(&self) -> &Arc<Domain> {
        &self.pool
    }

    fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    fn strategy(&self) -> &Shared {
        &self.strategy
    }
}

/// One started request on one proxy. The first verdict ends it; dropped without one, it counts as if the proxy had
/// never been chosen.
pub struct Lease<P: References = Owned> {
    references: P,
    taken: Taken,
    meter: Meter,
    closed: AtomicBool,
}

/// What was taken for a request: the start that is counted on the proxy, and more.
pub struct Taken {
    admitted: Admitted,
    at_site: Option<Admission>,
    began: u64,
    // What it costs besides its bytes.
    price: Money,
    // The fork generation of the process that took it.
    taken_in: u32,
}

impl Taken {
    /// Gives it back as if the proxy had never been chosen.
    pub fn give_back(&self, pool: &Domain, proxy: &Arc<Proxy>, clock: &dyn Clock) {
        pool.spending().free(self.price);
        self.undo(pool, proxy, clock);
    }

    fn undo(&self, pool: &Domain, proxy: &Arc<Proxy>, clock: &dyn Clock) {
        proxy.cancel_start(clock);
        if let Some(admission) = &self.at_site {
            pool.settle_at(admission, SiteOutcome::Released, self.began, clock);
        }
        pool.guard().on_inconclusive(proxy, &self.admitted, clock);
    }
}

/// The lease had its verdict already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadyClosed;

impl<P: References> Lease<P> {
    /// An open lease.
    #[inline]
    #[must_use]
    pub fn new(references: P, taken: Taken) -> Self {
        Self { references, taken, meter: Meter::default(), closed: AtomicBool::new(false) }
    }

    /// What it is about.
    #[inline]
    #[must_use]
    pub fn references(&self) -> &P {
        &self.references
    }

    /// The pool it was taken from.
    #[inline]
    #[must_use]
    pub fn pool(&self) -> &Arc<Domain> {
        self.references.pool()
    }

    /// The proxy.
    #[inline]
    #[must_use]
    pub fn proxy(&self) -> &Arc<Proxy> {
        self.references.proxy()
    }

    /// The site that it was taken for.
    #[must_use]
    pub fn site(&self) -> Option<&Arc<Site>> {
        self.taken.at_site.as_ref().map(Admission::site)
    }

    /// The strategy that chose it.
    #[inline]
    #[must_use]
    pub fn strategy(&self) -> &Shared {
        self.references.strategy()
    }

    /// A closed lease of the same references, to inspect one that is gone.
    #[must_use]
    pub fn remains(&self, references: P) -> Self {
        let Taken { began, taken_in, .. } = self.taken;
        let taken = Taken { admitted: Admitted::default(), at_site: None, began, price: Money::ZERO, taken_in };
        Self { references, taken, meter: Meter::default(), closed: AtomicBool::new(true) }
    }

    /// Whether the verdict has been given.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Milliseconds since it was taken.
    #[must_use]
    pub fn elapsed_ms(&self, clock: &dyn Clock) -> f64 {
        clock.steady().saturating_sub(self.taken.began) as f64 / 1e6
    }

    /// Whether it was taken before a fork: its start is counted in the parent.
    #[inline]
    fn is_inherited(&self) -> bool {
        self.taken.taken_in != fork::generation() as u32
    }

    /// Claims the right to end the lease.
    fn close(&self) -> Result<(), AlreadyClosed> {
        // Acquire and release are not needed: the flag guards nothing but the right to record, which uses its own atomics.
        if self.closed.swap(true, Ordering::Relaxed) { Err(AlreadyClosed) } else { Ok(()) }
    }

    /// What was admitted, as this process counts it. A fork's child has forgotten the start with all others: it counts after
    /// all, with its end, and the connection stays the parent's.
    fn admitted_here(&self, clock: &dyn Clock) -> Admitted {
        if !self.is_inherited() {
            return self.taken.admitted;
        }
        self.proxy().start(clock);
        self.taken.admitted.without_connection()
    }

    /// Whether a new connection may leave by another exit: a gateway's does, and the only proxy may be a gateway without
    /// saying so, unless the site has named a time for it (`is_held`).
    #[must_use]
    pub fn has_exits(&self, is_held: bool) -> bool {
        self.proxy().is_rotating() || (!is_held && self.pool().len() == 1)
    }

    /// Whether only a row of sites can lay failures at the door of the proxy: there is no other to compare it with, or it
    /// has many exits.
    fn is_alone(&self) -> bool {
        self.pool().len() == 1 || self.proxy().is_rotating()
    }
}

impl<P: References> Drop for Lease<P> {
    fn drop(&mut self) {
        if !self.is_closed() {
            // An open lease can only be given back: its outcome is not known any more.
            let _ = self.release(&SystemClock);
        }
    }
}
