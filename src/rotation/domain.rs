//! A pool, what its proxies are judged by, and the sites that they are used at: one owner of all.

use std::any::Any;
use std::fmt;
use std::ops::Deref;

use ahash::AHashMap;

use crate::clock::{Clock, Micros};
use crate::judge::blame::Blame;
use crate::pool::mask::SiteMask;
use crate::pool::{AttachmentOps, MembershipObserver, Pool, Table};
use crate::proxy::liveness::SettingsError;
use crate::proxy::liveness::capacity::Bound;
use crate::proxy::liveness::due::Due;
use crate::proxy::money::Money;
use crate::proxy::{Id, LivenessEvent, PoolObserver, Proxy};
use crate::resilience::site::Site;
use crate::resilience::standing::{Admission, Exclusion, SiteBans, SiteChange, SiteOutcome};
use crate::resilience::{OutlierDetector, Settings};
use crate::rotation::spending::Spending;
use crate::sync::Arc;

/// See the module. Thread-safe. Reads as its pool.
pub struct Domain {
    pool: Pool,
    guard: OutlierDetector,
    sites: SiteBans,
    blame: Blame,
    spending: Spending,
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Deref for Domain {
    type Target = Pool;

    #[inline]
    fn deref(&self) -> &Pool {
        &self.pool
    }
}

impl Domain {
    /// An empty pool that may hold `limit` proxies; `ops` say how to give back what the embedding program attaches.
    #[must_use]
    pub fn new(limit: usize, ops: AttachmentOps, now: Micros) -> Arc<Self> {
        let domain = Arc::new_cyclic(|myself| Self {
            pool: Pool::new(limit, ops, now, myself),
            guard: OutlierDetector::new(),
            sites: SiteBans::default(),
            blame: Blame::default(),
            spending: Spending::default(),
        });
        // A static that loom cannot model, and that decides nothing.
        #[cfg(not(loom))]
        super::forking::register(&domain);
        domain
    }

    /// The pool.
    #[inline]
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What it judges its proxies by.
    #[inline]
    #[must_use]
    pub fn guard(&self) -> &OutlierDetector {
        &self.guard
    }

    /// What its sites hold against its proxies.
    #[inline]
    #[must_use]
    pub fn sites(&self) -> &SiteBans {
        &self.sites
    }

    /// The failures that may be a site's fault, and are not decided yet.
    #[inline]
    pub(crate) fn blame(&self) -> &Blame {
        &self.blame
    }

    /// What it has spent, and may spend.
    #[inline]
    #[must_use]
    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Sets the most that may be spent; requests that wait for a proxy look again.
    pub fn set_budget(&self, budget: Option<Money>) {
        self.spending.set_budget(budget);
        self.guard.freed();
    }

    /// Sets what was spent; requests that wait for a proxy look again.
    pub fn set_spent(&self, spent: Money) {
        self.spending.set_spent(spent);
        self.guard.freed();
    }

    /// Judges its proxies by other settings from now on.
    ///
    /// # Errors
    /// Settings that make no sense; nothing has changed then.
    pub fn configure(&self, settings: Settings, clock: &dyn Clock) -> Result<(), SettingsError> {
        let settings = settings.checked()?;
        self.sites.configure(&self.pool, settings.of_standing(), clock);
        let table = self.table();
        let members: Vec<_> = Pool::members(&table).into_iter().filter_map(|slot| table.slot(slot)?.share()).collect();
        self.guard.configure(settings, &members);
        Ok(())
    }

    /// The slots that may be chosen now, in order, once what is due has been brought about.
    #[must_use]
    pub fn eligible(&self, table: &Table, clock: &dyn Clock) -> Vec<u32> {
        self.guard.catch_up(clock);
        self.pool.eligible(table, clock)
    }

    /// The site of a URL; `None` without a host.
    #[inline]
    #[must_use]
    pub fn site_of(&self, url: &str) -> Option<Arc<Site>> {
        self.sites.sites().of_url(url)
    }

    /// The site of that key.
    #[must_use]
    pub fn site_named(&self, key: &str) -> Arc<Site> {
        self.sites.sites().named(key)
    }

    /// As [`SiteBans::mask_of`].
    #[inline]
    #[must_use]
    pub fn mask_of<'a>(&self, table: &Table, site: &'a Arc<Site>, clock: &dyn Clock) -> Option<SiteMask<'a>> {
        self.sites.mask_of(&self.pool, table, site, clock)
    }

    /// As [`SiteBans::admit_at`].
    ///
    /// # Errors
    /// What holds the proxy back there.
    #[inline]
    pub fn admit_at(
        &self,
        table: &Table,
        site: &Arc<Site>,
        slot: u32,
        clock: &dyn Clock,
    ) -> Result<Admission, Exclusion> {
        self.sites.admit_at(&self.pool, table, site, slot, clock)
    }

    /// As [`SiteBans::settle_at`].
    #[inline]
    pub fn settle_at(&self, admission: &Admission, outcome: SiteOutcome, began: u64, clock: &dyn Clock) -> SiteChange {
        self.sites.settle_at(&self.pool, admission, outcome, began, clock)
    }
}

impl PoolObserver for Domain {
    fn reindex_in_pools(&self, proxy: &Proxy) {
        self.pool.reindex(proxy);
        if proxy.reasons() == 0 {
            self.guard.freed();
        }
    }

    fn rekey(&self, proxy: &Proxy, old: Id) {
        self.pool.rekey(proxy, old);
    }

    fn note_dead(&self, proxy: &Proxy, in_a_row: u32) {
        self.pool.remove_dead(proxy, in_a_row);
    }

    fn note_fallen(&self, proxy: &Proxy, clock: &dyn Clock) {
        if let Some(proxy) = self.pool.share_of(proxy) {
            self.guard.rest(&proxy, false, clock);
        }
    }

    fn on_event(&self, proxy: &Proxy, event: &LivenessEvent) {
        self.guard.on_event(proxy, event);
    }

    fn schedule(&self, proxy: &Arc<Proxy>, at: u64, what: Due) {
        self.guard.schedule(proxy, at, what);
    }

    fn is_full(&self, proxy: &Proxy, bound: Bound) -> bool {
        self.guard.is_full(proxy, bound)
    }

    fn flush(&self) {
        self.guard.deliver();
        self.guard.freed();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl MembershipObserver for Domain {
    fn on_join(&self, proxy: &Arc<Proxy>) {
        self.guard.on_join(proxy);
    }

    fn on_leave(&self, table: &Table, slot: u32) {
        self.sites.forget(table, slot);
    }

    fn keeps_positions(&self) -> bool {
        !self.sites.is_empty()
    }

    fn on_renumber(&self, to: &AHashMap<u64, u64>) {
        self.sites.renumber(to);
    }

    fn on_more(&self) {
        self.guard.freed();
    }
}
