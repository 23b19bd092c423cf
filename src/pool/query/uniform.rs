//! Any eligible proxy, each with the same chance.

use super::{Choice, DRAWS, Query, Scope};
use crate::random::Random;
use crate::sync::Ordering;

impl Query<'_> {
    /// Any proxy, each with the same probability.
    pub fn uniform(&self, random: &Random) -> Option<Choice> {
        if let Scope::View(view) = self.among {
            for _ in 0..DRAWS {
                let len = view.dense.len();
                if len == 0 {
                    return None;
                }
                // Where most slots may be chosen, a slot drawn straight away is as likely as any other and saves a look at
                // the list of those that may.
                let used = self.table.used.load(Ordering::Acquire);
                let slot = if len * 2 >= used {
                    let slot = random.below(used);
                    if !view.open().contains(slot) {
                        continue;
                    }
                    slot as u32
                } else {
                    let Some(slot) = view.dense.get(random.below(len)) else { continue };
                    slot
                };
                if self.table.proxy(slot).is_some_and(|proxy| self.accepts(slot, proxy)) {
                    return self.start(slot);
                }
            }
            if let Some(answer) = self.on_masked_view_at_last(|query| query.uniform(random)) {
                return answer;
            }
        }
        let candidates = self.candidates();
        if candidates.is_empty() {
            return None;
        }
        self.start(candidates[random.below(candidates.len())])
    }
}
