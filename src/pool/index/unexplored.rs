//! Proxies with few results: those to be tried first.

use crate::pool::index::dense::Dense;
use crate::proxy::Proxy;

/// Proxies with fewer results than a limit: those to be tried first.
#[derive(Debug)]
pub(crate) struct Unexplored {
    pub(crate) limit: u64,
    pub(crate) set: Dense,
}

impl Unexplored {
    pub(crate) fn new(limit: u64, capacity: usize) -> Self {
        Self { limit, set: Dense::new(capacity) }
    }

    pub(crate) fn reindex(&self, slot: u32, proxy: Option<&Proxy>) {
        self.set.set(slot, proxy.is_some_and(|proxy| proxy.total() < self.limit));
    }
}
