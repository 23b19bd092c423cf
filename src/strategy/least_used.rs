//! The proxy that has started the fewest requests.

use crate::pool::index::order::TieBreak;
use crate::pool::query::{Choice, Query};
use crate::random::Random;
use crate::strategy::{Common, Refusal, Strategy};
use crate::sync::Mutex;

/// Choosing and counting are one step, so that threads do not pile onto one proxy.
pub struct LeastUsed {
    common: Common,
    source: Random,
    tie: TieBreak,
    list_lock: Mutex<()>,
}

impl LeastUsed {
    /// With that rule among equals; a seed makes random ties repeat themselves.
    #[must_use]
    pub fn new(tie: TieBreak, seed: Option<u64>) -> Self {
        Self { common: Common::default(), source: Random::new(seed), tie, list_lock: Mutex::new(()) }
    }
}

impl Default for LeastUsed {
    fn default() -> Self {
        Self::new(TieBreak::LowestId, None)
    }
}

impl Strategy for LeastUsed {
    fn name(&self) -> &str {
        "LeastUsedStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        query.least_used(self.tie, &self.source, &self.list_lock).ok_or_else(|| Refusal::of(query))
    }
}
