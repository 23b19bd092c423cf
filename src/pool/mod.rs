//! Many proxies: the roster, the eligible proxies, and look-ups by identifier, address and description.

pub mod context;
pub mod filter;
mod growth;
pub mod index;
mod login;
pub(crate) mod marks;
pub mod mask;
mod member;
mod membership;
mod observer;
pub mod query;
mod stats;
mod table;
pub(crate) mod view;

use std::fmt;

use ahash::AHashMap;

use crate::clock::{Clock, Micros};
use crate::net::address::{Address, Credentials};
use crate::proxy::health::reason;
use crate::proxy::{Id, Key, PoolObserver, Proxy};
use crate::sync::{Arc, ArcSwap, ArcSwapOption, AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Mutex, Ordering, Weak};
use filter::Filter;
use mask::{Mask, MaskChange};
pub use member::{Attachment, AttachmentOps, Member, Word};
use membership::Writer;
pub use membership::{AddError, Added};
pub use observer::MembershipObserver;
pub use stats::Stats;
use table::{Facet, FacetOf};
pub use table::{Slot, Table};
use view::{IndexSpec, View};

/// Views that a pool keeps beside the view of all proxies, and the memory they may take together. Beyond either bound
/// the least recently used view goes, but so many stay whatever memory they take.
const FACETS: usize = 256;
const FACET_BYTES: usize = 64 << 20;
const FACETS_AT_LEAST: usize = 4;
const FIRST_CAPACITY: usize = 16;

/// A pool of proxies. All methods may be called from any thread. Selections read a snapshot and take no lock; changes to
/// the membership, and of a proxy's eligibility, are made under one short lock.
pub struct Pool {
    pub(crate) table: ArcSwap<Table>,
    writer: Mutex<Writer>,
    observer: Weak<dyn PoolObserver>,
    owner: Weak<dyn MembershipObserver>,
    count: AtomicUsize,
    limit: AtomicUsize,
    auto_remove_dead: AtomicBool,
    dead_threshold: AtomicU32,
    // Length of the counting window of its members in seconds, 0 while no strategy has named one.
    window: AtomicU32,
    updated: AtomicI64,
    login: ArcSwapOption<Credentials>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool that may hold `limit` proxies; `ops` say how to give back what the embedding program attaches. `owner` is
    /// notified of its proxies' changes and of its membership.
    #[must_use]
    pub fn new<O: MembershipObserver + 'static>(
        limit: usize,
        ops: AttachmentOps,
        now: Micros,
        owner: &Weak<O>,
    ) -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::new(FIRST_CAPACITY, View::new(None, FIRST_CAPACITY), ops, false)),
            writer: Mutex::new(Writer::default()),
            observer: owner.clone(),
            owner: owner.clone(),
            count: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            auto_remove_dead: AtomicBool::new(false),
            dead_threshold: AtomicU32::new(5),
            window: AtomicU32::new(0),
            updated: AtomicI64::new(now),
            login: ArcSwapOption::empty(),
        }
    }

    fn tell_owner(&self, tell: impl FnOnce(&dyn MembershipObserver)) {
        // A pool that is being dropped has no owner any more, and nothing to tell.
        if let Some(owner) = self.owner.upgrade() {
            tell(&*owner);
        }
    }

    /// The present snapshot.
    #[inline]
    #[must_use]
    pub fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }

    /// Number of proxies, eligible or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many it may hold.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets how many it may hold; those above stay.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Whether proxies that die are removed, and after how many failures in a row.
    #[must_use]
    pub fn removal_of_dead(&self) -> (bool, u32) {
        (self.auto_remove_dead.load(Ordering::Relaxed), self.dead_threshold.load(Ordering::Relaxed))
    }

    /// Sets whether proxies that die are removed, and after how many failures in a row.
    pub fn set_removal_of_dead(&self, on: bool, threshold: u32) {
        self.auto_remove_dead.store(on, Ordering::Relaxed);
        self.dead_threshold.store(threshold, Ordering::Relaxed);
    }

    /// Gives its members, and those that join later, a counting window of that many seconds: that of the strategy which
    /// reads their counters.
    #[inline]
    pub fn keep_window(&self, seconds: u32) {
        // Relaxed: a selection that sees the old length is one of before.
        if self.window.load(Ordering::Relaxed) != seconds {
            self.set_windows(seconds);
        }
    }

    #[cold]
    fn set_windows(&self, seconds: u32) {
        // Before the members are visited, so that one that joins meanwhile has it too.
        self.window.store(seconds, Ordering::Release);
        let table = self.table();
        for proxy in Self::members(&table).into_iter().filter_map(|slot| table.proxy(slot)) {
            proxy.set_window_duration(seconds);
        }
    }

    /// When the membership last changed.
    #[must_use]
    pub fn updated(&self) -> Micros {
        self.updated.load(Ordering::Relaxed)
    }

    /// Sets when the membership last changed.
    pub fn set_updated(&self, at: Micros) {
        self.updated.store(at, Ordering::Relaxed);
    }

    // ---- look-ups ----------------------------------------------------------------------------------------------

    /// The slot of that identifier, with the table it is in. Takes no lock.
    #[must_use]
    pub fn find(&self, id: Id) -> Option<(Arc<Table>, u32)> {
        let table = self.table.load();
        let number = table.find(id)?;
        Some((arc_swap::Guard::into_inner(table), number))
    }

    /// The slot of that address. Takes no lock of the pool.
    #[must_use]
    pub fn find_address(&self, address: &Address) -> Option<(Arc<Table>, u32)> {
        let table = self.table.load();
        let number = table.find_key(Key::of(address).hash(), Key::of(address))?;
        Some((arc_swap::Guard::into_inner(table), number))
    }

    /// The slots of all members, in order.
    #[must_use]
    pub fn members(table: &Table) -> Vec<u32> {
        table.all.members.iter().map(|slot| slot as u32).collect()
    }

    /// The slots of all proxies that match a filter, eligible or not, in order.
    #[must_use]
    pub fn matching(&self, filter: &Filter) -> (Arc<Table>, Vec<u32>) {
        let table = self.table.load_full();
        let view = self.facet(&table, filter, None).unwrap_or_else(|| Arc::new(View::new(None, 0)));
        let slots = view.members.iter().map(|slot| slot as u32).collect();
        (table, slots)
    }

    /// The slots that may be chosen now, in order.
    #[must_use]
    pub fn eligible(&self, table: &Table, clock: &dyn Clock) -> Vec<u32> {
        let live =
            |slot: &u32| table.proxy(*slot).is_some_and(|proxy| proxy.reasons() == 0 && !proxy.is_expired(clock));
        table.all.eligible.iter().map(|slot| slot as u32).filter(live).collect()
    }

    /// The slot with that rank in the order.
    #[must_use]
    pub fn nth(table: &Table, rank: usize) -> Option<u32> {
        table.all.members.nth(rank).map(|slot| slot as u32)
    }

    // ---- keeping up --------------------------------------------------------------------------------------------

    /// Marks a proxy whose time has come.
    pub(crate) fn expire(proxy: &Proxy) {
        proxy.set_reason(reason::EXPIRED, true);
    }

    /// The view of the proxies that meet `filter`, without the slots that a mask holds back; made on first demand. `None` if
    /// the marks are of a later table already.
    pub(crate) fn facet(&self, table: &Table, filter: &Filter, mask: Option<&Arc<Mask>>) -> Option<Arc<View>> {
        let wanted = FacetOf { filter, mask: mask.map_or(0, |mask| mask.uid()) };
        if let Some(view) = table.facets.load().get(&wanted) {
            view.mark_used(table.views_made.load(Ordering::Relaxed));
            return Some(view.clone());
        }
        let _writer = self.writer.lock();
        let facets = table.facets.load();
        if let Some(view) = facets.get(&wanted) {
            return Some(view.clone());
        }
        // Before the marks are read: a change from now on is reported, one from before is seen here.
        if mask.is_some_and(|mask| !mask.note_view(table.generation)) {
            return None;
        }
        let kept = (!filter.is_empty()).then(|| filter.clone());
        // Views that differ by the mask alone go on with each other's rounds.
        let sibling = facets.iter().find(|(facet, _)| facet.filter == *filter).map(|(_, view)| view.uid);
        let sibling = if filter.is_empty() { Some(table.all.uid) } else { sibling };
        let mask = mask.map(|mask| (mask.clone(), table.generation));
        let view = Arc::new(View::with_uid(sibling.unwrap_or_else(View::next_uid), kept, table.slots.len(), mask));
        for number in table.all.members.iter() {
            view.reindex(number as u32, table.proxy(number as u32));
        }
        view.mark_used(table.views_made.fetch_add(1, Ordering::Relaxed) + 1);
        let mut next = table::Facets::clone(&facets);
        next.insert(Facet { filter: filter.clone(), mask: wanted.mask }, view.clone());
        evict_views(&mut next, Some(&view));
        table.facets.store(Arc::new(next));
        Some(view)
    }

    /// Number of views kept beside the view of all proxies.
    #[must_use]
    pub fn views(&self) -> usize {
        self.table.load().facets.load().len()
    }

    /// Whether the view of a filter is kept.
    #[must_use]
    pub fn has_view(&self, filter: &Filter) -> bool {
        self.table.load().facets.load().contains_key(&FacetOf { filter, mask: 0 })
    }

    /// Makes a view keep what a strategy needs of it.
    pub(crate) fn demand(&self, table: &Table, view: &View, what: &IndexSpec) {
        let _writer = self.writer.lock();
        view.demand(what, |slot| table.proxy(slot));
        let facets = table.facets.load();
        let mut fewer = table::Facets::clone(&facets);
        if evict_views(&mut fewer, Some(view)) {
            table.facets.store(Arc::new(fewer));
        }
    }

    /// Reconciles slots with views for the sites where their marks have changed.
    pub(crate) fn reindex_masked(&self, changes: &[MaskChange]) {
        if changes.is_empty() {
            return;
        }
        let _writer = self.writer.lock();
        let table = self.table.load();
        // A slot of an older table may be another's in this one; to look at that one once more does no harm.
        let member = |slot: u32| if table.is_member(slot) { table.proxy(slot) } else { None };
        for (facet, view) in table.facets.load().iter() {
            for (_, slot) in changes.iter().filter(|(mask, slot)| *mask == facet.mask && (*slot as usize) < table.len())
            {
                view.reindex(*slot, member(*slot));
            }
        }
    }
}

/// Drops the least recently used views until the others are few and light enough, but never `kept`; whether any went.
fn evict_views(facets: &mut table::Facets, kept: Option<&View>) -> bool {
    let before = facets.len();
    let mut weight: usize = facets.values().map(|view| view.bytes()).sum();
    while facets.len() > FACETS || (weight > FACET_BYTES && facets.len() > FACETS_AT_LEAST) {
        let others = facets.iter().filter(|(_, view)| kept.is_none_or(|kept| !std::ptr::eq(kept, &***view)));
        let Some((facet, view)) = others.min_by_key(|(_, view)| view.used()) else { break };
        weight -= view.bytes();
        let facet = facet.clone();
        facets.remove(&facet);
    }
    facets.len() < before
}

impl Pool {
    /// Brings every view up to date with a proxy that has changed.
    pub(crate) fn reindex(&self, proxy: &Proxy) {
        let mut writer = self.writer.lock();
        let table = self.table.load();
        // The proxy is read under the lock: of two threads that changed it, the later one here sees both changes.
        if let Some(number) = table.find(proxy.id()).filter(|number| table.holds(*number, proxy)) {
            writer.reindex(&table, number, Some(proxy));
        }
    }

    /// Removes a proxy that has died, if that is wanted after so many failures in a row.
    pub(crate) fn remove_dead(&self, proxy: &Proxy, in_a_row: u32) {
        let (on, threshold) = self.removal_of_dead();
        if on && in_a_row >= threshold {
            self.remove(proxy.id());
        }
    }

    /// A share of a proxy, if it is a member.
    pub(crate) fn share_of(&self, proxy: &Proxy) -> Option<Arc<Proxy>> {
        let table = self.table.load();
        let number = table.find(proxy.id()).filter(|number| table.holds(*number, proxy))?;
        table.slot(number)?.share()
    }
}

impl Table {
    /// Where in the pool's history every member stands.
    fn positions(&self) -> AHashMap<*const Proxy, u64> {
        let member = |slot: usize| Some((std::ptr::from_ref(self.proxy(slot as u32)?), self.position(slot)));
        self.all.members.iter().filter_map(member).collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let table = self.table.load();
        for number in table.all.members.iter() {
            if let Some(proxy) = table.proxy(number as u32) {
                proxy.leave(&self.observer);
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::proxy::health::{Health, Source};
    use crate::rotation::Domain;
    use crate::sync::model;
    use loom::thread;

    fn pool_of_one() -> (Arc<Domain>, Arc<Proxy>) {
        let pool = Domain::new(1, AttachmentOps::default(), 0);
        let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
        // Not at random: every run of a model must do the same.
        proxy.set_id(Id(0, 1));
        assert_eq!(pool.add(proxy.clone(), None, true), Ok(Added::New));
        (pool, proxy)
    }

    fn index_agrees(pool: &Pool, proxy: &Proxy) {
        let table = pool.table();
        assert_eq!(table.all.eligible.contains(0), proxy.reasons() == 0, "reasons {:#x}", proxy.reasons());
        assert_eq!(table.all.dense.len() == 1, proxy.reasons() == 0);
    }

    // Fails when `refresh` reads the reasons before it has the writer's lock.
    #[test]
    fn the_index_agrees_with_the_reasons_at_rest() {
        model(|| {
            let (pool, proxy) = pool_of_one();
            let other = thread::spawn({
                let proxy = proxy.clone();
                move || {
                    proxy.set_reason(reason::BREAKER, true);
                    proxy.set_reason(reason::BREAKER, false);
                }
            });
            proxy.set_reason(reason::AT_CAPACITY, true);
            proxy.set_reason(reason::AT_CAPACITY, false);
            other.join().unwrap();
            assert_eq!(proxy.reasons(), 0);
            index_agrees(&pool, &proxy);
        });
    }

    // Fails when health and the reason it gives are written one after the other.
    #[test]
    fn the_index_agrees_with_the_health_written_last() {
        model(|| {
            let (pool, proxy) = pool_of_one();
            let other = thread::spawn({
                let proxy = proxy.clone();
                move || proxy.set_health(Health::Dead)
            });
            proxy.set_health(Health::Healthy);
            other.join().unwrap();
            assert_eq!(proxy.reasons() == 0, proxy.health().is_usable());
            index_agrees(&pool, &proxy);
        });
    }

    // Fails when `append` reads the proxy before it has joined the pool.
    #[test]
    fn a_change_while_a_proxy_is_added_is_not_lost() {
        model(|| {
            let pool = Domain::new(1, AttachmentOps::default(), 0);
            let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
            proxy.set_id(Id(0, 1));
            let other = thread::spawn({
                let proxy = proxy.clone();
                move || proxy.set_reason(reason::BREAKER, true)
            });
            assert_eq!(pool.add(proxy.clone(), None, true), Ok(Added::New));
            other.join().unwrap();
            index_agrees(&pool, &proxy);
        });
    }
}
