//! All proxies in turn, in the order of the pool.

use crate::pool::query::{Choice, Cursors, Query};
use crate::strategy::{Common, Refusal, Strategy};

/// Remembers a position in the pool, not a count: proxies that are skipped or excluded lose their turn, not their place.
#[derive(Default)]
pub struct RoundRobin {
    common: Common,
    cursors: Cursors,
}

impl Strategy for RoundRobin {
    fn name(&self) -> &str {
        "RoundRobinStrategy"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn pick(&self, query: &Query<'_>) -> Result<Choice, Refusal> {
        query.round_robin(&self.cursors).ok_or_else(|| Refusal::of(query))
    }
}
