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

mod book;

use smallvec::SmallVec;

use self::book::{Book, key_of};
use crate::proxy::Proxy;
use crate::resilience::site::{EVIDENCE, Site};
use crate::sync::{Arc, Mutex};

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

/// See the module.
#[derive(Default)]
pub(crate) struct Blame {
    book: Mutex<Book>,
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
        if book.has_other(doubt.site, key) {
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
        self.book.lock().len()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::book::{KEPT, MOST};
    use super::*;
    use crate::net::address::Address;
    use crate::proxy::health::{Source, mark};
    use crate::resilience::site::Sites;
    use crate::sync::Ordering;

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
        assert!(blame.book.lock().noted() <= 3 * MOST);
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
        assert!(blame.book.lock().noted() <= 3 * MOST, "{}", blame.book.lock().noted());
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
