//! Many proxies: the roster, who is eligible now, and look-ups by identifier, address and description.

pub(crate) mod bits;
pub mod context;
pub(crate) mod dense;
pub mod filter;
pub mod order;
pub mod query;
pub mod sampler;
mod table;
pub(crate) mod view;

use std::fmt;

use ahash::AHashMap;
use hashbrown::HashTable;

use crate::clock::{Clock, Micros};
use crate::proxy::address::Address;
use crate::proxy::health::{Health, reason};
use crate::proxy::{Home, Id, Key, Proxy};
use crate::resilience::site::Site;
use crate::resilience::standing::Standing;
use crate::resilience::{Guard, Settings, SettingsError, guard};
use crate::sync::{Arc, ArcSwap, AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Mutex, Ordering, Weak};
use filter::Filter;
pub use table::{Attachment, Keeper, Slot, Table};
use table::{Facet, FacetOf};
use view::{Demand, View};

/// Views that a pool keeps beside that of everybody, and what they may weigh together; beyond either the least recently used
/// goes, but so many stay however heavy they are.
const FACETS: usize = 256;
const FACET_BYTES: usize = 64 << 20;
const FACETS_AT_LEAST: usize = 4;
const FIRST_CAPACITY: usize = 16;

/// A pool of proxies. All methods may be called from any thread. Selections read a snapshot and take no lock; changes to
/// the membership, and of a proxy's eligibility, are made under one short lock.
pub struct Pool {
    table: ArcSwap<Table>,
    writer: Mutex<Writer>,
    myself: Weak<Pool>,
    count: AtomicUsize,
    limit: AtomicUsize,
    auto_remove_dead: AtomicBool,
    dead_threshold: AtomicU32,
    updated: AtomicI64,
    pub(crate) standing: Standing,
    guard: Guard,
}

#[derive(Default)]
struct Writer {
    by_id: HashTable<u32>,
    by_address: HashTable<u32>,
    // Slots in use or dead; the next proxy goes to this one.
    used: usize,
    dead: usize,
    next_position: u64,
}

/// Why a proxy was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddError {
    /// The pool holds as many as it may.
    Full {
        /// How many that is.
        limit: usize,
    },
    /// The pool already holds a proxy with this identifier.
    SameId,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { limit } => write!(f, "the pool is at its maximum capacity of {limit} proxies"),
            Self::SameId => f.write_str("the pool already holds another proxy with this id"),
        }
    }
}

impl std::error::Error for AddError {}

/// What became of a proxy that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in the pool now.
    New,
    /// The same address was there already; nothing changed.
    Duplicate,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn id_hash(id: Id) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = crate::random::hasher();
    id.hash(&mut hasher);
    hasher.finish()
}

/// What a slot is filed under by its address; looked up again when the file grows, so that it need not be kept.
fn address_hash(table: &Table, slot: u32) -> u64 {
    table.proxy(slot).map_or(0, |proxy| spread(proxy.with_key(|key| key.hash())))
}

fn spread(hash: u32) -> u64 {
    // The table takes its tag from the top bits and the place from the bottom ones.
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Pool {
    /// An empty pool that may hold `limit` proxies; `keeper` looks after what the embedding program attaches.
    #[must_use]
    pub fn new(limit: usize, keeper: Keeper, now: Micros) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            table: ArcSwap::from_pointee(Table::new(FIRST_CAPACITY, View::new(None, FIRST_CAPACITY), keeper, false)),
            writer: Mutex::new(Writer::default()),
            myself: myself.clone(),
            count: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            auto_remove_dead: AtomicBool::new(false),
            dead_threshold: AtomicU32::new(5),
            updated: AtomicI64::new(now),
            standing: Standing::default(),
            guard: Guard::new(),
        })
    }

    /// What it judges its proxies by.
    #[inline]
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Judges its proxies by other settings from now on.
    ///
    /// # Errors
    /// Settings that make no sense; nothing has changed then.
    pub fn configure_guard(&self, settings: Settings, clock: &dyn Clock) -> Result<(), SettingsError> {
        let settings = settings.checked()?;
        self.set_standing(settings.of_standing(), clock);
        let table = self.table();
        let members: Vec<_> = Self::members(&table).into_iter().filter_map(|slot| table.slot(slot)?.share()).collect();
        self.guard.configure(settings, &members);
        Ok(())
    }

    fn home(&self) -> Weak<dyn Home> {
        self.myself.clone()
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

    /// When the membership last changed.
    #[must_use]
    pub fn updated(&self) -> Micros {
        self.updated.load(Ordering::Relaxed)
    }

    /// Sets when the membership last changed.
    pub fn set_updated(&self, at: Micros) {
        self.updated.store(at, Ordering::Relaxed);
    }

    // ---- membership --------------------------------------------------------------------------------------------

    /// Adds a proxy at the end of the order. An address that is there already changes nothing, even in a full pool.
    /// On success the pool takes over the caller's share in `attachment`; otherwise the caller keeps it.
    ///
    /// # Errors
    /// [`AddError::Full`] at the limit (checked only if `limited`), [`AddError::SameId`] for another proxy of that id.
    pub fn add(&self, proxy: Arc<Proxy>, attachment: Option<Attachment>, limited: bool) -> Result<Added, AddError> {
        let address = proxy.address();
        let key = Key::of(&address);
        let hash = key.hash();
        // A table's last owner gives back what hangs on it, which may run foreign code: never under the lock.
        let _outlive;
        let mut writer = self.writer.lock();
        let table = self.table.load_full();
        if writer.find_address(&table, hash, key).is_some() {
            return Ok(Added::Duplicate);
        }
        if writer.find_id(&table, proxy.id()).is_some() {
            return Err(AddError::SameId);
        }
        let limit = self.limit();
        if limited && self.len() >= limit {
            return Err(AddError::Full { limit });
        }
        _outlive = self.append(&mut writer, table, proxy, attachment, hash);
        drop(writer);
        self.guard.freed();
        Ok(Added::New)
    }

    /// Adds many at once, all or none: (added, duplicates).
    ///
    /// # Errors
    /// [`AddError::Full`] if the new ones are more than fit; nothing has been added then.
    pub fn add_all(&self, proxies: Vec<Arc<Proxy>>) -> Result<(usize, usize), AddError> {
        self.add_list(proxies, false)
    }

    /// The same for proxies of which no two have the same address: nothing is spent on telling them from each other.
    ///
    /// # Errors
    /// As [`Pool::add_all`].
    pub fn add_distinct(&self, proxies: Vec<Arc<Proxy>>) -> Result<(usize, usize), AddError> {
        self.add_list(proxies, true)
    }

    fn add_list(&self, proxies: Vec<Arc<Proxy>>, distinct: bool) -> Result<(usize, usize), AddError> {
        self.reserve(proxies.len());
        let offered = proxies.len();
        let mut outlive = Vec::new();
        let mut writer = self.writer.lock();
        // What fits is known before anything is added: first the addresses are told apart, then all go in.
        let mut fresh = Vec::with_capacity(offered);
        let mut seen: HashTable<(u32, usize)> = HashTable::with_capacity(if distinct { 0 } else { offered });
        {
            let table = self.table.load();
            for proxy in proxies {
                let hash = proxy.with_key(|key| key.hash());
                // The address is spelled out only where the hash has been seen: never two proxies' locks at once.
                let same = |other: &Proxy| {
                    let address = other.address();
                    proxy.with_key(|own| own == Key::of(&address))
                };
                let held = |slot: &u32| table.proxy(*slot).is_some_and(same);
                let repeated = |(other, at): &(u32, usize)| {
                    let (_, proxy): &(u32, Arc<Proxy>) = &fresh[*at];
                    *other == hash && same(proxy)
                };
                // A look into a big table is a cache miss: none where there is nothing to find.
                if !writer.by_address.is_empty() && writer.by_address.find(spread(hash), held).is_some() {
                    continue;
                }
                if !distinct {
                    if seen.find(spread(hash), repeated).is_some() {
                        continue;
                    }
                    seen.insert_unique(spread(hash), (hash, fresh.len()), |(hash, _)| spread(*hash));
                }
                fresh.push((hash, proxy));
            }
        }
        let limit = self.limit();
        if self.len() + fresh.len() > limit {
            return Err(AddError::Full { limit });
        }
        let added = fresh.len();
        let mut table = self.table.load_full();
        for (done, (hash, proxy)) in fresh.into_iter().enumerate() {
            if writer.used == table.slots.len() {
                let capacity = self.capacity_for(&writer, self.len() + added - done);
                let next = self.rebuild(&mut writer, &table, capacity);
                outlive.push(std::mem::replace(&mut table, next));
            }
            self.put(&mut writer, &table, proxy, None, hash);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
        drop(writer);
        self.guard.freed();
        Ok((added, offered - added))
    }

    /// Adds a proxy that is known to be new; returns the table that was replaced for it or not, to be dropped later.
    fn append(
        &self,
        writer: &mut Writer,
        before: Arc<Table>,
        proxy: Arc<Proxy>,
        attachment: Option<Attachment>,
        hash: u32,
    ) -> Arc<Table> {
        let table = if writer.used == before.slots.len() {
            let capacity = self.capacity_for(writer, self.len() + 1);
            self.rebuild(writer, &before, capacity)
        } else {
            before.clone()
        };
        self.put(writer, &table, proxy, attachment, hash);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
        before
    }

    /// Slots for `live` proxies. A pool that only grows doubles; one with members that come and go needs room for the dead,
    /// or it would be rebuilt at every change while it is nearly full.
    fn capacity_for(&self, writer: &Writer, live: usize) -> usize {
        let room = if writer.dead == 0 { live } else { live + live / 4 + FIRST_CAPACITY };
        room.next_power_of_two().max(FIRST_CAPACITY)
    }

    /// Puts a proxy that is known to be new into the next slot, which must be there.
    fn put(&self, writer: &mut Writer, table: &Table, proxy: Arc<Proxy>, attachment: Option<Attachment>, hash: u32) {
        let number = writer.used;
        writer.used += 1;
        if let Some(history) = &table.history {
            history[number].store(writer.next_position, Ordering::Release);
        }
        writer.next_position += 1;
        proxy.join(&self.home());
        guard::take_over(&self.guard.timers, &proxy);
        let id = proxy.id();
        table.slots[number].fill(proxy, attachment);
        table.used.store(number + 1, Ordering::Release);
        let number = number as u32;
        let of_id = |slot: &u32| table.proxy(*slot).map_or(0, |proxy| id_hash(proxy.id()));
        writer.by_id.insert_unique(id_hash(id), number, of_id);
        writer.by_address.insert_unique(spread(hash), number, |slot| address_hash(table, *slot));
        self.place_everywhere(table, number, table.proxy(number));
    }

    fn place_everywhere(&self, table: &Table, number: u32, proxy: Option<&Proxy>) {
        table.all.place(number, proxy);
        for view in table.facets.load().values() {
            view.place(number, proxy);
        }
    }

    /// Removes the proxy of that identifier and returns it.
    pub fn remove(&self, id: Id) -> Option<Arc<Proxy>> {
        // Shares dropped under the lock could run code of the embedding program; they outlive it here.
        let mut outlive = None;
        let removed = {
            let mut writer = self.writer.lock();
            let table = self.table.load_full();
            let number = writer.find_id(&table, id)?;
            let proxy = self.take_out(&mut writer, &table, number);
            if writer.dead > FIRST_CAPACITY.max(writer.used / 4) {
                let capacity = self.capacity_for(&writer, self.len());
                self.rebuild(&mut writer, &table, capacity);
                outlive = Some(table);
            }
            proxy
        };
        drop(outlive);
        removed
    }

    fn take_out(&self, writer: &mut Writer, table: &Table, number: u32) -> Option<Arc<Proxy>> {
        let proxy = table.slot(number)?.share()?;
        self.place_everywhere(table, number, None);
        self.standing.forget(table, number);
        proxy.leave(&self.home());
        if let Ok(entry) = writer.by_id.find_entry(id_hash(proxy.id()), |slot| *slot == number) {
            entry.remove();
        }
        writer.forget_address(number, proxy.with_key(|key| key.hash()));
        writer.dead += 1;
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
        Some(proxy)
    }

    /// Replaces all members, keeping the order given. Shares in attachments are taken over; duplicates of an earlier one
    /// are handed back.
    pub fn replace_all(&self, members: Vec<(Arc<Proxy>, Option<Attachment>)>) -> Vec<Option<Attachment>> {
        let mut refused = Vec::new();
        let old = {
            let mut writer = self.writer.lock();
            let old = self.table.load_full();
            // What is on the books about those who stay is kept.
            let stood = (!self.standing.is_empty()).then(|| old.positions());
            let mut moved = AHashMap::new();
            for number in old.all.members.iter() {
                if let Some(proxy) = old.proxy(number as u32) {
                    proxy.leave(&self.home());
                }
            }
            let capacity = members.len().next_power_of_two().max(FIRST_CAPACITY);
            // Positions go on, so that a round-robin under way starts over instead of skipping the new ones.
            let table = Arc::new(Table::new(capacity, old.all.successor(capacity), old.keeper, true));
            let next_position = writer.next_position;
            *writer = Writer { next_position, ..Writer::default() };
            let mut count = 0;
            for (proxy, attachment) in members {
                let address = proxy.address();
                let key = Key::of(&address);
                let hash = key.hash();
                let taken =
                    writer.find_address(&table, hash, key).is_some() || writer.find_id(&table, proxy.id()).is_some();
                if taken {
                    refused.push(attachment);
                } else {
                    if let Some(before) = stood.as_ref().and_then(|stood| stood.get(&Arc::as_ptr(&proxy))) {
                        moved.insert(*before, writer.next_position);
                    }
                    self.put(&mut writer, &table, proxy, attachment, hash);
                    count += 1;
                }
            }
            if stood.is_some() {
                self.standing.renumber(&moved);
            }
            // Published when it is whole: selections see the old members or the new ones, never none.
            self.table.store(table);
            self.count.store(count, Ordering::Relaxed);
            self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
            old
        };
        drop(old);
        self.guard.freed();
        refused
    }

    /// Builds and swaps in the next table, without the dead slots. The caller holds the writer lock.
    fn rebuild(&self, writer: &mut Writer, old: &Arc<Table>, capacity: usize) -> Arc<Table> {
        let with_history = old.history.is_some() || writer.dead > 0;
        let next = Table::new(capacity, old.all.successor(capacity), old.keeper, with_history);
        let mut facets = table::Facets::default();
        // Views for a site are not among them: marks are of one table.
        for (facet, view) in old.facets.load().iter().filter(|(facet, _)| facet.site == 0) {
            facets.insert(facet.clone(), Arc::new(view.successor(capacity)));
        }
        lighten(&mut facets, None);
        next.views_made.store(old.views_made.load(Ordering::Relaxed), Ordering::Relaxed);
        next.facets.store(Arc::new(facets));
        writer.by_id.clear();
        writer.by_address.clear();
        let mut used = 0;
        for number in old.all.members.iter() {
            let slot = &old.slots[number];
            let Some(proxy) = slot.share() else { continue };
            let attachment = slot.attachment();
            if let Some(word) = attachment {
                // SAFETY: the old table holds a share; the new one needs its own.
                unsafe { (old.keeper.retain)(word) };
            }
            if let Some(history) = &next.history {
                history[used].store(old.position(number), Ordering::Release);
            }
            let (id, hash) = (proxy.id(), proxy.with_key(|key| key.hash()));
            next.slots[used].fill(proxy, attachment);
            let of_id = |slot: &u32| next.proxy(*slot).map_or(0, |proxy| id_hash(proxy.id()));
            writer.by_id.insert_unique(id_hash(id), used as u32, of_id);
            writer.by_address.insert_unique(spread(hash), used as u32, |slot| address_hash(&next, *slot));
            self.place_everywhere(&next, used as u32, next.proxy(used as u32));
            used += 1;
        }
        next.used.store(used, Ordering::Release);
        writer.used = used;
        writer.dead = 0;
        let next = Arc::new(next);
        self.table.store(next.clone());
        next
    }

    /// Makes room for `more` proxies at once.
    pub fn reserve(&self, more: usize) {
        let mut outlive = None;
        {
            let mut writer = self.writer.lock();
            let table = self.table.load_full();
            if writer.used + more > table.slots.len() {
                let capacity = self.capacity_for(&writer, self.len() + more);
                self.rebuild(&mut writer, &table, capacity);
                let of_id = |slot: &u32| self.table.load().proxy(*slot).map_or(0, |proxy| id_hash(proxy.id()));
                writer.by_id.reserve(more, of_id);
                let table = self.table.load();
                writer.by_address.reserve(more, |slot| address_hash(&table, *slot));
                outlive = Some(table);
            }
        }
        drop(outlive);
    }

    // ---- look-ups ----------------------------------------------------------------------------------------------

    /// The slot of that identifier, with the table it is in.
    #[must_use]
    pub fn find(&self, id: Id) -> Option<(Arc<Table>, u32)> {
        let writer = self.writer.lock();
        let table = self.table.load_full();
        let number = writer.find_id(&table, id)?;
        Some((table, number))
    }

    /// The slot of that address.
    #[must_use]
    pub fn find_address(&self, address: &Address) -> Option<(Arc<Table>, u32)> {
        let writer = self.writer.lock();
        let table = self.table.load_full();
        let number = writer.find_address(&table, Key::of(address).hash(), Key::of(address))?;
        Some((table, number))
    }

    /// Hangs `word` on a slot, unless something hangs there already; returns what does. The pool takes over the caller's
    /// share only if it returns `word` itself.
    pub fn attach(&self, id: Id, word: Attachment) -> Option<Attachment> {
        let writer = self.writer.lock();
        let table = self.table.load();
        let slot = table.slot(writer.find_id(&table, id)?)?;
        if slot.attachment().is_none() {
            slot.attach(word);
        }
        slot.attachment()
    }

    /// The slots of all members, in order.
    #[must_use]
    pub fn members(table: &Table) -> Vec<u32> {
        table.all.members.iter().map(|slot| slot as u32).collect()
    }

    /// The slots of everyone who meets a filter, eligible or not, in order.
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
        self.guard.catch_up(clock);
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

    /// Removes every proxy for which `drop_it` says so, and returns how many those were.
    pub fn remove_where(&self, drop_it: impl Fn(&Proxy) -> bool) -> usize {
        let table = self.table.load_full();
        let doomed: Vec<Id> = table
            .all
            .members
            .iter()
            .filter_map(|slot| table.proxy(slot as u32))
            .filter(|proxy| drop_it(proxy))
            .map(Proxy::id)
            .collect();
        doomed.into_iter().filter_map(|id| self.remove(id)).count()
    }

    /// Removes the unhealthy and the dead; their number.
    pub fn clear_unhealthy(&self) -> usize {
        self.remove_where(|proxy| matches!(proxy.health(), Health::Unhealthy | Health::Dead))
    }

    /// Removes the expired; their number.
    pub fn clear_expired(&self, clock: &dyn Clock) -> usize {
        self.remove_where(|proxy| proxy.is_expired(clock))
    }

    /// Marks a proxy whose time has come.
    pub(crate) fn expire(proxy: &Proxy) {
        proxy.set_reason(reason::EXPIRED, true);
    }

    /// The view of everyone who meets `filter`, without those a site holds back if one is named; made on first demand. `None`
    /// if the site's marks are of a later table already.
    pub(crate) fn facet(&self, table: &Table, filter: &Filter, site: Option<&Arc<Site>>) -> Option<Arc<View>> {
        let wanted = FacetOf { filter, site: site.map_or(0, |site| site.uid) };
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
        if site.is_some_and(|site| !self.standing.note_view(site, table)) {
            return None;
        }
        let kept = (!filter.is_empty()).then(|| filter.clone());
        // Views that differ by the site alone go on with each other's rounds.
        let akin = facets.iter().find(|(facet, _)| facet.filter == *filter).map(|(_, view)| view.uid);
        let akin = if filter.is_empty() { Some(table.all.uid) } else { akin };
        let site = site.map(|site| (site.clone(), table.generation));
        let view = Arc::new(View::with_uid(akin.unwrap_or_else(View::next_uid), kept, table.slots.len(), site));
        for number in table.all.members.iter() {
            view.place(number as u32, table.proxy(number as u32));
        }
        view.mark_used(table.views_made.fetch_add(1, Ordering::Relaxed) + 1);
        let mut next = table::Facets::clone(&facets);
        next.insert(Facet { filter: filter.clone(), site: wanted.site }, view.clone());
        lighten(&mut next, Some(&view));
        table.facets.store(Arc::new(next));
        Some(view)
    }

    /// Number of views kept beside that of everybody.
    #[must_use]
    pub fn views(&self) -> usize {
        self.table.load().facets.load().len()
    }

    /// Whether the view of a filter is kept.
    #[must_use]
    pub fn has_view(&self, filter: &Filter) -> bool {
        self.table.load().facets.load().contains_key(&FacetOf { filter, site: 0 })
    }

    /// Makes a view keep what a strategy needs of it.
    pub(crate) fn demand(&self, table: &Table, view: &View, what: &Demand) {
        let _writer = self.writer.lock();
        view.demand(what, |slot| table.proxy(slot));
        let facets = table.facets.load();
        let mut fewer = table::Facets::clone(&facets);
        if lighten(&mut fewer, Some(view)) {
            table.facets.store(Arc::new(fewer));
        }
    }

    /// Reconciles slots with views for the sites where their marks have changed.
    pub(crate) fn place_sited(&self, changes: &[(Arc<Site>, u32)]) {
        if changes.is_empty() {
            return;
        }
        let _writer = self.writer.lock();
        let table = self.table.load();
        // A slot of an older table may be another's in this one; to look at that one once more does no harm.
        let member = |slot: u32| if table.all.members.contains(slot as usize) { table.proxy(slot) } else { None };
        for (facet, view) in table.facets.load().iter() {
            for (_, slot) in
                changes.iter().filter(|(site, slot)| site.uid == facet.site && (*slot as usize) < table.len())
            {
                view.place(*slot, member(*slot));
            }
        }
    }
}

/// Drops the least recently used views until the others are few and light enough, but never `kept`; whether any went.
fn lighten(facets: &mut table::Facets, kept: Option<&View>) -> bool {
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

impl Home for Pool {
    fn refresh(&self, proxy: &Proxy) {
        let writer = self.writer.lock();
        let table = self.table.load();
        // The proxy is read under the lock: of two threads that changed it, the later one here sees both changes.
        if let Some(number) = writer.find_id(&table, proxy.id()).filter(|number| table.holds(*number, proxy)) {
            self.place_everywhere(&table, number, Some(proxy));
        }
        drop(writer);
        if proxy.reasons() == 0 {
            self.guard.freed();
        }
    }

    fn refile(&self, proxy: &Proxy, old: Id) {
        let mut writer = self.writer.lock();
        let table = self.table.load_full();
        let Some(number) = writer.by_id.iter().copied().find(|number| table.holds(*number, proxy)) else { return };
        let _ = old;
        writer.by_id.retain(|slot| *slot != number);
        let of_id = |slot: &u32| table.proxy(*slot).map_or(0, |proxy| id_hash(proxy.id()));
        writer.by_id.insert_unique(id_hash(proxy.id()), number, of_id);
        writer.by_address.retain(|slot| *slot != number);
        let hash = proxy.with_key(|key| key.hash());
        writer.by_address.insert_unique(spread(hash), number, |slot| address_hash(&table, *slot));
        self.place_everywhere(&table, number, Some(proxy));
    }

    fn note_dead(&self, proxy: &Proxy, in_a_row: u32) {
        let (on, threshold) = self.removal_of_dead();
        if on && in_a_row >= threshold {
            self.remove(proxy.id());
        }
    }

    fn note_fallen(&self, proxy: &Proxy, clock: &dyn Clock) {
        let held = {
            let writer = self.writer.lock();
            let table = self.table.load();
            let number = writer.find_id(&table, proxy.id()).filter(|number| table.holds(*number, proxy));
            number.and_then(|number| table.slot(number)?.share())
        };
        if let Some(proxy) = held {
            self.guard.rest(&proxy, false, clock);
        }
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Table {
    /// Where in the pool's history every member stands.
    fn positions(&self) -> AHashMap<*const Proxy, u64> {
        let member = |slot: usize| Some((std::ptr::from_ref(self.proxy(slot as u32)?), self.position(slot)));
        self.all.members.iter().filter_map(member).collect()
    }

    fn holds(&self, number: u32, proxy: &Proxy) -> bool {
        self.proxy(number).is_some_and(|held| std::ptr::eq(held, proxy))
    }
}

impl Writer {
    fn find_id(&self, table: &Table, id: Id) -> Option<u32> {
        self.by_id.find(id_hash(id), |slot| table.proxy(*slot).is_some_and(|proxy| proxy.id() == id)).copied()
    }

    fn find_address(&self, table: &Table, hash: u32, key: Key<'_>) -> Option<u32> {
        self.by_address
            .find(spread(hash), |slot| table.proxy(*slot).is_some_and(|proxy| proxy.with_key(|own| own == key)))
            .copied()
    }

    fn forget_address(&mut self, number: u32, hash: u32) {
        if let Ok(entry) = self.by_address.find_entry(spread(hash), |slot| *slot == number) {
            entry.remove();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let table = self.table.load();
        for number in table.all.members.iter() {
            if let Some(proxy) = table.proxy(number as u32) {
                proxy.leave(&self.home());
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::proxy::health::Source;
    use crate::sync::model;
    use loom::thread;

    fn pool_of_one() -> (Arc<Pool>, Arc<Proxy>) {
        let pool = Pool::new(1, Keeper::default(), 0);
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
            let pool = Pool::new(1, Keeper::default(), 0);
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
