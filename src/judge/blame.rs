//! Blame: whether a failure is the proxy's or the site's, decided by evidence.
//!
//! A refused CONNECT, a reset inside a tunnel, a 502 through a forward proxy: each may be the doing of the proxy or of the
//! site. Such a failure is a *doubt*. It counts against neither until there is evidence:
//!
//! * The request goes on through another proxy and is answered: the doubt is the proxy's. It fails there too: the site's.
//! * Nothing else was tried in the request. Then the site's answer through another proxy decides, in the minute before or
//!   after; another proxy that fails there too decides for the site; and a proxy that fails at several sites in a row, with no
//!   answer in between and without company at any of them, is at fault itself.
//!
//! Failures of one burst are one observation: a request that began before the last failure was known adds nothing to a row.
//! A doubt is booked as the site's fault from the beginning, so only a conviction of the proxy has anything left to do, and
//! it happens once: a doubt leaves the book with it.
//!
//! The book holds doubts that no request is going to settle. Successes read one word per site and one bit per proxy, and take
//! the lock only where one of them says that there is something to decide. No method calls out while the lock is held.

use std::collections::VecDeque;

use ahash::AHashMap;
use smallvec::SmallVec;

use crate::proxy::Proxy;
use crate::proxy::health::mark;
use crate::resilience::site::{EVIDENCE, Site};
use crate::sync::{Arc, Mutex, Ordering};

/// Nanoseconds after which a doubt is not decided any more, so that slow crawls have rows too.
const KEPT: u64 = 10 * EVIDENCE;
/// Sites and proxies in the book together; of more, the oldest go.
const MOST: usize = 10_000;
/// Sites in a row that convict a proxy.
const ROW: usize = 2;
/// Sites in a row that convict a proxy of many exits, or the only proxy.
const ROW_ALONE: usize = 3;
/// Sites of a row that are remembered.
const ROW_KEPT: usize = 4;

/// A failure that may be the site's as well as the proxy's, and that no other attempt of its request has settled.
#[derive(Clone, Copy)]
pub(crate) struct Doubt<'a> {
    /// The proxy.
    pub(crate) proxy: &'a Arc<Proxy>,
    /// The site.
    pub(crate) site: &'a Arc<Site>,
    /// When the attempt began, in nanoseconds on the steady clock.
    pub(crate) began: u64,
    /// Whether only a row of sites can convict the proxy: it is the only one, or one of many exits.
    pub(crate) is_alone: bool,
    /// Results that it stands for.
    pub(crate) results: u32,
}

/// Doubts that are the proxy's fault.
#[derive(Debug, Clone)]
pub(crate) struct Conviction {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) site: Arc<Site>,
    /// Results to be counted as failures.
    pub(crate) results: u32,
    /// When the last of their attempts began.
    pub(crate) began: u64,
    /// By a row of sites, not by an answer.
    pub(crate) by_row: bool,
}

/// What follows from new evidence.
pub(crate) type Convictions = SmallVec<[Conviction; 1]>;

struct Pair {
    proxy: Arc<Proxy>,
    results: u32,
    began: u64,
    at: u64,
    is_alone: bool,
}

/// What is not settled at one site.
struct Case {
    site: Arc<Site>,
    pairs: SmallVec<[Pair; 1]>,
    at_fault_until: u64,
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

#[derive(Default)]
struct Book {
    cases: AHashMap<u64, Case>,
    rows: AHashMap<usize, Row>,
    // By the moment at which they may be dropped.
    order: VecDeque<(u64, Key)>,
    numbers: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Blame {
    book: Mutex<Book>,
}

fn key_of(proxy: &Arc<Proxy>) -> usize {
    Arc::as_ptr(proxy) as usize
}

impl Blame {
    /// Enters a doubt that its request has not settled, and decides it if there is evidence already.
    pub(crate) fn enter(&self, doubt: &Doubt<'_>, now: u64) -> Convictions {
        let mut book = self.book.lock();
        book.purge(now);
        if book.is_at_fault(doubt.site, now) {
            book.set_at_fault(doubt.site, now);
            return Convictions::new();
        }
        let key = key_of(doubt.proxy);
        let has_company = book
            .cases
            .get(&doubt.site.uid)
            .is_some_and(|case| case.pairs.iter().any(|pair| key_of(&pair.proxy) != key));
        if has_company {
            book.set_at_fault(doubt.site, now);
            return Convictions::new();
        }
        if !doubt.is_alone && doubt.site.answered_to_another(key, now) {
            let results = doubt.results + book.drop_pair(doubt.site.uid, key);
            book.drop_from_row(key, doubt.site.uid);
            let conviction = Conviction {
                proxy: doubt.proxy.clone(),
                site: doubt.site.clone(),
                results,
                began: doubt.began,
                by_row: false,
            };
            return Convictions::from_iter([conviction]);
        }
        book.add_pair(doubt, now);
        book.extend_row(doubt, now)
    }

    /// Several proxies have failed at a site in one request: the site is to blame.
    pub(crate) fn site_is_at_fault(&self, site: &Arc<Site>, now: u64) {
        let mut book = self.book.lock();
        book.purge(now);
        book.set_at_fault(site, now);
    }

    /// The site has answered through a proxy: what other proxies failed at there within the last minute is their fault. Also
    /// returns whether the site was known to fail for all, which it does no longer.
    #[cold]
    pub(crate) fn answered(&self, proxy: &Arc<Proxy>, site: &Arc<Site>, now: u64) -> (Convictions, bool) {
        let mut book = self.book.lock();
        book.purge(now);
        let Some(case) = book.remove_case(site.uid) else { return (Convictions::new(), false) };
        let has_recovered = case.at_fault_until > 0;
        let mut convictions = Convictions::new();
        for pair in case.pairs {
            let key = key_of(&pair.proxy);
            if key == key_of(proxy) || pair.is_alone {
                continue;
            }
            book.drop_from_row(key, site.uid);
            if now.saturating_sub(pair.at) <= EVIDENCE {
                convictions.push(Conviction {
                    proxy: pair.proxy,
                    site: site.clone(),
                    results: pair.results,
                    began: pair.began,
                    by_row: false,
                });
            }
        }
        (convictions, has_recovered)
    }

    /// A proxy has brought an answer: its row ends.
    #[cold]
    pub(crate) fn carried(&self, proxy: &Arc<Proxy>) {
        self.book.lock().drop_row(key_of(proxy));
    }

    /// Sites and proxies in the book.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let book = self.book.lock();
        book.cases.len() + book.rows.len()
    }
}

impl Book {
    fn is_at_fault(&self, site: &Site, now: u64) -> bool {
        self.cases.get(&site.uid).is_some_and(|case| case.at_fault_until > now)
    }

    /// Acquits every proxy at the site, and remembers for a while that the site fails for all.
    fn set_at_fault(&mut self, site: &Arc<Site>, now: u64) {
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

    fn add_pair(&mut self, doubt: &Doubt<'_>, now: u64) {
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

    fn extend_row(&mut self, doubt: &Doubt<'_>, now: u64) -> Convictions {
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
    fn drop_pair(&mut self, uid: u64, key: usize) -> u32 {
        let Some(case) = self.cases.get_mut(&uid) else { return 0 };
        let Some(at) = case.pairs.iter().position(|pair| key_of(&pair.proxy) == key) else { return 0 };
        let results = case.pairs.remove(at).results;
        if case.pairs.is_empty() && case.at_fault_until == 0 {
            self.remove_case(uid);
        }
        results
    }

    fn remove_case(&mut self, uid: u64) -> Option<Case> {
        let case = self.cases.remove(&uid)?;
        case.site.doubtful.store(false, Ordering::Relaxed);
        Some(case)
    }

    fn drop_from_row(&mut self, key: usize, uid: u64) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        row.sites.retain(|entry| entry.site.uid != uid);
        if row.sites.is_empty() {
            self.drop_row(key);
        }
    }

    fn drop_row(&mut self, key: usize) {
        if let Some(row) = self.rows.remove(&key) {
            row.proxy.exchange(|state| state.with(mark::DOUBTED, false));
        }
    }

    /// Drops what is too old to be decided, and the oldest of too many.
    fn purge(&mut self, now: u64) {
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::net::address::Address;
    use crate::proxy::health::Source;
    use crate::resilience::site::Sites;

    fn proxy(number: u8) -> Arc<Proxy> {
        Arc::new(Proxy::new(&Address::parse(&format!("http://10.0.0.{number}:80")).unwrap(), Source::User, 0))
    }

    #[test]
    fn memory_is_bounded_however_many_sites_are_dead() {
        let (blame, sites, dead) = (Blame::default(), Sites::default(), proxy(1));
        for number in 0..60_000_u64 {
            let site = sites.named(&format!("gone{number}.test"));
            let now = number * 1_000_000;
            blame.enter(&Doubt { proxy: &dead, site: &site, began: now, is_alone: true, results: 1 }, now);
        }
        assert!(blame.len() <= MOST, "{}", blame.len());
        assert!(blame.book.lock().order.len() <= 3 * MOST);
    }

    #[test]
    fn what_is_settled_leaves_nothing_behind() {
        let (blame, sites, dead, other) = (Blame::default(), Sites::default(), proxy(1), proxy(2));
        for number in 0..60_000_u64 {
            let site = sites.named("shop.test");
            let now = number * 1_000_000;
            blame.enter(&Doubt { proxy: &dead, site: &site, began: now, is_alone: false, results: 1 }, now);
            let (convictions, _) = blame.answered(&other, &site, now);
            assert_eq!(convictions.len(), 1);
            assert!(!site.doubtful.load(Ordering::Relaxed));
        }
        blame.carried(&dead);
        assert_eq!(blame.len(), 0);
        assert!(!dead.state().has(mark::DOUBTED));
        assert!(blame.book.lock().order.len() <= 3 * MOST, "{}", blame.book.lock().order.len());
    }

    #[test]
    fn old_doubts_are_dropped() {
        let (blame, sites, dead) = (Blame::default(), Sites::default(), proxy(1));
        for (number, name) in ["a", "b", "c"].iter().enumerate() {
            let now = number as u64 * 2 * KEPT;
            let doubt = Doubt { proxy: &dead, site: &sites.named(name), began: now, is_alone: false, results: 1 };
            assert!(blame.enter(&doubt, now).is_empty(), "{name}: the one before is forgotten");
        }
        assert_eq!(blame.len(), 2, "the last one, and its row");
    }
}
