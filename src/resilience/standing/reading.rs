//! What is read from the books: by selections, by those who wait, and by people.

use ahash::AHashMap;

use crate::clock::{Clock, Micros};
use crate::pool::{Pool, Table};
use crate::resilience::site::Site;
use crate::resilience::standing::entry::Hold;
use crate::resilience::standing::ledger::Changes;
use crate::resilience::standing::marks::{Mark, Marks};
use crate::resilience::standing::{BanRow, Kind};
use crate::sync::{Arc, Ordering};

/// So few are looked over sooner than a view without them is made.
const FEW: usize = 8;

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

/// Whom a selection is to pass over at a site. Made for one selection.
pub struct SiteMask<'a> {
    pub(crate) site: &'a Arc<Site>,
    marks: arc_swap::Guard<Option<Arc<Marks>>>,
    /// So many that it is better to ask a view without them.
    pub(crate) is_crowded: bool,
    /// How many they are.
    pub(crate) held: usize,
}

impl SiteMask<'_> {
    /// Whether a slot is to be passed over.
    #[inline]
    pub(crate) fn holds(&self, slot: u32) -> bool {
        (*self.marks).as_ref().is_some_and(|marks| marks.holds(slot))
    }
}

impl Site {
    /// Whether there is surely no entry for a slot.
    #[inline]
    pub(super) fn says_nothing_of(&self, table: &Table, slot: u32) -> bool {
        let marks = self.marks.load();
        (*marks).as_ref().is_some_and(|marks| marks.generation == table.generation && marks.look(slot) == Mark::Unknown)
    }

    /// Whether a slot of a table of that generation is to be passed over.
    pub(crate) fn holds(&self, generation: u64, slot: u32) -> bool {
        let marks = self.marks.load();
        (*marks).as_ref().is_some_and(|marks| marks.generation == generation && marks.holds(slot))
    }
}

impl Pool {
    /// Whom a selection from `table` has to pass over at a site; `None` if nobody, which costs one read.
    #[inline]
    #[must_use]
    pub fn sited<'a>(&self, table: &Table, site: &'a Arc<Site>, clock: &dyn Clock) -> Option<SiteMask<'a>> {
        // Acquire: who sees somebody held sees the marks.
        if site.held.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.look_up(table, site, clock)
    }

    fn look_up<'a>(&self, table: &Table, site: &'a Arc<Site>, clock: &dyn Clock) -> Option<SiteMask<'a>> {
        let due = site.next_due.load(Ordering::Relaxed);
        // The coarse clock is behind the exact one, which is asked only where that could matter.
        if due <= clock.steady_coarse().saturating_add(COARSE) {
            let now = clock.steady();
            if due <= now {
                self.wake_at(site, now);
            }
        }
        let mut marks = site.marks.load();
        if (*marks).as_ref().is_some_and(|marks| marks.generation < table.generation) {
            let mut changes = Changes::new();
            self.standing.ledger.lock().up_to_date(site, table, &mut changes);
            marks = site.marks.load();
        }
        // A reader of an older table goes without: the books catch whom it should not have chosen.
        let marks = Some(marks).filter(|marks| (**marks).as_ref().is_some_and(|m| m.generation == table.generation))?;
        let held = site.held.load(Ordering::Acquire);
        let is_crowded = held >= FEW && held * 8 > table.all.dense.len();
        Some(SiteMask { site, marks, is_crowded, held })
    }

    fn wake_at(&self, site: &Site, now: u64) {
        let mut changes = Changes::new();
        self.standing.ledger.lock().wake(site, now, &mut changes);
        self.place_sited(&changes);
    }

    /// Nanoseconds until the next proxy comes back at a site by itself; `None` if none is held back there.
    #[must_use]
    pub fn next_release_at(&self, site: &Site, clock: &dyn Clock) -> Option<u64> {
        let due = site.next_due.load(Ordering::Relaxed);
        (due != u64::MAX).then(|| due.saturating_sub(clock.steady()))
    }

    /// Nanoseconds until the next proxy comes back by itself at any site; `None` if none is held back anywhere.
    #[must_use]
    pub fn next_standing_due(&self, clock: &dyn Clock) -> Option<u64> {
        let ledger = self.standing.ledger.lock();
        let due = ledger.sites.values().map(|books| books.site.next_due.load(Ordering::Relaxed)).min()?;
        (due != u64::MAX).then(|| due.saturating_sub(clock.steady()))
    }

    /// What holds back whom at a site, by slot of `table`.
    #[must_use]
    pub fn bars_at(&self, table: &Table, site: &Site, clock: &dyn Clock) -> AHashMap<u32, Exclusion> {
        let ledger = self.standing.ledger.lock();
        let now = clock.steady();
        let Some(books) = ledger.sites.get(&site.uid) else { return AHashMap::new() };
        let bar = |at: &u32| {
            let entry = &ledger.entries[*at as usize];
            // Whose time has come is passed over until the next selection lets it return: who has been refused by the last one
            // is to hear of it.
            let lapsed = || (entry.mark == Mark::Held).then(|| entry.record.lapsed(now));
            let hold = entry.record.hold(now, ledger.rate()).or_else(lapsed)?;
            Some((table.slot_at(entry.position)?, Exclusion::of(&hold, now, clock)))
        };
        books.index.iter().filter_map(bar).collect()
    }

    /// Every pair that is out of favour, and until when; those who owe a probe included.
    #[must_use]
    pub fn standings(&self, clock: &dyn Clock) -> Vec<BanRow> {
        let table = self.table();
        let ledger = self.standing.ledger.lock();
        let now = clock.steady();
        let rate = ledger.rate();
        let mut rows = Vec::new();
        for books in ledger.sites.values() {
            for at in &books.index {
                let entry = &ledger.entries[*at as usize];
                let Some((kind, until)) = entry.record.shown(now, rate) else { continue };
                let slot = table.slot_at(entry.position).and_then(|slot| table.slot(slot));
                let Some(proxy) = slot.and_then(|slot| slot.share()) else { continue };
                let until = until.map(|until| wall_of(until, now, clock));
                rows.push(BanRow { proxy, site: books.site.clone(), kind, until, level: entry.record.level });
            }
        }
        rows
    }
}
