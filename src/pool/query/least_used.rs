//! The eligible proxy that has been used least.

use std::cell::Cell;

use smallvec::SmallVec;

use super::{Choice, Query, Scope};
use crate::pool::Pool;
use crate::pool::index::order::TieBreak;
use crate::pool::view::IndexSpec;
use crate::proxy::Id;
use crate::random::Random;
use crate::sync::Mutex;

/// So many proxies held back at a site are too many for the order of use, which sets each aside and puts it back.
const TOO_MANY_ASIDE: usize = 16;

impl Query<'_> {
    /// The proxy that has started the fewest requests; choosing and counting are one step.
    pub fn least_used(&self, tie: TieBreak, random: &Random, list_lock: &Mutex<()>) -> Option<Choice> {
        if self.mask.is_some_and(|mask| mask.held > TOO_MANY_ASIDE)
            && let Some(answer) = self.on_masked_view_at_last(|query| query.least_used_of(tie, random, list_lock))
        {
            return answer;
        }
        self.least_used_of(tie, random, list_lock)
    }

    fn least_used_of(&self, tie: TieBreak, random: &Random, list_lock: &Mutex<()>) -> Option<Choice> {
        match self.among {
            Scope::View(view) => {
                let order = view.order(tie).or_else(|| {
                    self.pool.demand(self.table, view, &IndexSpec::Ordered(tie));
                    view.order(tie)
                })?;
                for slot in order.windows_over(self.clock) {
                    if let Some(proxy) = self.table.proxy(slot) {
                        proxy.renew_if_expired(self.clock);
                        order.expect_window_end(slot, proxy);
                    }
                }
                // Whose time is over is marked after the order's lock is gone: marking goes back to the pool.
                let expired: Cell<SmallVec<[u32; 4]>> = Cell::default();
                let found = order.take(
                    random,
                    self.clock,
                    |slot| self.table.proxy(slot),
                    |slot, proxy| {
                        if proxy.is_expired(self.clock) {
                            let mut list = expired.take();
                            list.push(slot);
                            expired.set(list);
                            return false;
                        }
                        !self.is_set_aside(slot, proxy) && (!self.thresholds.any() || self.thresholds.admit(proxy))
                    },
                );
                for slot in expired.take() {
                    if let Some(proxy) = self.table.proxy(slot) {
                        Pool::expire(proxy);
                    }
                }
                let (slot, fell) = found?;
                if fell && let Some(proxy) = self.table.proxy(slot) {
                    proxy.reindex_in_pools();
                }
                Some(Choice(slot))
            }
            Scope::List(_) => {
                let candidates = self.candidates();
                for slot in &candidates {
                    if let Some(proxy) = self.table.proxy(*slot) {
                        proxy.renew_if_expired(self.clock);
                    }
                }
                // Choosing and counting must be one step here as well.
                let _turn = list_lock.lock();
                let key = |slot: u32| {
                    self.table.proxy(slot).map_or((u64::MAX, Id(0, 0)), |proxy| (proxy.use_count(), proxy.id()))
                };
                let least = candidates.iter().copied().min_by_key(|slot| key(*slot))?;
                let chosen = match tie {
                    TieBreak::LowestId => least,
                    TieBreak::Random => {
                        let count = key(least).0;
                        let equals: Vec<u32> =
                            candidates.iter().copied().filter(|slot| key(*slot).0 == count).collect();
                        equals[random.below(equals.len())]
                    }
                };
                self.start(chosen)
            }
        }
    }
}
