//! Bytes that went through a lease, and what they cost.

use crate::proxy::OncePointer;
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

/// The counters of a lease. A lease is copied a few times until it is where it stays, and many move no bytes that are counted,
/// so that they are made with the first. Relaxed throughout: each number is right by itself.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    spent: AtomicU64,
    reported: [AtomicU64; 3],
}

/// See [`Counts`].
pub(super) struct Meter(OncePointer<Counts>);

impl Default for Meter {
    #[inline]
    fn default() -> Self {
        Self(OncePointer::empty())
    }
}

impl Meter {
    fn counts(&self) -> &Counts {
        self.0.get_or_init(Counts::default)
    }
}

impl Counts {
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
        let counts = self.meter.counts();
        counts.sent.fetch_add(sent, Ordering::Relaxed);
        counts.received.fetch_add(received, Ordering::Relaxed);
        counts.spent.fetch_add(cost.0, Ordering::Relaxed);
    }

    /// What went through it so far, and what that cost; the price of the request once it is over.
    #[must_use]
    pub fn bill(&self) -> Bill {
        self.meter.0.get().map_or_else(Bill::default, Counts::bill)
    }

    /// The part of the bill that was not taken before, for those that keep sums.
    #[must_use]
    pub fn take_bill(&self) -> Bill {
        let Some(counts) = self.meter.0.get() else { return Bill::default() };
        let bill = counts.bill();
        let rest = |now: u64, place: usize| {
            // Threads that take at once take different parts.
            now.saturating_sub(counts.reported[place].fetch_max(now, Ordering::Relaxed))
        };
        Bill { sent: rest(bill.sent, 0), received: rest(bill.received, 1), spent: Money(rest(bill.spent.0, 2)) }
    }

    /// The request was made: its price is spent.
    #[inline]
    pub(super) fn charge(&self) {
        if self.taken.price != Money::ZERO {
            self.charge_price(self.taken.price);
        }
    }

    #[inline(never)]
    fn charge_price(&self, price: Money) {
        self.proxy().charge(price);
        self.pool().spending().spend(price, !self.is_inherited());
        self.meter.counts().spent.fetch_add(price.0, Ordering::Relaxed);
    }

    /// The request was given up: it has cost its price if anything went out.
    pub(super) fn charge_if_used(&self) {
        let price = self.taken.price;
        if price == Money::ZERO {
            return;
        }
        let Bill { sent, received, .. } = self.bill();
        if sent > 0 || received > 0 {
            self.charge();
        } else if !self.is_inherited() {
            self.pool().spending().free(price);
        }
    }
}
