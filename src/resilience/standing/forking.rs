//! Probes at sites, in the child of a fork.

use super::*;

impl SiteBans {
    /// Gives up every probe that is under way at a site: the requests are in the parent.
    pub(crate) fn forget_probes(&self, pool: &Pool, clock: &dyn Clock) {
        let mut changes = Changes::new();
        {
            let mut ledger = self.ledger.lock();
            let now = clock.steady();
            let all: Vec<u32> =
                ledger.sites.values().flat_map(|site_ledger| site_ledger.index.iter().copied()).collect();
            for at in all {
                if ledger.entries[at as usize].record.forget_probe() {
                    ledger.reconcile(at, now, &mut changes);
                }
            }
        }
        pool.reindex_masked(&changes);
    }
}
