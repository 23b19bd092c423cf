//! What has gone through a proxy, and what that has cost. Most proxies of a list are never used, so it is made on first use.

use crate::proxy::cold::Cold;
use crate::proxy::money::{GB, Money};
use crate::proxy::{Proxy, flag};
use crate::sync::{AtomicF64, AtomicU64, Ordering};

/// Bytes that a request is expected to take through a proxy that has carried none.
pub const TYPICAL: f64 = 100_000.0;
/// How far the mean moves before pools are told, as a share: a price that follows every request would re-file every time.
const MOVE: f64 = 0.1;

/// See the module. The prices are those of the cold part, where a lease reads them without its lock.
///
/// All orderings are relaxed: each number is right by itself, and nothing else is published by it.
pub(crate) struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
    spent: AtomicU64,
    per_request: AtomicU64,
    per_gb: AtomicF64,
    // Bytes that a request is expected to take.
    expected: AtomicF64,
}

impl Traffic {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            sent: zero(),
            received: zero(),
            spent: zero(),
            per_request: zero(),
            per_gb: AtomicF64::none(),
            expected: AtomicF64::none(),
        }
    }
}

/// One of the totals that may be written directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the proxy.
    Sent,
    /// From the proxy.
    Received,
}

impl Proxy {
    fn traffic(&self) -> &Traffic {
        self.traffic.get_or_init(Traffic::new)
    }

    /// Whether requests through it cost anything.
    #[inline]
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & flag::COST != 0
    }

    /// Takes over the prices of the cold part; whether any is more than nothing.
    pub(super) fn keep_prices(&self, cold: &Cold) -> bool {
        let (request, gb) = (cold.cost.unwrap_or(0.0), cold.cost_per_gb.unwrap_or(0.0));
        let is_paid = request != 0.0 || gb != 0.0;
        if is_paid || self.traffic.get().is_some() {
            let traffic = self.traffic();
            traffic.per_request.store(Money::of(request).0, Ordering::Relaxed);
            traffic.per_gb.set((gb != 0.0).then_some(gb));
        }
        is_paid
    }

    /// Price of one request besides its bytes.
    #[inline]
    #[must_use]
    pub fn price(&self) -> Money {
        if !self.is_paid() {
            return Money::ZERO;
        }
        self.traffic.get().map_or(Money::ZERO, |traffic| Money(traffic.per_request.load(Ordering::Relaxed)))
    }

    /// Counts bytes; what they cost.
    pub fn count_bytes(&self, sent: u64, received: u64) -> Money {
        let traffic = self.traffic();
        traffic.sent.fetch_add(sent, Ordering::Relaxed);
        traffic.received.fetch_add(received, Ordering::Relaxed);
        let Some(per_gb) = traffic.per_gb.get() else { return Money::ZERO };
        let cost = Money::of_bytes(sent.saturating_add(received), per_gb);
        traffic.spent.fetch_add(cost.0, Ordering::Relaxed);
        cost
    }

    /// Counts money.
    pub fn charge(&self, cost: Money) {
        if cost != Money::ZERO {
            self.traffic().spent.fetch_add(cost.0, Ordering::Relaxed);
        }
    }

    /// Follows the mean of bytes per request, for what a request is expected to cost.
    pub(crate) fn follow_mean_bytes(&self) {
        let Some(traffic) = self.traffic.get() else { return };
        if traffic.per_gb.get().is_none() {
            return;
        }
        let bytes = traffic.sent.load(Ordering::Relaxed).saturating_add(traffic.received.load(Ordering::Relaxed));
        let requests = self.total();
        if bytes == 0 || requests == 0 {
            return;
        }
        let (mean, before) = (bytes as f64 / requests as f64, traffic.expected.get().unwrap_or(TYPICAL));
        if (mean - before).abs() > MOVE * before {
            traffic.expected.set(Some(mean));
            self.reindex_in_pools();
        }
    }

    /// What one request is expected to cost: its price, and that of the bytes that requests through this proxy have taken on
    /// average, or of [`TYPICAL`] ones. What is not known counts as free.
    #[inline]
    #[must_use]
    pub fn cost(&self) -> f64 {
        if !self.is_paid() {
            return 0.0;
        }
        let Some(traffic) = self.traffic.get() else { return 0.0 };
        // As it was given: a limit is compared with it.
        let request = self.cold(|cold| cold.cost.unwrap_or(0.0));
        match traffic.per_gb.get() {
            Some(gb) => request + gb * traffic.expected.get().unwrap_or(TYPICAL) / GB,
            None => request,
        }
    }

    /// Bytes sent and received through it, TLS and what was said to the proxy itself included.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        self.traffic
            .get()
            .map_or((0, 0), |traffic| (traffic.sent.load(Ordering::Relaxed), traffic.received.load(Ordering::Relaxed)))
    }

    /// What requests through it have cost.
    #[must_use]
    pub fn spent(&self) -> Money {
        self.traffic.get().map_or(Money::ZERO, |traffic| Money(traffic.spent.load(Ordering::Relaxed)))
    }

    /// Sets a total of bytes.
    pub fn set_bytes(&self, direction: Direction, bytes: u64) {
        if bytes > 0 || self.traffic.get().is_some() {
            let traffic = self.traffic();
            let total = if direction == Direction::Sent { &traffic.sent } else { &traffic.received };
            total.store(bytes, Ordering::Relaxed);
        }
        self.follow_mean_bytes();
    }

    /// Sets what requests through it have cost.
    pub fn set_spent(&self, spent: Money) {
        if spent != Money::ZERO || self.traffic.get().is_some() {
            self.traffic().spent.store(spent.0, Ordering::Relaxed);
        }
    }
}
