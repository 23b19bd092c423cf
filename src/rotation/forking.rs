//! Pools in the child of a fork: the requests that were under way belong to the parent.

use crate::clock::{Clock, SystemClock};
use crate::pool::Pool;
use crate::rotation::Domain;
use crate::sync::{Arc, Mutex, Weak};

/// Every pool of the process. Kept short: the dead are dropped when there are twice as many entries as there were living ones.
#[derive(Default)]
struct Registry {
    pools: Vec<Weak<Domain>>,
    crowded: usize,
}

static POOLS: Mutex<Registry> = Mutex::new(Registry { pools: Vec::new(), crowded: 0 });

const FEW: usize = 64;

/// Enters a pool, so that it is looked after in a child.
pub(super) fn register(pool: &Arc<Domain>) {
    let mut dead = Vec::new();
    let mut registry = POOLS.lock();
    registry.pools.push(Arc::downgrade(pool));
    if registry.pools.len() > registry.crowded.max(FEW) {
        let all = std::mem::take(&mut registry.pools);
        let (living, gone): (Vec<_>, Vec<_>) = all.into_iter().partition(|pool| pool.strong_count() > 0);
        dead = gone;
        registry.crowded = living.len() * 2;
        registry.pools = living;
    }
    drop(registry);
    drop(dead);
}

/// To be called in the child, after the gate has been opened: no request is in flight here, and no probe under way.
pub(crate) fn after_fork() {
    let pools: Vec<Arc<Domain>> = POOLS.lock().pools.iter().filter_map(Weak::upgrade).collect();
    for pool in pools {
        pool.forget_requests(&SystemClock);
    }
}

impl Domain {
    /// Takes back every start that has no end, and every probe: what has begun them is not in this process.
    pub fn forget_requests(&self, clock: &dyn Clock) {
        let table = self.pool().table();
        for proxy in Pool::members(&table).into_iter().filter_map(|slot| table.slot(slot)?.share()) {
            self.guard().forget_connections(&proxy);
            proxy.forget_in_flight(clock);
            self.guard().forget_probe(&proxy, clock);
        }
        self.spending().forget_requests();
        self.sites().forget_probes(self.pool(), clock);
        self.guard().freed();
    }
}
