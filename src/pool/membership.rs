//! The members of a pool: adding, removing, replacing.
//!
//! The writer lock is held for one proxy, or for a few of many. What takes longer happens outside: proxies of a list
//! are deduplicated before, and the next table is built beside the present one (see `growth`).

use std::fmt;

use ahash::AHashMap;
use hashbrown::HashTable;

use crate::clock::Clock;
use crate::pool::growth::Log;
use crate::pool::member::{Attachment, Member};
use crate::pool::table::{Table, id_hash, mix};
use crate::pool::{FIRST_CAPACITY, Pool};
use crate::proxy::health::Health;
use crate::proxy::{Id, Key, Proxy};
use crate::sync::{Arc, Ordering};

/// Proxies of a list that go in under one hold of the writer lock.
const AT_ONCE: usize = 64;

/// What only the thread that holds the writer lock may change.
#[derive(Default)]
pub(super) struct Writer {
    /// Slots in use or dead; the next proxy goes to this one.
    pub(super) used: usize,
    pub(super) dead: usize,
    pub(super) next_position: u64,
    // Room under the limit that lists which are being added have been promised.
    promised: usize,
    /// Changes since the tables that are being built have been begun.
    pub(super) logs: Vec<Log>,
    pub(super) next_builder: u64,
}

impl Writer {
    /// Reconciles a slot with its proxy in every view, and reports it to the builders of the next table; `None` when
    /// the proxy has left.
    pub(super) fn reindex(&mut self, table: &Table, number: u32, proxy: Option<&Proxy>) {
        table.reindex(number, proxy);
        for log in &mut self.logs {
            log.changed.push(number);
        }
    }

    /// Slots for `live` proxies. A pool that only grows doubles; one with members that come and go needs room for the dead,
    /// or it would be rebuilt at every change while it is nearly full.
    pub(super) fn capacity_for(&self, live: usize) -> usize {
        let room = if self.dead == 0 { live } else { live + live / 4 + FIRST_CAPACITY };
        room.next_power_of_two().max(FIRST_CAPACITY)
    }

    /// Whether so many slots are dead that the table is worth building anew.
    fn is_sparse(&self) -> bool {
        self.dead > FIRST_CAPACITY.max(self.used / 4)
    }
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

impl Pool {
    /// Adds a proxy at the end of the order. An address that is there already changes nothing, even in a full pool.
    /// The attachment is given back unless the proxy is new.
    ///
    /// # Errors
    /// [`AddError::Full`] at the limit (checked only if `limited`), [`AddError::SameId`] for another proxy of that id.
    pub fn add(&self, proxy: Arc<Proxy>, attachment: Option<Attachment>, limited: bool) -> Result<Added, AddError> {
        let address = proxy.address();
        let key = Key::of(&address);
        let hash = key.hash();
        let newcomer = proxy.clone();
        loop {
            let mut writer = self.writer.lock();
            let table = self.table.load();
            if table.find_key(hash, key).is_some() {
                return Ok(Added::Duplicate);
            }
            if table.find(proxy.id()).is_some() {
                return Err(AddError::SameId);
            }
            let limit = self.limit();
            if limited && self.len() + writer.promised >= limit {
                return Err(AddError::Full { limit });
            }
            if self.has_room(&writer, &table) {
                let member = Member::new(proxy, attachment, table.ops);
                self.put(&mut writer, &table, member, hash);
                self.count.fetch_add(1, Ordering::Relaxed);
                self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
                break;
            }
            drop(table);
            drop(writer);
            self.reserve(1);
        }
        self.log_in_newcomer(&newcomer);
        self.tell_owner(|owner| owner.on_more());
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
        let offered = proxies.len();
        let fresh = self.fresh_of(proxies, distinct);
        self.promise(fresh.len())?;
        self.reserve(fresh.len());
        let mut added = 0;
        let mut newcomers = self.logs_in().then(Vec::new);
        let mut rest = fresh.into_iter().peekable();
        while rest.peek().is_some() {
            let mut writer = self.writer.lock();
            let table = self.table.load();
            for _ in 0..AT_ONCE {
                if !self.has_room(&writer, &table) {
                    break;
                }
                let Some((hash, proxy)) = rest.next() else { break };
                writer.promised -= 1;
                // Another thread may have added it meanwhile.
                if self.is_taken(&table, hash, &proxy) {
                    continue;
                }
                if let Some(newcomers) = &mut newcomers {
                    newcomers.push(proxy.clone());
                }
                self.put(&mut writer, &table, Member::new(proxy, None, table.ops), hash);
                self.count.fetch_add(1, Ordering::Relaxed);
                added += 1;
            }
            let full = !self.has_room(&writer, &table);
            drop(table);
            drop(writer);
            if full {
                self.reserve(rest.len());
            }
        }
        self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
        for proxy in newcomers.into_iter().flatten() {
            self.log_in_newcomer(&proxy);
        }
        self.tell_owner(|owner| owner.on_more());
        Ok((added, offered - added))
    }

    /// Those of a list whose address is neither in the pool nor earlier in the list, with its hash.
    fn fresh_of(&self, proxies: Vec<Arc<Proxy>>, distinct: bool) -> Vec<(u32, Arc<Proxy>)> {
        let mut fresh: Vec<(u32, Arc<Proxy>)> = Vec::with_capacity(proxies.len());
        let mut seen: HashTable<(u32, usize)> = HashTable::with_capacity(if distinct { 0 } else { proxies.len() });
        let table = self.table.load();
        for proxy in proxies {
            let hash = proxy.with_key(|key| key.hash());
            if self.is_taken(&table, hash, &proxy) {
                continue;
            }
            if !distinct {
                let repeated = |(other, at): &(u32, usize)| *other == hash && same_address(&fresh[*at].1, &proxy);
                if seen.find(mix(hash), repeated).is_some() {
                    continue;
                }
                seen.insert_unique(mix(hash), (hash, fresh.len()), |(hash, _)| mix(*hash));
            }
            fresh.push((hash, proxy));
        }
        fresh
    }

    fn is_taken(&self, table: &Table, hash: u32, proxy: &Proxy) -> bool {
        // A look into a big index is a cache miss: none where there is nothing to find.
        if self.is_empty() {
            return false;
        }
        // The address is spelled out only where the hash is known: never two proxies' locks at once.
        let same = |slot: u32| table.is_member(slot) && table.proxy(slot).is_some_and(|held| same_address(held, proxy));
        table.by_address.find(mix(hash), same).is_some()
    }

    /// Keeps room under the limit for a list, so that all of it fits.
    fn promise(&self, more: usize) -> Result<(), AddError> {
        let mut writer = self.writer.lock();
        let limit = self.limit();
        if self.len() + writer.promised + more > limit {
            return Err(AddError::Full { limit });
        }
        writer.promised += more;
        Ok(())
    }

    fn has_room(&self, writer: &Writer, table: &Table) -> bool {
        writer.used < table.slots.len() && table.can_file()
    }

    /// Puts a proxy that is known to be new into the next slot, which must be there.
    pub(super) fn put(&self, writer: &mut Writer, table: &Table, member: Arc<Member>, hash: u32) {
        let number = writer.used;
        writer.used += 1;
        if let Some(history) = &table.history {
            history[number].store(writer.next_position, Ordering::Release);
        }
        writer.next_position += 1;
        let proxy = member.proxy().clone();
        let window = self.window.load(Ordering::Acquire);
        if window != 0 {
            // Unannounced: it is filed below, and an announcement would come back for the lock.
            proxy.store_window_duration(window);
        }
        proxy.join(&self.observer);
        self.tell_owner(|owner| owner.on_join(&proxy));
        table.slots[number].fill(member);
        table.used.store(number + 1, Ordering::Release);
        let number = number as u32;
        let filed = table.file_new(number, proxy.id(), hash);
        debug_assert!(filed, "room is looked for beforehand");
        writer.reindex(table, number, Some(&proxy));
    }

    /// Removes the proxy of that identifier and returns it.
    pub fn remove(&self, id: Id) -> Option<Arc<Proxy>> {
        let (proxy, sparse) = {
            let mut writer = self.writer.lock();
            let table = self.table.load();
            let number = table.find(id)?;
            let proxy = table.slot(number)?.share()?;
            writer.reindex(&table, number, None);
            self.tell_owner(|owner| owner.on_leave(&table, number));
            proxy.leave(&self.observer);
            writer.dead += 1;
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
            (proxy, writer.is_sparse())
        };
        if sparse {
            self.grow(|writer, _| writer.is_sparse().then(|| writer.capacity_for(self.len())));
        }
        Some(proxy)
    }

    /// Replaces all members, keeping the order given. Duplicates of an earlier one are left out; their attachments, and those of
    /// the members before, are given back.
    pub fn replace_all(&self, members: Vec<(Arc<Proxy>, Option<Attachment>)>) {
        let mut refused = Vec::new();
        let old = {
            let mut writer = self.writer.lock();
            let old = self.table.load_full();
            // Site bans of proxies that stay are kept.
            let owner = self.owner.upgrade();
            let old_positions = owner.as_ref().filter(|owner| owner.keeps_positions()).map(|_| old.positions());
            let mut moved = AHashMap::new();
            for number in old.all.members.iter() {
                if let Some(proxy) = old.proxy(number as u32) {
                    proxy.leave(&self.observer);
                }
            }
            let capacity = members.len().next_power_of_two().max(FIRST_CAPACITY);
            // Positions go on, so that a round-robin under way starts over instead of skipping the new ones.
            let table = Arc::new(Table::new(capacity, old.all.successor(capacity), old.ops, true));
            (writer.used, writer.dead) = (0, 0);
            let mut count = 0;
            for (proxy, attachment) in members {
                let address = proxy.address();
                let key = Key::of(&address);
                let hash = key.hash();
                if table.find_key(hash, key).is_some() || table.find(proxy.id()).is_some() {
                    refused.push(attachment);
                    continue;
                }
                if let Some(before) =
                    old_positions.as_ref().and_then(|old_positions| old_positions.get(&Arc::as_ptr(&proxy)))
                {
                    moved.insert(*before, writer.next_position);
                }
                self.put(&mut writer, &table, Member::new(proxy, attachment, table.ops), hash);
                count += 1;
            }
            if let Some(owner) = owner.filter(|_| old_positions.is_some()) {
                owner.on_renumber(&moved);
            }
            // Published when it is whole: selections see the old members or the new ones, never none.
            self.table.store(table);
            self.count.store(count, Ordering::Relaxed);
            self.updated.store(crate::clock::exact_wall(), Ordering::Relaxed);
            old
        };
        drop((old, refused));
        self.tell_owner(|owner| owner.on_more());
    }

    /// Files a proxy anew whose identifier was `old`, or whose address has changed.
    pub(crate) fn rekey(&self, proxy: &Proxy, old: Id) {
        loop {
            let mut writer = self.writer.lock();
            let table = self.table.load();
            let holds = |number: &u32| table.is_member(*number) && table.holds(*number, proxy);
            let filed = table.by_id.find(id_hash(old), |number| holds(&number));
            // Of two changes of the identifier at once, the later one may find it filed under neither.
            let anywhere = || table.all.members.iter().map(|number| number as u32).find(holds);
            let Some(number) = filed.or_else(anywhere) else { return };
            if table.file(number, proxy) {
                writer.reindex(&table, number, Some(proxy));
                return;
            }
            drop(table);
            drop(writer);
            // Entries that match nothing any more have filled the index: the next table's has none.
            self.grow(|writer, table| (!table.can_file()).then(|| writer.capacity_for(self.len())));
        }
    }

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
}

fn same_address(one: &Proxy, other: &Proxy) -> bool {
    let address = one.address();
    other.with_key(|own| own == Key::of(&address))
}
