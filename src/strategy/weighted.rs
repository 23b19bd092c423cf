//! In proportion to weights: given by identifier, URL or tag, or else the success rate.

use crate::pool::filter::WeightTable;
use crate::pool::index::sampler::Weighting;
use crate::pool::query::{Choice, Query};
use crate::random::Random;
use crate::strategy::config::Config;
use crate::strategy::{Common, Refusal, Strategy};
use crate::sync::{Arc, ArcSwapOption};

/// With tag keys the value is the probability of the whole group; otherwise keys name single proxies.
#[derive(Default)]
pub struct Weighted {
    common: Common,
    source: Random,
    table: ArcSwapOption<WeightTable>,
}

impl Weighted {
    /// Weights by identifier, URL or tag; a seed makes it repeat itself.
    pub fn new<'a>(weights: impl IntoIterator<Item = (&'a str, f64)>, seed: Option<u64>) -> Self {
        let strategy = Self { source: Random::new(seed), ..Self::default() };
        strategy.set_weights(weights);
        strategy
    }

    /// Replaces the weights.
    pub fn set_weights<'a>(&self, weights: impl IntoIterator<Item = (&'a str, f64)>) {
        let table = WeightTable::new(weights);
        self.table.store((!table.is_empty()).then(|| Arc::new(table)));
    }
}

impl Strategy for Weighted {
    fn name(&self) -> &str {
        "WeightedStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        let table = self.table.load();
        let chosen = match table.as_ref() {
            None => query.weighted(&Weighting::Rate, &self.source),
            Some(table) if table.groups.is_empty() => query.weighted(&Weighting::Table(table.clone()), &self.source),
            Some(table) => query.grouped(table, &self.source),
        };
        // Without a usable weight, any proxy.
        chosen.or_else(|| query.uniform(&self.source)).ok_or_else(|| Refusal::of(query))
    }

    fn configure(&self, config: &Config) {
        self.common.configure(config);
        if let Some(weights) = config.weights.as_ref().filter(|weights| !weights.is_empty()) {
            self.set_weights(weights.iter().map(|(key, weight)| (key.as_str(), *weight)));
        }
    }
}
