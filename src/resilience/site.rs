//! Sites: what a proxy can be unwelcome at. Each has one key, and one name in memory however its hosts are written.
//!
//! The site of a URL is looked up for every request, so hosts seen lately are found without a lock: in a table of fixed
//! size, a few places per host, of which a newcomer takes one at random.

use hashbrown::HashTable;

use crate::clock::Clock;
use crate::net::site_key::{host_of, site_key_of_host};
use crate::pool::mask::Mask;
use crate::sync::{Arc, ArcSwapOption, AtomicBool, AtomicU64, AtomicUsize, Mutex, OnceLock, Ordering};

/// Places for hosts, and how many of them one host may be in.
const SETS: usize = 512;
const WAYS: usize = 4;

/// One site, as one pool knows it. Made by [`Sites`].
#[derive(Debug)]
pub struct Site {
    pub(crate) uid: u64,
    /// Pairs of this site in the ledger: zero spares the look-up.
    pub(crate) entries: AtomicUsize,
    /// Proxies to be passed over here now.
    pub(crate) held: AtomicUsize,
    /// When the next of them comes back, on the steady clock.
    pub(crate) next_due: AtomicU64,
    /// When a request here last succeeded, on the steady clock; zero for never.
    pub(crate) last_success: AtomicU64,
    /// Whether the book of blame has something open here that an answer settles.
    pub(crate) doubtful: AtomicBool,
    /// The last two proxies that brought an answer from here, and when.
    answers: [Answer; 2],
    /// Nothing succeeds here, and half the pool is benched: reported once.
    pub(crate) panicking: AtomicBool,
    /// Which they are, by slot: what selections read.
    pub(crate) mask: Arc<Mask>,
}

/// Nanoseconds for which an answer of the site, and its being at fault, are evidence.
pub(crate) const EVIDENCE: u64 = 60_000_000_000;
/// Answers of one proxy closer together than this, in nanoseconds, are one: not every answer writes to a shared line.
const ANSWERS_APART: u64 = 100_000_000;

/// An answer that a proxy brought.
#[derive(Debug, Default)]
struct Answer {
    // Zero for none.
    proxy: AtomicUsize,
    at: AtomicU64,
}

impl Site {
    /// Notes an answer through the proxy of that key, on the steady clock. Three reads where nothing is to be written.
    #[inline]
    pub(crate) fn note_answer(&self, proxy: usize, now: u64) {
        // Relaxed throughout: a moment more or less decides nothing.
        let is_new = |answer: &Answer| now.saturating_sub(answer.at.load(Ordering::Relaxed)) > ANSWERS_APART;
        let [first, second] = &self.answers;
        for answer in [first, second] {
            if answer.proxy.load(Ordering::Relaxed) == proxy {
                if is_new(answer) {
                    answer.at.store(now, Ordering::Relaxed);
                }
                return;
            }
        }
        let is_first_older = first.at.load(Ordering::Relaxed) <= second.at.load(Ordering::Relaxed);
        let older = if is_first_older { first } else { second };
        if older.proxy.load(Ordering::Relaxed) == 0 || is_new(older) {
            // An answer of long ago, until both halves are written.
            older.at.store(0, Ordering::Relaxed);
            older.proxy.store(proxy, Ordering::Relaxed);
            older.at.store(now, Ordering::Relaxed);
        }
    }

    /// Whether the site has answered lately through another proxy than the one of that key.
    pub(crate) fn answered_to_another(&self, proxy: usize, now: u64) -> bool {
        self.answers.iter().any(|answer| {
            let other = answer.proxy.load(Ordering::Relaxed);
            let at = answer.at.load(Ordering::Relaxed);
            other != 0 && other != proxy && at != 0 && now.saturating_sub(at) <= EVIDENCE
        })
    }

    fn new(key: &str) -> Self {
        let mask = Mask::new(key);
        Self {
            uid: mask.uid(),
            entries: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            next_due: AtomicU64::new(u64::MAX),
            last_success: AtomicU64::new(0),
            doubtful: AtomicBool::new(false),
            answers: [Answer::default(), Answer::default()],
            panicking: AtomicBool::new(false),
            mask,
        }
    }

    /// The slots that it holds back: what selections read.
    #[must_use]
    pub fn mask(&self) -> &Arc<Mask> {
        &self.mask
    }

    /// Nanoseconds until the next proxy comes back here by itself; `None` if none is held back.
    #[must_use]
    pub fn next_release(&self, clock: &dyn Clock) -> Option<u64> {
        let due = self.next_due.load(Ordering::Relaxed);
        (due != u64::MAX).then(|| due.saturating_sub(clock.steady()))
    }

    /// Its key: a registrable domain, or whatever the pool's rule makes of a URL.
    #[must_use]
    pub fn key(&self) -> &str {
        self.mask.name()
    }
}

/// A host that was seen lately.
struct Seen {
    host: Box<str>,
    site: Arc<Site>,
}

/// The sites of one pool.
#[derive(Default)]
pub struct Sites {
    seen: OnceLock<Box<[ArcSwapOption<Seen>]>>,
    // Set when every URL belongs to one site.
    is_fixed: AtomicBool,
    fixed: ArcSwapOption<Site>,
    // Every site that is referenced; the others are swept out when the table has doubled.
    named: Mutex<Named>,
}

#[derive(Default)]
struct Named {
    sites: HashTable<Arc<Site>>,
    sweep_at: usize,
}

fn hash(text: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = crate::random::hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Sites {
    /// The site of a URL, `None` if it has no host. Takes no lock for a host seen lately.
    #[inline]
    #[must_use]
    pub fn of_url(&self, url: &str) -> Option<Arc<Site>> {
        if self.is_fixed.load(Ordering::Relaxed)
            && let Some(site) = self.fixed.load_full()
        {
            return Some(site);
        }
        let host = host_of(url)?;
        let hash = hash(host);
        let set = hash as usize % SETS * WAYS;
        if let Some(seen) = self.seen.get() {
            for place in &seen[set..set + WAYS] {
                if let Some(seen) = &*place.load()
                    && *seen.host == *host
                {
                    return Some(seen.site.clone());
                }
            }
        }
        self.meet(host, set)
    }

    #[cold]
    fn meet(&self, host: &str, set: usize) -> Option<Arc<Site>> {
        let key = site_key_of_host(host);
        if key.is_empty() {
            return None;
        }
        let site = self.named(&key);
        let seen = self.seen.get_or_init(|| (0..SETS * WAYS).map(|_| ArcSwapOption::empty()).collect());
        let set = &seen[set..set + WAYS];
        let place = set.iter().find(|place| place.load().is_none());
        let place = place.unwrap_or(&set[crate::random::next() as usize % WAYS]);
        place.store(Some(Arc::new(Seen { host: host.into(), site: site.clone() })));
        Some(site)
    }

    /// The site of that key, made if there is none yet.
    #[must_use]
    pub fn named(&self, key: &str) -> Arc<Site> {
        let mut named = self.named.lock();
        let hash_of = |site: &Arc<Site>| hash(site.key());
        if let Some(site) = named.sites.find(hash(key), |site| site.key() == key) {
            return site.clone();
        }
        if named.sites.len() >= named.sweep_at {
            // Only this table can hand out a site without another reference, and it is locked.
            named.sites.retain(|site| Arc::strong_count(site) > 1);
            named.sweep_at = (named.sites.len() * 2).max(SETS);
        }
        let site = Arc::new(Site::new(key));
        named.sites.insert_unique(hash(key), site.clone(), hash_of);
        site
    }

    /// Makes every URL belong to the site of that key, or with `None` each to that of its host.
    pub fn set_fixed(&self, key: Option<&str>) {
        self.fixed.store(key.map(|key| self.named(key)));
        self.is_fixed.store(key.is_some(), Ordering::Release);
    }

    /// Number of sites in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.named.lock().sites.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_domain_are_one_site() {
        let sites = Sites::default();
        let first = sites.of_url("https://www.example.com/a").unwrap();
        for url in ["http://example.com", "https://API.example.com:8443/x", "https://www.example.com/b"] {
            assert!(Arc::ptr_eq(&first, &sites.of_url(url).unwrap()), "{url}");
        }
        assert_eq!(first.key(), "example.com");
        assert!(!Arc::ptr_eq(&first, &sites.of_url("https://example.org").unwrap()));
        assert!(sites.of_url("nothing at all?").is_some());
        assert!(sites.of_url("http:///").is_none());
    }

    #[test]
    fn a_fixed_key_is_for_every_url() {
        let sites = Sites::default();
        sites.set_fixed(Some("all"));
        assert_eq!(sites.of_url("http://a.com").unwrap().key(), "all");
        assert_eq!(sites.of_url("").unwrap().key(), "all");
        sites.set_fixed(None);
        assert_eq!(sites.of_url("http://a.com").unwrap().key(), "a.com");
    }

    #[test]
    fn memory_is_bounded_whoever_comes_along() {
        let sites = Sites::default();
        let held = sites.of_url("http://kept.com").unwrap();
        for number in 0..50_000 {
            sites.of_url(&format!("http://site{number}.com/")).unwrap();
        }
        assert!(sites.len() <= 2 * (SETS * WAYS + 1), "{}", sites.len());
        assert!(Arc::ptr_eq(&held, &sites.of_url("http://kept.com").unwrap()));
    }
}
