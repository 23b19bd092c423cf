//! Within a price limit, the cheaper the likelier.

use crate::pool::filter::Filter;
use crate::pool::index::sampler::Weighting;
use crate::pool::query::{Choice, Query};
use crate::random::Random;
use crate::strategy::config::Config;
use crate::strategy::{Common, Narrowing, Refusal, Strategy};
use crate::sync::{Arc, AtomicF64};

/// Weight of what costs nothing, where nothing else is said.
pub const DEFAULT_BOOST: f64 = 10.0;

/// The documented weights: `boost` for free, else the inverse of the price.
pub struct CostAware {
    common: Common,
    source: Random,
    limit: AtomicF64,
    boost: AtomicF64,
}

impl CostAware {
    /// With a price limit per request.
    #[must_use]
    pub fn new(limit: Option<f64>, seed: Option<u64>) -> Self {
        let strategy = Self {
            common: Common::default(),
            source: Random::new(seed),
            limit: AtomicF64::none(),
            boost: AtomicF64::none(),
        };
        strategy.limit.set(limit);
        strategy
    }

    /// The price limit.
    #[must_use]
    pub fn limit(&self) -> Option<f64> {
        self.limit.get()
    }

    /// Sets the price limit.
    pub fn set_limit(&self, limit: Option<f64>) {
        self.limit.set(limit);
    }

    /// The weight of what costs nothing.
    #[must_use]
    pub fn boost(&self) -> f64 {
        self.boost.get().unwrap_or(DEFAULT_BOOST)
    }

    /// Sets the weight of what costs nothing.
    pub fn set_boost(&self, boost: f64) {
        self.boost.set(Some(boost));
    }

    fn weighted(&self, query: &Query<'_>) -> Option<Choice> {
        query.weighted(&Weighting::Cost { boost: self.boost() }, &self.source)
    }
}

impl Strategy for CostAware {
    fn name(&self) -> &str {
        "CostAwareStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        match self.limit() {
            None => self.weighted(query).ok_or_else(|| Refusal::of(query)),
            Some(limit) => query.narrowed(&Filter::max_cost(limit), |within| self.weighted(within)).ok_or_else(|| {
                if query.is_empty() {
                    Refusal::of(query)
                } else {
                    Refusal::NoMatch { wanted: format!("cost <= {limit}") }
                }
            }),
        }
    }

    fn configure(&self, config: &Config) {
        self.common.configure(config);
        if let Some(limit) = config.max_cost_per_request {
            self.set_limit(Some(limit));
        }
        if let Some(boost) = config.free_proxy_boost {
            self.set_boost(boost);
        }
    }

    fn narrow(&self, _query: &Query<'_>) -> Result<Narrowing, Refusal> {
        Ok(self.limit().map_or(Narrowing::All, |limit| Narrowing::By(Arc::new(Filter::max_cost(limit)))))
    }
}
