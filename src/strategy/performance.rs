//! In inverse proportion to the moving average of the time to answer.

use crate::clock::Clock;
use crate::pool::Pool;
use crate::pool::index::sampler::Weighting;
use crate::pool::query::{Choice, Cursors, Query};
use crate::random::Random;
use crate::strategy::config::Config;
use crate::strategy::{Common, Refusal, Strategy};
use crate::sync::{AtomicU64, Ordering};

/// Not configured: strict when used by hand, the default inside a rotator.
const UNSET: u64 = u64::MAX;

/// Results a proxy gets before its average is trusted, where nothing else is said.
pub const DEFAULT_EXPLORATION: u64 = 5;

/// Unexplored proxies first, then by the inverse of the latency average.
pub struct Performance {
    common: Common,
    source: Random,
    exploration: AtomicU64,
    explicit: bool,
    cursors: Cursors,
}

impl Performance {
    /// `alpha` is the weight of the newest sample, 0 to 1; `exploration` the results a proxy gets before its average is
    /// trusted, 0 to switch that off.
    #[must_use]
    pub fn new(alpha: Option<f64>, exploration: Option<u64>, seed: Option<u64>) -> Self {
        let common = Common::default();
        common.set_alpha(alpha);
        Self {
            common,
            source: Random::new(seed),
            exploration: AtomicU64::new(exploration.unwrap_or(UNSET)),
            explicit: exploration.is_some(),
            cursors: Cursors::default(),
        }
    }

    /// The results a proxy gets first, if that has been settled.
    #[must_use]
    pub fn exploration(&self) -> Option<u64> {
        let count = self.exploration.load(Ordering::Relaxed);
        (count != UNSET).then_some(count)
    }
}

impl Strategy for Performance {
    fn name(&self) -> &str {
        "PerformanceBasedStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        let exploration = self.exploration().unwrap_or(0);
        let chosen =
            query.unexplored(exploration, &self.source).or_else(|| query.weighted(&Weighting::Latency, &self.source));
        if let Some(choice) = chosen {
            return Ok(choice);
        }
        if query.is_empty() {
            let relaxed = query.without_thresholds();
            // All are too slow: slow proxies in turn serve better than none.
            if query.has_thresholds() && self.common.fallback().is_none() {
                return relaxed.round_robin(&self.cursors).ok_or_else(|| Refusal::of(&relaxed));
            }
            return Err(Refusal::of(query));
        }
        if exploration > 0 {
            // Tried and never measured: they all fail, and one is as good as another.
            return query.uniform(&self.source).ok_or_else(|| Refusal::of(query));
        }
        Err(Refusal::MissingMetadata {
            strategy: self.name().to_owned(),
            fields: vec!["ema_response_time_ms".to_owned()],
        })
    }

    fn configure(&self, config: &Config) {
        self.common.configure(config);
        let count = config.exploration_count.unwrap_or(DEFAULT_EXPLORATION);
        if !self.explicit || config.sets("exploration_count") {
            self.exploration.store(count, Ordering::Relaxed);
        }
    }

    fn required_fields(&self) -> Vec<&'static str> {
        vec!["ema_response_time_ms"]
    }

    fn validate(&self, pool: &Pool, clock: &dyn Clock) -> bool {
        let table = pool.table();
        let eligible = pool.eligible(&table, clock);
        match self.exploration() {
            Some(count) if count > 0 => !eligible.is_empty(),
            _ => eligible.iter().filter_map(|slot| table.proxy(*slot)).any(|proxy| proxy.ema().is_some()),
        }
    }

    fn enter_rotation(&self) {
        // A cold pool is ordinary for a rotator.
        let _ = self.exploration.compare_exchange(UNSET, DEFAULT_EXPLORATION, Ordering::Relaxed, Ordering::Relaxed);
    }
}
