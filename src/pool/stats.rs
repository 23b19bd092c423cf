//! Counts over all proxies of a pool.

use super::Pool;
use crate::proxy::health::Health;
use crate::proxy::money::Money;

/// Proxies by health, and the results of all requests through them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// All proxies.
    pub proxies: usize,
    /// Proxies with three or four failures in a row.
    pub unhealthy: usize,
    /// Proxies with five failures in a row or more.
    pub dead: usize,
    /// Results.
    pub requests: u64,
    /// Successes among them.
    pub successes: u64,
    /// Failures among them.
    pub failures: u64,
    /// Mean success rate over the proxies that have results; 0 where none has.
    pub mean_success_rate: f64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// What it has cost.
    pub spent: Money,
}

impl Pool {
    /// Counts all proxies and their results, in one pass without a lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let table = self.table();
        let mut stats = Stats::default();
        let mut tried = 0_u32;
        for proxy in Self::members(&table).into_iter().filter_map(|slot| table.proxy(slot)) {
            stats.proxies += 1;
            match proxy.health() {
                Health::Unhealthy => stats.unhealthy += 1,
                Health::Dead => stats.dead += 1,
                _ => {}
            }
            let (requests, successes, failures) = proxy.totals();
            stats.requests += requests;
            stats.successes += successes;
            stats.failures += failures;
            let (sent, received) = proxy.bytes();
            stats.sent = stats.sent.saturating_add(sent);
            stats.received = stats.received.saturating_add(received);
            stats.spent = stats.spent + proxy.spent();
            if requests > 0 {
                tried += 1;
                stats.mean_success_rate += proxy.success_rate();
            }
        }
        stats.mean_success_rate /= f64::from(tried.max(1));
        stats
    }
}
