//! Probes at sites, in the child of a fork.

use super::*;

impl Pool {
    /// Gives up every probe that is under way at a site: the requests are in the parent.
    pub(crate) fn forget_probes_at_sites(&self, clock: &dyn Clock) {
        let mut changes = Changes::new();
        {
            let mut ledger = self.standing.ledger.lock();
            let now = clock.steady();
            let all: Vec<u32> = ledger.sites.values().flat_map(|books| books.index.iter().copied()).collect();
            for at in all {
                if ledger.entries[at as usize].record.forget_probe() {
                    ledger.reconcile(at, now, &mut changes);
                }
            }
        }
        self.place_sited(&changes);
    }
}
