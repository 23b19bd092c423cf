//! The bytes and the money of one pool, and the budget that they are held against.

use crate::proxy::Proxy;
use crate::proxy::money::Money;
use crate::sync::{AtomicU64, Ordering};

/// No budget.
const NONE: u64 = u64::MAX;

/// What a pool has spent, in atomics alone: no lease waits for another.
///
/// All orderings are relaxed: each number is right by itself, and nothing else is published by it. The budget holds because
/// `reserve` compares and adds in one step on one number.
pub struct Spending {
    budget: AtomicU64,
    // Bytes and requests that are over.
    spent: AtomicU64,
    // The same, and the price of each request under way.
    committed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Default for Spending {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { budget: AtomicU64::new(NONE), spent: zero(), committed: zero(), sent: zero(), received: zero() }
    }
}

impl Spending {
    /// The most that may be spent; `None` without a bound.
    #[must_use]
    pub fn budget(&self) -> Option<Money> {
        let budget = self.budget.load(Ordering::Relaxed);
        (budget != NONE).then_some(Money(budget))
    }

    /// Sets the most that may be spent.
    pub fn set_budget(&self, budget: Option<Money>) {
        self.budget.store(budget.map_or(NONE, |budget| budget.0.min(NONE - 1)), Ordering::Relaxed);
    }

    /// What was spent; requests under way count by their bytes so far.
    #[must_use]
    pub fn spent(&self) -> Money {
        Money(self.spent.load(Ordering::Relaxed))
    }

    /// Sets what was spent, as when an earlier run goes on.
    pub fn set_spent(&self, spent: Money) {
        let before = self.spent.swap(spent.0, Ordering::Relaxed);
        // What is committed beyond belongs to requests under way.
        let moved = |committed: u64| Some(spent.0.saturating_add(committed.saturating_sub(before)));
        let _ = self.committed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// Bytes sent and received.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// Whether no paid request may begin, whatever it costs.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.committed.load(Ordering::Relaxed) >= self.budget.load(Ordering::Relaxed)
    }

    /// Whether a request through that proxy may begin now.
    #[must_use]
    pub fn has_room_for(&self, proxy: &Proxy) -> bool {
        !proxy.is_paid() || self.after(proxy.price(), self.committed.load(Ordering::Relaxed)).is_some()
    }

    /// What is committed once a request of that price has begun; `None` where the budget has no room for it.
    fn after(&self, price: Money, committed: u64) -> Option<u64> {
        let budget = self.budget.load(Ordering::Relaxed);
        let after = committed.saturating_add(price.0);
        (after <= budget && committed < budget).then_some(after)
    }

    /// Commits the price of a request that begins on a paid proxy; `None` where the budget has no room for it.
    // Not inlined: most proxies are free.
    #[inline(never)]
    pub(super) fn reserve(&self, proxy: &Proxy) -> Option<Money> {
        let price = proxy.price();
        // One step, so that of requests at the same moment as many pass as there is money for.
        let fits = |committed| self.after(price, committed);
        self.committed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok().map(|_| price)
    }

    /// Takes back the price of a request that cost nothing.
    pub(super) fn free(&self, price: Money) {
        if price != Money::ZERO {
            let less = |committed: u64| Some(committed.saturating_sub(price.0));
            let _ = self.committed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Spends the price of a request; `is_committed`: it was reserved here.
    pub(super) fn spend(&self, price: Money, is_committed: bool) {
        if price != Money::ZERO {
            self.spent.fetch_add(price.0, Ordering::Relaxed);
            if !is_committed {
                self.committed.fetch_add(price.0, Ordering::Relaxed);
            }
        }
    }

    /// Counts bytes and what they cost.
    pub(super) fn count(&self, sent: u64, received: u64, cost: Money) {
        self.sent.fetch_add(sent, Ordering::Relaxed);
        self.received.fetch_add(received, Ordering::Relaxed);
        self.spend(cost, false);
    }

    /// No request is under way.
    pub(super) fn forget_requests(&self) {
        self.committed.store(self.spent.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
