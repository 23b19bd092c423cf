//! Any proxy, each with the same probability.

use crate::pool::query::{Choice, Query};
use crate::random::Random as Source;
use crate::strategy::{Common, Refusal, Strategy};

/// Uniform choice.
#[derive(Default)]
pub struct Random {
    common: Common,
    source: Source,
}

impl Random {
    /// Repeats itself for the same seed.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self { common: Common::default(), source: Source::new(seed) }
    }
}

impl Strategy for Random {
    fn name(&self) -> &str {
        "RandomStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        query.uniform(&self.source).ok_or_else(|| Refusal::of(query))
    }
}
