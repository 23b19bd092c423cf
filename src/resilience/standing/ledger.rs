//! The ledger: every pair of proxy and site that is not as good as new, found by site and position, bounded in number.
//!
//! A pair is filed under the position of its proxy in the pool's history, which no other membership ever has: a proxy that
//! is removed and added again begins anew, and a table that is rebuilt changes nothing here. What depends on slots (the
//! marks that selections read) belongs to one generation of the table and is made anew for the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ahash::AHashMap;
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::pool::Table;
use crate::pool::marks::{Mark, Marks};
use crate::pool::mask::MaskChange;
use crate::proxy::liveness::Rate;
use crate::resilience::site::Site;
use crate::resilience::standing::entry::{Hold, SiteState};
use crate::resilience::standing::site_ledger::SiteLedger;
use crate::resilience::standing::{Kind, Settings};
use crate::sync::Arc;

pub(super) const NONE: u32 = u32::MAX;
pub(super) const NEVER: u64 = u64::MAX;

/// Slots whose mark has changed and that views are kept of: reindexed in the pool once the lock is released.
pub(super) type Changes = SmallVec<[MaskChange; 2]>;

pub(super) struct Entry {
    pub(super) record: SiteState,
    pub(super) position: u64,
    pub(super) site: u64,
    // In the generation of the site's marks.
    pub(super) slot: u32,
    pub(super) mark: Mark,
    benched: bool,
    // The timer that counts; others of this entry are stale.
    pub(super) due: u64,
    // Distinguishes it from an earlier entry at this place in the list.
    pub(super) number: u32,
    queue: Queue,
    older: u32,
    newer: u32,
}

/// The order of eviction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// Nothing holds them back, or for less than a minute.
    Idle = 0,
    /// The others.
    Busy = 1,
}

/// See the module. Under one short lock.
pub(super) struct Ledger {
    pub(super) settings: Settings,
    pub(super) entries: Vec<Entry>,
    free: Vec<u32>,
    pub(super) sites: AHashMap<u64, SiteLedger>,
    // Oldest and newest of both queues.
    ends: [(u32, u32); 2],
    numbers: u32,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            entries: Vec::new(),
            free: Vec::new(),
            sites: AHashMap::new(),
            ends: [(NONE, NONE); 2],
            numbers: 0,
        }
    }
}

fn mix(position: u64) -> u64 {
    position.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Ledger {
    pub(super) fn rate(&self) -> Option<Rate> {
        self.settings.site_rate
    }

    pub(super) fn find(&self, site: &Site, position: u64) -> Option<u32> {
        let site_ledger = self.sites.get(&site.uid)?;
        site_ledger.index.find(mix(position), |at| self.entries[*at as usize].position == position).copied()
    }

    /// The entry of a pair, made if there is none; `None` if the proxy is not in that table any more, or no entry may be
    /// kept at all.
    pub(super) fn entry(&mut self, site: &Arc<Site>, position: u64, table: &Table, out: &mut Changes) -> Option<u32> {
        self.up_to_date(site, table, out);
        if let Some(at) = self.find(site, position) {
            return Some(at);
        }
        let slot = table.slot_at(position)?;
        if self.settings.max_standings == 0 {
            return None;
        }
        while self.len() >= self.settings.max_standings {
            let oldest = self.oldest()?;
            self.remove(oldest, out);
        }
        let number = self.next_number();
        let entry = Entry {
            record: SiteState::new(),
            position,
            site: site.uid,
            slot,
            mark: Mark::Unknown,
            benched: false,
            due: NEVER,
            number,
            queue: Queue::Busy,
            older: NONE,
            newer: NONE,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        self.link(at);
        let site_ledger = self.sites.entry(site.uid).or_insert_with(|| {
            let marks = Arc::new(Marks::new(table.generation, table.len(), 1));
            site.mask.publish(Some(marks.clone()));
            SiteLedger {
                site: site.clone(),
                index: HashTable::new(),
                marks,
                timers: BinaryHeap::new(),
                held: 0,
                benched: 0,
            }
        });
        let entries = &self.entries;
        site_ledger.index.insert_unique(mix(position), at, |at| mix(entries[*at as usize].position));
        Some(at)
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Makes everything that follows from an entry agree with it; it may be gone afterwards.
    pub(super) fn reconcile(&mut self, at: u32, now: u64, out: &mut Changes) {
        let rate = self.rate();
        let entry = &mut self.entries[at as usize];
        let hold = entry.record.hold(now, rate);
        if hold.is_none() && entry.record.is_clear(now) {
            self.remove(at, out);
            return;
        }
        // A rest after failures is short, and soon learned again.
        let is_short = hold.is_none_or(|hold| hold.kind == Kind::Failing) && !entry.record.is_benched();
        let wanted = if is_short { Queue::Idle } else { Queue::Busy };
        self.unlink(at);
        self.entries[at as usize].queue = wanted;
        self.link(at);
        self.file(at, hold, out);
    }

    fn file(&mut self, at: u32, hold: Option<Hold>, out: &mut Changes) {
        let entry = &mut self.entries[at as usize];
        let Some(site_ledger) = self.sites.get_mut(&entry.site) else { return };
        let benched = hold.is_some() && entry.record.is_benched();
        site_ledger.benched = site_ledger.benched + usize::from(benched) - usize::from(entry.benched);
        entry.benched = benched;
        let due = hold.map_or(NEVER, |hold| hold.until);
        if due != entry.due {
            entry.due = due;
            if due != NEVER {
                site_ledger.timers.push(Reverse((due, at, entry.number)));
            }
        }
        let (before, mark) = (entry.mark, if hold.is_some() { Mark::Held } else { Mark::Known });
        if before != mark {
            entry.mark = mark;
            site_ledger.held = site_ledger.held + usize::from(mark == Mark::Held) - usize::from(before == Mark::Held);
            let slot = entry.slot;
            if site_ledger.mark(&self.entries, at, mark) {
                out.push((site_ledger.site.uid, slot));
            }
        }
        site_ledger.publish(&self.entries);
    }

    /// Drops an entry and all that follows from it.
    pub(super) fn remove(&mut self, at: u32, out: &mut Changes) {
        self.unlink(at);
        let entry = &mut self.entries[at as usize];
        let (uid, position, before) = (entry.site, entry.position, entry.mark);
        let benched = std::mem::take(&mut entry.benched);
        entry.mark = Mark::Unknown;
        entry.due = NEVER;
        // No timer knows this number.
        let slot = entry.slot;
        let number = self.next_number();
        self.entries[at as usize].number = number;
        self.free.push(at);
        let Some(site_ledger) = self.sites.get_mut(&uid) else { return };
        if let Ok(found) = site_ledger.index.find_entry(mix(position), |other| *other == at) {
            found.remove();
        }
        site_ledger.benched -= usize::from(benched);
        site_ledger.held -= usize::from(before == Mark::Held);
        if site_ledger.mark(&self.entries, at, Mark::Unknown) && before == Mark::Held {
            out.push((site_ledger.site.uid, slot));
        }
        site_ledger.publish(&self.entries);
        if site_ledger.index.is_empty() {
            site_ledger.site.mask.publish(None);
            self.sites.remove(&uid);
        }
    }

    /// Makes a site's marks anew if they are of an older table, and drops the entries of proxies that are not in this one.
    pub(super) fn up_to_date(&mut self, site: &Site, table: &Table, out: &mut Changes) {
        let Some(site_ledger) = self.sites.get_mut(&site.uid) else { return };
        if site_ledger.marks.generation >= table.generation {
            return;
        }
        let all: Vec<u32> = site_ledger.index.iter().copied().collect();
        let marks = Marks::new(table.generation, table.len(), all.len());
        let mut gone = Vec::new();
        for at in all {
            let entry = &mut self.entries[at as usize];
            match table.slot_at(entry.position) {
                Some(slot) => {
                    entry.slot = slot;
                    let _ = marks.set(slot, entry.mark);
                }
                None => gone.push(at),
            }
        }
        site_ledger.marks = Arc::new(marks);
        site_ledger.site.mask.publish(Some(site_ledger.marks.clone()));
        for at in gone {
            // Without a slot in the new table.
            self.entries[at as usize].slot = NONE;
            self.remove(at, out);
        }
    }

    /// Lets every proxy return at a site whose time has come.
    pub(super) fn wake(&mut self, site: &Site, now: u64, out: &mut Changes) {
        loop {
            let Some(site_ledger) = self.sites.get_mut(&site.uid) else { return };
            let Some(Reverse((due, at, number))) = site_ledger.timers.peek().copied() else { break };
            if due > now {
                break;
            }
            site_ledger.timers.pop();
            let entry = &mut self.entries[at as usize];
            if entry.number == number && entry.due == due {
                entry.due = NEVER;
                self.reconcile(at, now, out);
            }
        }
        if let Some(site_ledger) = self.sites.get_mut(&site.uid) {
            site_ledger.publish(&self.entries);
        }
    }

    /// A proxy has left the pool. The caller holds the pool's writer lock, and `table` is the present one.
    pub(super) fn forget(&mut self, table: &Table, slot: u32, out: &mut Changes) {
        let position = table.position(slot as usize);
        let known = |site_ledger: &SiteLedger| {
            if site_ledger.marks.generation != table.generation || site_ledger.marks.look(slot) == Mark::Unknown {
                return None;
            }
            site_ledger.index.find(mix(position), |at| self.entries[*at as usize].position == position).copied()
        };
        let all: Vec<u32> = self.sites.values().filter_map(known).collect();
        for at in all {
            self.remove(at, out);
        }
    }

    /// Eviction order: entries without an active hold first, then the least recently updated.
    fn oldest(&self) -> Option<u32> {
        self.ends.iter().map(|(oldest, _)| *oldest).find(|at| *at != NONE)
    }

    /// A number no entry and no probe has had lately.
    pub(super) fn next_number(&mut self) -> u32 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    /// Applies changed settings to everything in the ledger.
    pub(super) fn review(&mut self, now: u64, out: &mut Changes) {
        while self.len() > self.settings.max_standings {
            let Some(oldest) = self.oldest() else { break };
            self.remove(oldest, out);
        }
        let all: Vec<u32> = self.sites.values().flat_map(|site_ledger| site_ledger.index.iter().copied()).collect();
        for at in all {
            self.reconcile(at, now, out);
        }
    }

    /// The proxies of a pool stand at other positions now; those that are not named have left.
    pub(super) fn renumber(&mut self, to: &AHashMap<u64, u64>, out: &mut Changes) {
        let mut gone = Vec::new();
        for site_ledger in self.sites.values_mut() {
            let all: Vec<u32> = site_ledger.index.drain().collect();
            for at in all {
                match to.get(&self.entries[at as usize].position) {
                    Some(position) => self.entries[at as usize].position = *position,
                    None => gone.push(at),
                }
                let entries = &self.entries;
                let key = |at: &u32| mix(entries[*at as usize].position);
                site_ledger.index.insert_unique(key(&at), at, key);
            }
        }
        for at in gone {
            self.remove(at, out);
        }
    }

    fn link(&mut self, at: u32) {
        let queue = self.entries[at as usize].queue as usize;
        let (oldest, newest) = self.ends[queue];
        self.entries[at as usize].older = newest;
        self.entries[at as usize].newer = NONE;
        if newest != NONE {
            self.entries[newest as usize].newer = at;
        }
        self.ends[queue] = (if oldest == NONE { at } else { oldest }, at);
    }

    fn unlink(&mut self, at: u32) {
        let Entry { queue, older, newer, .. } = self.entries[at as usize];
        let ends = &mut self.ends[queue as usize];
        match older {
            NONE => ends.0 = newer,
            older => self.entries[older as usize].newer = newer,
        }
        let ends = &mut self.ends[queue as usize];
        match newer {
            NONE => ends.1 = older,
            newer => self.entries[newer as usize].older = older,
        }
    }
}
