//! The next table of a pool, built beside the present one.
//!
//! A table of a million slots takes a good part of a second to build, and no thread may wait so long for the writer lock. So
//! the members are copied without the lock. Meanwhile every change of a slot is written into a log under the lock; the builder
//! goes over the log until little is left of it, applies the rest under the lock and swaps the table in. Two threads may
//! build at once: the first to finish wins, and the other one looks again whether anything is left to do.

use crate::pool::table::{Facets, Table};
use crate::pool::{Pool, evict_views};
use crate::sync::{Arc, Ordering};

use super::membership::Writer;

/// Changes that are applied under the lock; more are first applied outside.
const FEW: usize = 64;
/// Times that a log is applied outside before the rest is applied under the lock, however long: changes may come as
/// fast as they are applied.
const ROUNDS: usize = 8;
const UNKNOWN: u32 = u32::MAX;

/// The slots that have changed since a builder has begun.
#[derive(Debug)]
pub(super) struct Log {
    builder: u64,
    pub(super) changed: Vec<u32>,
}

/// A table under construction.
#[derive(Debug)]
struct Draft {
    next: Table,
    // Number in `next` of each slot of the present table.
    numbers: Vec<u32>,
    used: usize,
    dead: usize,
}

impl Draft {
    fn new(old: &Table, capacity: usize, with_history: bool) -> Self {
        let next = Table::new(capacity, old.all.successor(capacity), old.ops, with_history);
        let mut facets = Facets::default();
        // Views under a mask are not among them: marks are of one table.
        for (facet, view) in old.facets.load().iter().filter(|(facet, _)| facet.mask == 0) {
            facets.insert(facet.clone(), Arc::new(view.successor(capacity)));
        }
        evict_views(&mut facets, None);
        next.views_made.store(old.views_made.load(Ordering::Relaxed), Ordering::Relaxed);
        next.facets.store(Arc::new(facets));
        Self { next, numbers: vec![UNKNOWN; old.slots.len()], used: 0, dead: 0 }
    }

    /// Takes over a slot of the present table, whose proxy may have left meanwhile; false if there is no room.
    fn take(&mut self, old: &Table, number: u32) -> bool {
        let Some(member) = old.slot(number).and_then(|slot| slot.member_share()) else { return true };
        if self.used == self.next.slots.len() {
            return false;
        }
        let used = self.used;
        self.used += 1;
        self.numbers[number as usize] = used as u32;
        if let Some(history) = &self.next.history {
            history[used].store(old.position(number as usize), Ordering::Release);
        }
        let proxy = member.proxy().clone();
        self.next.slots[used].fill(member);
        if !self.next.file(used as u32, &proxy) {
            return false;
        }
        if old.is_member(number) {
            self.next.reindex(used as u32, Some(&proxy));
        } else {
            self.dead += 1;
        }
        true
    }

    /// Brings the draft up to date with slots that have changed; false if there is no room.
    fn apply(&mut self, old: &Table, changed: &[u32]) -> bool {
        changed.iter().all(|number| {
            let at = self.numbers[*number as usize];
            if at == UNKNOWN {
                return self.take(old, *number);
            }
            let Some(proxy) = self.next.proxy(at) else { return true };
            if old.is_member(*number) {
                // Its identifier or its address may be what has changed.
                let filed = self.next.file(at, proxy);
                self.next.reindex(at, Some(proxy));
                return filed;
            }
            if self.next.is_member(at) {
                self.next.reindex(at, None);
                self.dead += 1;
            }
            true
        })
    }
}

impl Pool {
    /// Makes room for `more` proxies.
    pub fn reserve(&self, more: usize) {
        self.grow(|writer, table| {
            let room = writer.used + more <= table.slots.len() && table.can_file();
            (!room).then(|| writer.capacity_for(self.len() + more))
        });
    }

    /// Builds and swaps in tables of the capacity that `wanted` names until it names none. Called without a lock.
    pub(super) fn grow(&self, wanted: impl Fn(&Writer, &Table) -> Option<usize>) {
        loop {
            let mut writer = self.writer.lock();
            let old = self.table.load_full();
            let Some(capacity) = wanted(&writer, &old) else { return };
            let (used, with_history) = (writer.used as u32, old.history.is_some() || writer.dead > 0);
            let builder = writer.next_builder;
            writer.next_builder += 1;
            writer.logs.push(Log { builder, changed: Vec::new() });
            drop(writer);
            let swapped_out = self.build(&old, Draft::new(&old, capacity, with_history), used, builder);
            // The last share of a table gives back what is attached to its members: after the lock.
            drop((swapped_out, old));
        }
    }

    /// Completes a draft and swaps it in; the table that it replaces, or `None` if another table is the present one by then,
    /// or the draft has no room for what came meanwhile.
    fn build(&self, old: &Arc<Table>, mut draft: Draft, used: u32, builder: u64) -> Option<Arc<Table>> {
        // Slots that were filled later are in the log, in order.
        let members = old.all.members.iter().map(|number| number as u32).take_while(|number| *number < used);
        let mut room = members.into_iter().all(|number| draft.take(old, number));
        let mut round = 0;
        loop {
            let mut writer = self.writer.lock();
            let at = writer.logs.iter().position(|log| log.builder == builder)?;
            if !room || !Arc::ptr_eq(old, &self.table.load()) {
                writer.logs.swap_remove(at);
                drop(writer);
                return None;
            }
            let changed = std::mem::take(&mut writer.logs[at].changed);
            if changed.len() > FEW && round < ROUNDS {
                drop(writer);
                room = draft.apply(old, &changed);
                round += 1;
                continue;
            }
            writer.logs.swap_remove(at);
            if !draft.apply(old, &changed) {
                drop(writer);
                return None;
            }
            writer.used = draft.used;
            writer.dead = draft.dead;
            draft.next.used.store(draft.used, Ordering::Release);
            return Some(self.table.swap(Arc::new(draft.next)));
        }
    }
}
