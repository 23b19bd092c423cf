//! Bytes that went through a lease, and what they cost.

use crate::proxy::money::Money;
use crate::sync::{AtomicU64, Ordering};

use super::{Lease, References};

/// What went through a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bill {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// What they and the request cost.
    pub spent: Money,
}

/// The counters of a lease: all, and what was reported of it. Relaxed throughout: each number is right by itself.
#[derive(Default)]
pub(super) struct Meter {
    sent: AtomicU64,
    received: AtomicU64,
    spent: AtomicU64,
    reported: [AtomicU64; 3],
}

impl Meter {
    fn bill(&self) -> Bill {
        Bill {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            spent: Money(self.spent.load(Ordering::Relaxed)),
        }
    }
}

impl<P: References> Lease<P> {
    /// Counts bytes that went through the lease: on it, on its proxy and on its pool. May be called at any time, also after
    /// its end.
    pub fn count(&self, sent: u64, received: u64) {
        if sent == 0 && received == 0 {
            return;
        }
        let cost = self.proxy().count_bytes(sent, received);
        self.pool().spending().count(sent, received, cost);
        self.meter.sent.fetch_add(sent, Ordering::Relaxed);
        self.meter.received.fetch_add(received, Ordering::Relaxed);
        self.meter.spent.fetch_add(cost.0, Ordering::Relaxed);
    }

    /// What went through it so far, and what that cost; the price of the request once it is over.
    #[must_use]
    pub fn bill(&self) -> Bill {
        self.meter.bill()
    }

    /// The part of the bill that was not taken before, for those that keep sums.
    #[must_use]
    pub fn take_bill(&self) -> Bill {
        let bill = self.bill();
        let rest = |now: u64, place: usize| {
            // Threads that take at once take different parts.
            now.saturating_sub(self.meter.reported[place].fetch_max(now, Ordering::Relaxed))
        };
        Bill { sent: rest(bill.sent, 0), received: rest(bill.received, 1), spent: Money(rest(bill.spent.0, 2)) }
    }

    /// The request was made: its price is spent.
    pub(super) fn charge(&self) {
        let price = self.taken.price;
        if price != Money::ZERO {
            self.proxy().charge(price);
            self.pool().spending().spend(price, !self.is_inherited());
            self.meter.spent.fetch_add(price.0, Ordering::Relaxed);
        }
    }

    /// The request was given up: it has cost its price if anything went out.
    pub(super) fn charge_if_used(&self) {
        let Bill { sent, received, .. } = self.bill();
        if sent > 0 || received > 0 {
            self.charge();
        } else if !self.is_inherited() {
            self.pool().spending().free(self.taken.price);
        }
    }
}
