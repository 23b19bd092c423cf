//! Reads of the ledger: by selections, by waiting requests, and by people.

use ahash::AHashMap;

use crate::clock::{Clock, Micros};
use crate::pool::marks::Mark;
use crate::pool::mask::{Mask, SiteMask};
use crate::pool::{Pool, Table};
use crate::resilience::site::Site;
use crate::resilience::standing::entry::Hold;
use crate::resilience::standing::ledger::Changes;
use crate::resilience::standing::{BanRow, Kind, SiteBans};
use crate::sync::{Arc, Ordering};

/// More nanoseconds than the coarse clock is ever behind.
const COARSE: u64 = 20_000_000;

/// What holds a proxy back at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclusion {
    /// Why.
    pub kind: Kind,
    /// Until when, in wall-clock time.
    pub until: Micros,
    /// How long that is, in nanoseconds.
    pub wait: u64,
    /// It ends sooner if the probe that is under way is settled.
    pub probing: bool,
}

fn wall_of(moment: u64, now: u64, clock: &dyn Clock) -> Micros {
    let ahead = moment.saturating_sub(now) / 1_000;
    clock.wall().saturating_add(i64::try_from(ahead).unwrap_or(i64::MAX))
}

impl Exclusion {
    pub(super) fn of(hold: &Hold, now: u64, clock: &dyn Clock) -> Self {
        Self {
            kind: hold.kind,
            until: wall_of(hold.until, now, clock),
            wait: hold.until.saturating_sub(now),
            probing: hold.probing,
        }
    }
}

impl SiteBans {
    /// The proxies that a selection from `table` passes over at a site; `None` if none, which costs one read.
    #[inline]
    #[must_use]
    pub fn mask_of<'a>(
        &self,
        pool: &Pool,
        table: &Table,
        site: &'a Arc<Site>,
        clock: &dyn Clock,
    ) -> Option<SiteMask<'a>> {
        // Acquire: a reader that sees a held proxy sees the marks.
        if site.held.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.look_up(pool, table, site, clock)
    }

    fn look_up<'a>(&self, pool: &Pool, table: &Table, site: &'a Arc<Site>, clock: &dyn Clock) -> Option<SiteMask<'a>> {
        let due = site.next_due.load(Ordering::Relaxed);
        // The coarse clock is behind the exact one, which is asked only where that could matter.
        if due <= clock.steady_coarse().saturating_add(COARSE) {
            let now = clock.steady();
            if due <= now {
                self.wake_at(pool, site, now);
            }
        }
        if site.mask.generation().is_some_and(|generation| generation < table.generation) {
            let mut changes = Changes::new();
            self.ledger.lock().up_to_date(site, table, &mut changes);
        }
        // A reader of an older table goes without: the ledger rejects what it should not have chosen.
        SiteMask::new(&site.mask, table, site.held.load(Ordering::Acquire))
    }

    fn wake_at(&self, pool: &Pool, site: &Site, now: u64) {
        let mut changes = Changes::new();
        self.ledger.lock().wake(site, now, &mut changes);
        pool.reindex_masked(&changes);
    }

    /// Nanoseconds until the next proxy comes back by itself at any site; `None` if none is held back anywhere.
    #[must_use]
    pub fn next_due(&self, clock: &dyn Clock) -> Option<u64> {
        let ledger = self.ledger.lock();
        let due = ledger.sites.values().map(|site_ledger| site_ledger.site.next_due.load(Ordering::Relaxed)).min()?;
        (due != u64::MAX).then(|| due.saturating_sub(clock.steady()))
    }

    /// What holds back which proxy at the site of that mask, by slot of `table`.
    #[must_use]
    pub fn exclusions_at(&self, table: &Table, mask: &Mask, clock: &dyn Clock) -> AHashMap<u32, Exclusion> {
        let ledger = self.ledger.lock();
        let now = clock.steady();
        let Some(site_ledger) = ledger.sites.get(&mask.uid()) else { return AHashMap::new() };
        let bar = |at: &u32| {
            let entry = &ledger.entries[*at as usize];
            // A proxy whose time has come is passed over until the next selection lets it return: a request refused by
            // the last one is to see it in the reasons.
            let lapsed = || (entry.mark == Mark::Held).then(|| entry.record.lapsed(now));
            let hold = entry.record.hold(now, ledger.rate()).or_else(lapsed)?;
            Some((table.slot_at(entry.position)?, Exclusion::of(&hold, now, clock)))
        };
        site_ledger.index.iter().filter_map(bar).collect()
    }

    /// Every pair that is held back, and until when; pairs that wait for a probe included.
    #[must_use]
    pub fn rows(&self, pool: &Pool, clock: &dyn Clock) -> Vec<BanRow> {
        let table = pool.table();
        let ledger = self.ledger.lock();
        let now = clock.steady();
        let rate = ledger.rate();
        let mut rows = Vec::new();
        for site_ledger in ledger.sites.values() {
            for at in &site_ledger.index {
                let entry = &ledger.entries[*at as usize];
                let Some((kind, until)) = entry.record.shown(now, rate) else { continue };
                let slot = table.slot_at(entry.position).and_then(|slot| table.slot(slot));
                let Some(proxy) = slot.and_then(|slot| slot.share()) else { continue };
                let until = until.map(|until| wall_of(until, now, clock));
                rows.push(BanRow { proxy, site: site_ledger.site.clone(), kind, until, level: entry.record.level });
            }
        }
        rows
    }
}
