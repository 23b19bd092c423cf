//! An eligible proxy with fewer results than a limit.

use super::{Choice, DRAWS, Query, Scope};
use crate::pool::view::IndexSpec;
use crate::random::Random;

impl Query<'_> {
    /// Any proxy with fewer than `limit` results, each with the same probability.
    pub fn unexplored(&self, limit: u64, random: &Random) -> Option<Choice> {
        if limit == 0 {
            return None;
        }
        if let Scope::View(view) = self.among {
            let unexplored = view.unexplored(limit).or_else(|| {
                self.pool.demand(self.table, view, &IndexSpec::Unexplored(limit));
                view.unexplored(limit)
            });
            if let Some(unexplored) = unexplored {
                for _ in 0..DRAWS {
                    let len = unexplored.set.len();
                    if len == 0 {
                        return None;
                    }
                    let Some(slot) = unexplored.set.get(random.below(len)) else { continue };
                    let Some(proxy) = self.table.proxy(slot) else { continue };
                    if proxy.total() >= limit {
                        // Proven meanwhile; results do not update the set, so as not to pay for it.
                        proxy.reindex_in_pools();
                        continue;
                    }
                    if self.accepts(slot, proxy) {
                        return self.start(slot);
                    }
                }
                if let Some(answer) = self.on_masked_view_at_last(|query| query.unexplored(limit, random)) {
                    return answer;
                }
            }
        }
        let fresh = |slot: &u32| self.table.proxy(*slot).is_some_and(|proxy| proxy.total() < limit);
        let candidates: Vec<u32> = self.candidates().into_iter().filter(fresh).collect();
        if candidates.is_empty() {
            return None;
        }
        self.start(candidates[random.below(candidates.len())])
    }
}
