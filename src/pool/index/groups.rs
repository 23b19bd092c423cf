//! Samplers by tag group.

use crate::pool::filter::WeightTable;
use crate::pool::index::sampler::{Sampler, Weighting};
use crate::proxy::Proxy;
use crate::sync::Arc;

/// One sampler per tag group.
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) table: Arc<WeightTable>,
    pub(crate) samplers: Vec<Sampler>,
}

impl Groups {
    pub(crate) fn new(table: Arc<WeightTable>, capacity: usize) -> Self {
        let inside = if table.names_single_proxies() { Weighting::Table(table.clone()) } else { Weighting::Even };
        let samplers = table.groups.iter().map(|_| Sampler::new(inside.clone(), capacity)).collect();
        Self { table, samplers }
    }

    pub(crate) fn reindex(&self, slot: u32, proxy: Option<&Proxy>) {
        let own = proxy.and_then(|proxy| self.table.group_of(proxy));
        for (number, sampler) in self.samplers.iter().enumerate() {
            sampler.reindex(slot, if own == Some(number) { proxy } else { None });
        }
    }
}
