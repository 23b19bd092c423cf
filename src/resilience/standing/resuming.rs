//! SiteBans that outlives the process: read for a save, written back after a load. Moments become wall-clock time, since the
//! steady clock of another process counts from elsewhere.

use ahash::AHashMap;

use crate::clock::{Clock, Micros, nanoseconds};
use crate::pool::Pool;
use crate::proxy::Id;
use crate::resilience::site::Site;
use crate::resilience::standing::entry::SiteState;
use crate::resilience::standing::ledger::Changes;
use crate::resilience::standing::{Kind, SiteBans};
use crate::sync::Arc;

/// What one site holds against a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedHold {
    /// The site's key.
    pub site: Box<str>,
    /// Why the proxy is passed over there.
    pub kind: Kind,
    /// Until when; `None` if the next request there is its probe.
    pub until: Option<Micros>,
    /// Benches in a row.
    pub level: u32,
}

impl SiteBans {
    /// What sites hold against proxies, by proxy. Locks the ledger site by site, and for no longer than a copy takes.
    #[must_use]
    pub fn held(&self, pool: &Pool, clock: &dyn Clock) -> AHashMap<Id, Vec<SavedHold>> {
        let table = Arc::clone(&pool.table());
        let sites: Vec<Arc<Site>> =
            self.ledger.lock().sites.values().map(|site_ledger| site_ledger.site.clone()).collect();
        let mut found: AHashMap<Id, Vec<SavedHold>> = AHashMap::new();
        let mut copies: Vec<(u64, SiteState)> = Vec::new();
        for site in sites {
            copies.clear();
            {
                let ledger = self.ledger.lock();
                let Some(site_ledger) = ledger.sites.get(&site.uid) else { continue };
                let copy = |at: &u32| {
                    let entry = &ledger.entries[*at as usize];
                    (entry.position, entry.record)
                };
                copies.extend(site_ledger.index.iter().map(copy));
            }
            let now = clock.steady();
            for (position, record) in &copies {
                // Without the rate: tokens are full again by the time this is read.
                let Some((kind, until)) = record.shown(now, None) else { continue };
                // A rest after failures is over before another process asks; a bench under it is not.
                let (kind, until) = match kind {
                    Kind::Failing if record.level == 0 => continue,
                    Kind::Failing => (Kind::Banned, None),
                    kind => (kind, until),
                };
                let slot = table.slot_at(*position).and_then(|slot| table.slot(slot));
                let Some(proxy) = slot.and_then(|slot| slot.proxy()) else { continue };
                let until =
                    until.map(|until| clock.wall().saturating_add((until.saturating_sub(now) / 1_000) as Micros));
                let held = SavedHold { site: site.key().into(), kind, until, level: record.level };
                found.entry(proxy.id()).or_default().push(held);
            }
        }
        found
    }

    /// Holds against a proxy again what a site held against it; an unknown proxy is passed over.
    pub fn hold_again(&self, pool: &Pool, id: Id, held: &SavedHold, clock: &dyn Clock) {
        let Some((table, slot)) = pool.find(id) else { return };
        let site = self.sites.named(&held.site);
        let left = held.until.map_or(0, |until| until.saturating_sub(clock.wall()).max(0));
        let position = table.position(slot as usize);
        let mut changes = Changes::new();
        let _outlives_the_lock = {
            let mut ledger = self.ledger.lock();
            let table = pool.table.load_full();
            let now = clock.steady();
            if let Some(at) = ledger.entry(&site, position, &table, &mut changes) {
                let until = now.saturating_add(nanoseconds(left as f64 / 1e6));
                ledger.entries[at as usize].record.resume(held.kind, until, held.level, now);
                ledger.reconcile(at, now, &mut changes);
            }
            table
        };
        pool.reindex_masked(&changes);
    }
}
