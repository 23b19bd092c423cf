//! The book of doubts that no request is going to settle: by site, and by proxy the sites in a row at which it has failed.

use std::collections::VecDeque;

use ahash::AHashMap;
use smallvec::SmallVec;

use super::{Conviction, Convictions, Doubt};
use crate::proxy::Proxy;
use crate::proxy::health::mark;
use crate::resilience::site::{EVIDENCE, Site};
use crate::sync::{Arc, Ordering};

/// Nanoseconds after which a doubt is not decided any more, so that slow crawls have rows too.
pub(super) const KEPT: u64 = 10 * EVIDENCE;
/// Sites and proxies in the book together; of more, the oldest go.
pub(super) const MOST: usize = 10_000;
/// Sites in a row that convict a proxy.
const ROW: usize = 2;
/// Sites in a row that convict a proxy of many exits, or the only proxy.
const ROW_ALONE: usize = 3;
/// Sites of a row that are remembered.
const ROW_KEPT: usize = 4;

/// The failures of one proxy at one site.
pub(super) struct Pair {
    pub(super) proxy: Arc<Proxy>,
    pub(super) results: u32,
    pub(super) began: u64,
    pub(super) at: u64,
    pub(super) is_alone: bool,
}

/// What is not settled at one site.
pub(super) struct Case {
    site: Arc<Site>,
    pub(super) pairs: SmallVec<[Pair; 1]>,
    pub(super) at_fault_until: u64,
    touched: u64,
    number: u64,
}

struct RowSite {
    site: Arc<Site>,
    results: u32,
    began: u64,
}

/// The sites in a row at which one proxy has failed without company.
struct Row {
    proxy: Arc<Proxy>,
    sites: SmallVec<[RowSite; ROW_KEPT]>,
    known_at: u64,
    number: u64,
}

/// What an entry of the order is about; the number distinguishes it from an earlier one of the same site or proxy.
#[derive(Clone, Copy)]
enum Key {
    Site(u64, u64),
    Proxy(usize, u64),
}

/// The doubts, and the order in which they may be dropped.
#[derive(Default)]
pub(super) struct Book {
    cases: AHashMap<u64, Case>,
    rows: AHashMap<usize, Row>,
    // By the moment at which they may be dropped.
    order: VecDeque<(u64, Key)>,
    numbers: u64,
}

/// A proxy as the book distinguishes it.
pub(super) fn key_of(proxy: &Arc<Proxy>) -> usize {
    Arc::as_ptr(proxy) as usize
}

impl Book {
    /// Sites and proxies in the book.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cases.len() + self.rows.len()
    }

    /// Entries of the order.
    #[cfg(test)]
    pub(super) fn noted(&self) -> usize {
        self.order.len()
    }

    /// Whether another proxy has failed at the site as well.
    pub(super) fn has_other(&self, site: &Site, key: usize) -> bool {
        self.cases.get(&site.uid).is_some_and(|case| case.pairs.iter().any(|pair| key_of(&pair.proxy) != key))
    }

    pub(super) fn is_at_fault(&self, site: &Site, now: u64) -> bool {
        self.cases.get(&site.uid).is_some_and(|case| case.at_fault_until > now)
    }

    /// Acquits every proxy at the site, and remembers for a while that the site fails for all.
    pub(super) fn set_at_fault(&mut self, site: &Arc<Site>, now: u64) {
        let case = self.case(site, now);
        case.at_fault_until = now.saturating_add(EVIDENCE);
        let acquitted = std::mem::take(&mut case.pairs);
        for pair in acquitted {
            self.drop_from_row(key_of(&pair.proxy), site.uid);
        }
    }

    fn case(&mut self, site: &Arc<Site>, now: u64) -> &mut Case {
        let (order, numbers) = (&mut self.order, &mut self.numbers);
        let case = self.cases.entry(site.uid).or_insert_with(|| {
            *numbers += 1;
            order.push_back((now.saturating_add(KEPT), Key::Site(site.uid, *numbers)));
            // Relaxed: an answer that misses it by a moment came before.
            site.doubtful.store(true, Ordering::Relaxed);
            let pairs = SmallVec::new();
            Case { site: site.clone(), pairs, at_fault_until: 0, touched: now, number: *numbers }
        });
        case.touched = now;
        case
    }

    pub(super) fn add_pair(&mut self, doubt: &Doubt<'_>, now: u64) {
        let key = key_of(doubt.proxy);
        let case = self.case(doubt.site, now);
        match case.pairs.iter_mut().find(|pair| key_of(&pair.proxy) == key) {
            Some(pair) => {
                pair.results += doubt.results;
                (pair.began, pair.at) = (doubt.began, now);
            }
            None => case.pairs.push(Pair {
                proxy: doubt.proxy.clone(),
                results: doubt.results,
                began: doubt.began,
                at: now,
                is_alone: doubt.is_alone,
            }),
        }
    }

    pub(super) fn extend_row(&mut self, doubt: &Doubt<'_>, now: u64) -> Convictions {
        let key = key_of(doubt.proxy);
        let (order, numbers) = (&mut self.order, &mut self.numbers);
        let row = self.rows.entry(key).or_insert_with(|| {
            *numbers += 1;
            order.push_back((now.saturating_add(KEPT), Key::Proxy(key, *numbers)));
            doubt.proxy.exchange(|state| state.with(mark::DOUBTED, true));
            Row { proxy: doubt.proxy.clone(), sites: SmallVec::new(), known_at: 0, number: *numbers }
        });
        match row.sites.iter_mut().find(|entry| entry.site.uid == doubt.site.uid) {
            Some(entry) => {
                entry.results += doubt.results;
                entry.began = doubt.began;
            }
            // Sent before the last failure was known: of the same burst.
            None if doubt.began < row.known_at => {}
            None => {
                if row.sites.len() == ROW_KEPT {
                    row.sites.remove(0);
                }
                let site = doubt.site.clone();
                row.sites.push(RowSite { site, results: doubt.results, began: doubt.began });
            }
        }
        row.known_at = now;
        let enough = if doubt.is_alone { ROW_ALONE } else { ROW };
        if row.sites.len() < enough {
            return Convictions::new();
        }
        // The sites stay: the next one in the row convicts at once.
        let mut convictions = Convictions::new();
        for entry in &mut row.sites {
            let results = std::mem::take(&mut entry.results);
            if results > 0 {
                let (proxy, site) = (row.proxy.clone(), entry.site.clone());
                convictions.push(Conviction { proxy, site, results, began: entry.began, by_row: true });
            }
        }
        for conviction in &convictions {
            self.drop_pair(conviction.site.uid, key);
        }
        convictions
    }

    /// Takes a pair out; how many results it stood for.
    pub(super) fn drop_pair(&mut self, uid: u64, key: usize) -> u32 {
        let Some(case) = self.cases.get_mut(&uid) else { return 0 };
        let Some(at) = case.pairs.iter().position(|pair| key_of(&pair.proxy) == key) else { return 0 };
        let results = case.pairs.remove(at).results;
        if case.pairs.is_empty() && case.at_fault_until == 0 {
            self.remove_case(uid);
        }
        results
    }

    pub(super) fn remove_case(&mut self, uid: u64) -> Option<Case> {
        let case = self.cases.remove(&uid)?;
        case.site.doubtful.store(false, Ordering::Relaxed);
        Some(case)
    }

    pub(super) fn drop_from_row(&mut self, key: usize, uid: u64) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        row.sites.retain(|entry| entry.site.uid != uid);
        if row.sites.is_empty() {
            self.drop_row(key);
        }
    }

    pub(super) fn drop_row(&mut self, key: usize) {
        if let Some(row) = self.rows.remove(&key) {
            row.proxy.exchange(|state| state.with(mark::DOUBTED, false));
        }
    }

    /// Drops what is too old to be decided, and the oldest of too many.
    pub(super) fn purge(&mut self, now: u64) {
        // Entries of what has been settled meanwhile are worth a round when they outnumber the others.
        let mut stale_rounds = if self.order.len() > 2 * MOST { self.order.len() } else { 0 };
        while let Some((due, key)) = self.order.front().copied() {
            let is_full = self.cases.len() + self.rows.len() >= MOST;
            if due > now && !is_full && stale_rounds == 0 {
                return;
            }
            stale_rounds = stale_rounds.saturating_sub(1);
            self.order.pop_front();
            let touched = match key {
                Key::Site(uid, number) => self.cases.get(&uid).filter(|case| case.number == number).map(|c| c.touched),
                Key::Proxy(key, number) => self.rows.get(&key).filter(|row| row.number == number).map(|r| r.known_at),
            };
            let Some(until) = touched.map(|touched| touched.saturating_add(KEPT)) else { continue };
            if until > now && !is_full {
                self.order.push_back((until, key));
                continue;
            }
            match key {
                Key::Site(uid, _) => drop(self.remove_case(uid)),
                Key::Proxy(key, _) => self.drop_row(key),
            }
        }
    }
}
