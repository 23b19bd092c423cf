//! Site bans: whether a proxy is welcome at a site. A ban is not a death: what happens at one site is held against a proxy
//! there and nowhere else.
//!
//! Selections read the site's mask, without a lock, and only at sites that hold a proxy back. A mask can be old by a moment:
//! [`SiteBans::admit_at`] decides, which asks the ledger about the one proxy that was chosen.
//!
//! One request goes like this:
//!
//! 1. [`Sites::of_url`] finds the site of its URL, once.
//! 2. For each choice: load the table, make the query [`masked`](crate::pool::query::Query::masked) by
//!    [`SiteBans::mask_of`], choose, and ask [`SiteBans::admit_at`]. Refused there, take the start back and begin this step
//!    again: the mask shows what the faster thread has done.
//! 3. [`SiteBans::settle_at`] with what came of it, or with [`SiteOutcome::Released`]. After [`SiteChange::Freed`] a request
//!    that waits may be served; requests that wait for time to pass ask [`Site::next_release`], or [`SiteBans::next_due`]
//!    for all sites.
//! 4. No proxy there: [`SiteBans::exclusions_at`] tells which are held back, why and until when.

mod entry;
#[cfg(not(loom))]
mod forking;
mod ledger;
mod reading;
mod resuming;
mod settling;
mod site_ledger;

use ahash::AHashMap;

use crate::clock::{Clock, Micros};
use crate::pool::{Pool, Table};
use crate::proxy::Proxy;
use crate::proxy::liveness::Rate;
use crate::random::Random;
use crate::resilience::site::{Site, Sites};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
pub use entry::Kind;
use ledger::{Changes, Ledger};
pub use reading::Exclusion;
pub use resuming::SavedHold;

/// Pools smaller than this are not guarded: there half of them is one or two.
const GUARDED_FROM: usize = 4;
/// The first pause after "too many requests" without a word on how long, as a share of the first bench.
const PAUSE_SHARE: f64 = 0.1;
/// Nanoseconds that a later success must be apart to be noted: many threads succeed at one site.
const NOTED_APART: u64 = 100_000_000;

/// Settings of site bans. Lengths in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The longest that a pair may rest after failures that may be the site's fault; a minute at most, whatever this says.
    pub rest_cap: f64,
    /// The longest that a first bench can be; it doubles with each one in a row.
    pub bench_base: f64,
    /// The longest that any bench can be.
    pub bench_cap: f64,
    /// The share of a pool that may be benched at a site where nothing succeeds.
    pub panic_share: f64,
    /// How long ago a success still counts as one.
    pub panic_window: f64,
    /// Pairs of proxy and site kept in mind.
    pub max_standings: usize,
    /// How often one proxy may be used at one site.
    pub site_rate: Option<Rate>,
}

impl Default for Settings {
    fn default() -> Self {
        crate::resilience::Settings::default().of_standing()
    }
}

/// A pool's ledger of site bans.
#[derive(Default)]
pub struct SiteBans {
    pub(crate) sites: Sites,
    ledger: Mutex<Ledger>,
    is_rated: AtomicBool,
    random: Random,
}

/// What a request's end says about the proxy at the site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SiteOutcome {
    /// The site served it.
    Welcome,
    /// The site refuses the proxy: for so many seconds if that is known, else for longer each time.
    Banned(Option<f64>),
    /// The site asks for a pause: of so many seconds if it said so.
    RateLimited(Option<f64>),
    /// It came through, and nothing is known of what the site said.
    Carried,
    /// A failure that may be the site's fault: the pair rests, from the failure after so many on.
    Failed {
        /// Failures in a row without a rest.
        free: u8,
    },
    /// The site refuses an exit of a proxy that has many: three in a row bench it.
    ExitRefused(Kind),
    /// Nothing: the request never got that far, or the fault was elsewhere.
    Nothing,
    /// It was never sent.
    Released,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SiteChange {
    /// Nothing.
    None,
    /// The proxy is passed over at the site for so many seconds; how often in a row.
    Benched {
        /// For how long.
        seconds: f64,
        /// Which bench in a row, from 1.
        level: u32,
    },
    /// The proxy is passed over at the site for so many seconds, because the site asked for it.
    Held {
        /// For how long.
        seconds: f64,
    },
    /// It would have been benched, but nothing succeeds at the site and half the pool is benched there already.
    Spared {
        /// Whether this is the first time since the last success there.
        first: bool,
    },
    /// It may be chosen again: a waiting request may be served.
    Freed,
}

/// The right to send one request through a proxy to a site. To be given back to [`SiteBans::settle_at`] once.
#[derive(Debug)]
pub struct Admission {
    site: Arc<Site>,
    position: u64,
    probe: Option<u32>,
    rated: bool,
    // Failures or refusals are noted of the pair, which an answer ends.
    noted: bool,
}

impl Admission {
    /// The site.
    #[must_use]
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// Whether the request is the probe after a bench.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

/// One line of the ledger, for people.
#[derive(Debug, Clone)]
pub struct BanRow {
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// The site.
    pub site: Arc<Site>,
    /// Why it is passed over there.
    pub kind: Kind,
    /// Until when, in wall-clock time; `None` if the next request there is its probe.
    pub until: Option<Micros>,
    /// Benches in a row.
    pub level: u32,
}

impl SiteBans {
    /// Seeds the lengths of benches, for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { random: Random::new(Some(seed)), ..Self::default() }
    }

    /// Number of pairs in mind.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ledger.lock().len()
    }

    /// Whether no pair is in mind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sites.
    #[must_use]
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// What it goes by.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.ledger.lock().settings
    }

    /// The proxies of a pool are being put into another order: from position to position. The caller holds the writer lock.
    pub(crate) fn renumber(&self, to: &AHashMap<u64, u64>) {
        // The views of the old table go with it.
        self.ledger.lock().renumber(to, &mut Changes::new());
    }

    /// A proxy has left the pool. The caller holds the pool's writer lock.
    pub(crate) fn forget(&self, table: &Table, slot: u32) {
        let mut changes = Changes::new();
        self.ledger.lock().forget(table, slot, &mut changes);
        // Views have dropped the slot already, as they do for every proxy that is no member.
    }

    /// Changes the settings of site bans; what is in the ledger stays.
    pub fn configure(&self, pool: &Pool, settings: Settings, clock: &dyn Clock) {
        let mut changes = Changes::new();
        {
            let mut ledger = self.ledger.lock();
            ledger.settings = settings;
            self.is_rated.store(settings.site_rate.is_some(), Ordering::Relaxed);
            ledger.review(clock.steady(), &mut changes);
        }
        pool.reindex_masked(&changes);
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::clock::ManualClock;
    use crate::net::address::Address;
    use crate::pool::AttachmentOps;
    use crate::proxy::Id;
    use crate::proxy::health::Source;
    use crate::rotation::Domain;
    use crate::sync::model;
    use loom::thread;

    /// Two proxies, of which the second is banned, so that there are marks: loom does not see that a load of the
    /// pointer to new ones sees them whole.
    fn pool() -> (Arc<Domain>, Arc<Site>) {
        let pool = Domain::new(9, AttachmentOps::default(), 0);
        for number in 0..2 {
            let address = Address::parse(&format!("http://10.0.0.{number}:80")).unwrap();
            let proxy = Arc::new(Proxy::new(&address, Source::User, 0));
            // Not at random: every run of a model must do the same.
            proxy.set_id(Id(0, number + 1));
            pool.add(proxy, None, true).unwrap();
        }
        let site = pool.site_named("a");
        ban(&pool, &site, 1, 60.0);
        (pool, site)
    }

    fn clock() -> ManualClock {
        ManualClock::at(1_000_000)
    }

    fn ban(pool: &Domain, site: &Arc<Site>, slot: u32, seconds: f64) {
        let admission = pool.admit_at(&pool.table(), site, slot, &clock()).unwrap();
        pool.settle_at(&admission, SiteOutcome::Banned(Some(seconds)), clock().steady(), &clock());
    }

    // Fails when a view is filled before the ledger knows that it is to be reindexed.
    #[test]
    fn a_view_that_is_made_while_a_ban_is_written_agrees_with_it() {
        model(|| {
            let (pool, site) = pool();
            let other = thread::spawn({
                let (pool, site) = (pool.clone(), site.clone());
                move || ban(&pool, &site, 0, 60.0)
            });
            let table = pool.table();
            let view = pool.facet(&table, &table.everyone, Some(&site.mask)).unwrap();
            other.join().unwrap();
            assert!(!view.open().contains(0) && view.eligible.contains(0));
            assert_eq!(view.dense.len(), 0);
        });
    }

    // Fails when the probe is claimed by a look and a store that are not one step.
    #[test]
    fn of_two_who_choose_it_one_has_the_probe() {
        model(|| {
            let (pool, site) = pool();
            ban(&pool, &site, 0, 0.0);
            let claim = |pool: &Domain, site: &Arc<Site>| {
                let later = ManualClock::at(2_000_000);
                let _ = pool.mask_of(&pool.table(), site, &later);
                pool.admit_at(&pool.table(), site, 0, &later).is_ok_and(|admission| admission.is_probe())
            };
            let other = thread::spawn({
                let (pool, site) = (pool.clone(), site.clone());
                move || claim(&pool, &site)
            });
            let mine = claim(&pool, &site);
            assert!(mine != other.join().unwrap());
        });
    }
}
