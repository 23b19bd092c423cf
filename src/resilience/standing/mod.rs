//! SiteBans: whether a proxy is welcome at a site. A ban is not a death: what happens at one site is held against a proxy
//! there and nowhere else.
//!
//! Selections read marks, without a lock, and only at sites that hold somebody back. Marks can be old by a moment: what
//! decides is [`Pool::admit_at`], which asks the books about the one proxy that was chosen.
//!
//! One request goes like this:
//!
//! 1. [`Pool::site_of`] finds the site of its URL, once.
//! 2. For each choice: load the table, ask [`Pool::sited`] whom to pass over, make the query [`at`](crate::pool::query::Query::at)
//!    that, choose, and ask [`Pool::admit_at`]. Refused there, take the start back and begin this step again: the marks know of
//!    whoever was faster.
//! 3. [`Pool::settle_at`] with what came of it, or with [`SiteOutcome::Released`]. [`SiteChange::Freed`] means that somebody who waits may
//!    be served; those who wait for time to pass ask [`Pool::next_release_at`], or [`Pool::next_standing_due`] for all sites.
//! 4. Nobody there: [`Pool::bars_at`] tells who is held back, why and until when.

mod entry;
#[cfg(not(loom))]
mod forking;
mod ledger;
mod marks;
mod reading;
mod resuming;

use ahash::AHashMap;

use crate::clock::{Clock, Micros};
use crate::pool::{Pool, Table};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::resilience::site::{Site, Sites};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use entry::nanos;
pub use entry::{Kind, SiteRate};
use ledger::{Changes, Ledger};
pub use marks::{Mark, Marks};
pub use reading::{Exclusion, SiteMask};
pub use resuming::SavedHold;

/// Pools smaller than this are not guarded: there half of them is one or two.
const GUARDED_FROM: usize = 4;
/// The first pause after "too many requests" without a word on how long, as a share of the first bench.
const PAUSE_SHARE: f64 = 0.1;
/// Nanoseconds that a later success must be apart to be noted: many threads succeed at one site.
const NOTED_APART: u64 = 100_000_000;

/// What the standing of a pool's proxies goes by. Lengths in seconds.
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
    pub site_rate: Option<SiteRate>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rest_cap: 60.0,
            bench_base: 300.0,
            bench_cap: 3600.0,
            panic_share: 0.5,
            panic_window: 10.0,
            max_standings: 100_000,
            site_rate: None,
        }
    }
}

/// A pool's books on standing.
#[derive(Default)]
pub struct SiteBans {
    pub(crate) sites: Sites,
    ledger: Mutex<Ledger>,
    is_rated: AtomicBool,
    random: Random,
}

/// What a request's end says about the proxy's standing at the site.
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
    /// It may be chosen again: somebody who waits may be served.
    Freed,
}

/// The right to send one request through a proxy to a site. To be given back to [`Pool::settle_at`] once.
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

/// One line of the books, for people.
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

    /// A request at a site has succeeded.
    fn note_success(site: &Site, now: u64) {
        // Relaxed: a coarse note, read by nobody but the guard.
        if now.saturating_sub(site.last_success.load(Ordering::Relaxed)) > NOTED_APART {
            site.last_success.store(now, Ordering::Relaxed);
        }
        if site.panicking.load(Ordering::Relaxed) {
            site.panicking.store(false, Ordering::Relaxed);
        }
    }

    /// A view of `table` is about to leave out whom the site holds back: from now on the pool hears of changes. `false` if
    /// the table is not the one that the books are about.
    pub(crate) fn note_view(&self, site: &Site, table: &Table) -> bool {
        self.ledger.lock().note_view(site, table.generation)
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
        // Views have taken the slot out already, as everybody has who is no member.
    }
}

impl Pool {
    /// The site of a URL; `None` without a host.
    #[inline]
    #[must_use]
    pub fn site_of(&self, url: &str) -> Option<Arc<Site>> {
        self.standing.sites.of_url(url)
    }

    /// The site of that key.
    #[must_use]
    pub fn site_named(&self, key: &str) -> Arc<Site> {
        self.standing.sites.named(key)
    }

    /// The books on standing.
    #[must_use]
    pub fn standing(&self) -> &SiteBans {
        &self.standing
    }

    /// Changes what standing goes by; what is on the books stays.
    pub fn set_standing(&self, settings: Settings, clock: &dyn Clock) {
        let mut changes = Changes::new();
        {
            let mut ledger = self.standing.ledger.lock();
            ledger.settings = settings;
            self.standing.is_rated.store(settings.site_rate.is_some(), Ordering::Relaxed);
            ledger.review(clock.steady(), &mut changes);
        }
        self.place_sited(&changes);
    }

    /// Asks for the right to send one request through the proxy of a slot to a site: takes a token where there is a rate,
    /// and claims the probe where one is owed.
    ///
    /// # Errors
    /// What holds the proxy back there. Selections pass it over from now on, so the caller takes the start back, loads the
    /// table again and chooses anew.
    #[inline]
    pub fn admit_at(
        &self,
        table: &Table,
        site: &Arc<Site>,
        slot: u32,
        clock: &dyn Clock,
    ) -> Result<Admission, Exclusion> {
        let rated = self.standing.is_rated.load(Ordering::Relaxed);
        let position = table.position(slot as usize);
        if !rated && (site.entries.load(Ordering::Acquire) == 0 || site.says_nothing_of(table, slot)) {
            return Ok(Admission { site: site.clone(), position, probe: None, rated: false, noted: false });
        }
        self.ask_books(site, position, rated, clock)
    }

    fn ask_books(
        &self,
        site: &Arc<Site>,
        position: u64,
        rated: bool,
        clock: &dyn Clock,
    ) -> Result<Admission, Exclusion> {
        let mut changes = Changes::new();
        let (answer, _outlives_the_lock) = {
            let mut ledger = self.standing.ledger.lock();
            // Under the lock: a table that is older than the marks would number the slots otherwise.
            let table = self.table.load_full();
            // Under the lock: the moment asked about must not be before what others have written down.
            let now = clock.steady();
            let rate = ledger.rate();
            let at = match rate {
                None => ledger.find(site, position),
                Some(_) => ledger.entry(site, position, &table, &mut changes),
            };
            let answer = match at {
                None => Ok(Admission { site: site.clone(), position, probe: None, rated: false, noted: false }),
                Some(at) => {
                    let number = ledger.next_number();
                    let record = &mut ledger.entries[at as usize].record;
                    match record.hold(now, rate) {
                        Some(hold) => Err(Exclusion::of(&hold, now, clock)),
                        None => {
                            let probe = record.admit(now, rate, number);
                            let noted = record.is_noted();
                            ledger.reconcile(at, now, &mut changes);
                            Ok(Admission { site: site.clone(), position, probe, rated, noted })
                        }
                    }
                }
            };
            (answer, table)
        };
        self.place_sited(&changes);
        answer
    }

    /// Writes down what a request's end says. `began` is when it was admitted at the latest, on the steady clock: what was
    /// sent before a bench says nothing new about it.
    #[inline]
    pub fn settle_at(&self, admission: &Admission, finding: SiteOutcome, began: u64, clock: &dyn Clock) -> SiteChange {
        match finding {
            SiteOutcome::Welcome => {
                SiteBans::note_success(&admission.site, clock.steady_coarse());
                if admission.probe.is_none() && !admission.noted {
                    return SiteChange::None;
                }
            }
            SiteOutcome::Nothing if admission.probe.is_none() => return SiteChange::None,
            SiteOutcome::Carried if admission.probe.is_none() && !admission.noted => return SiteChange::None,
            SiteOutcome::Released if admission.probe.is_none() && !admission.rated => return SiteChange::None,
            _ => {}
        }
        self.write_down(admission, finding, began, clock)
    }

    fn write_down(&self, admission: &Admission, finding: SiteOutcome, began: u64, clock: &dyn Clock) -> SiteChange {
        let mut changes = Changes::new();
        let (effect, _outlives_the_lock) = {
            let mut ledger = self.standing.ledger.lock();
            let table = self.table.load_full();
            let now = clock.steady();
            (self.judge(&mut ledger, &table, admission, finding, began, now, &mut changes), table)
        };
        self.place_sited(&changes);
        effect
    }

    #[allow(clippy::too_many_arguments)]
    fn judge(
        &self,
        ledger: &mut Ledger,
        table: &Table,
        admission: &Admission,
        finding: SiteOutcome,
        began: u64,
        now: u64,
        changes: &mut Changes,
    ) -> SiteChange {
        let (site, position) = (&admission.site, admission.position);
        let known = ledger.find(site, position);
        let mut effect = SiteChange::None;
        let at = match finding {
            SiteOutcome::Welcome | SiteOutcome::Carried | SiteOutcome::Nothing | SiteOutcome::Released => {
                let Some(at) = known else { return SiteChange::None };
                let rate = ledger.rate();
                let record = &mut ledger.entries[at as usize].record;
                let freed = match (finding, admission.probe) {
                    (SiteOutcome::Welcome, _) => {
                        record.clear();
                        true
                    }
                    (SiteOutcome::Carried, number) => {
                        let was_probe = number.is_some_and(|number| record.end_probe(number));
                        record.pardon();
                        was_probe
                    }
                    (_, Some(number)) => record.end_probe(number),
                    _ => false,
                };
                if finding == SiteOutcome::Released && admission.rated {
                    record.give_back(rate);
                }
                if freed || finding == SiteOutcome::Released {
                    effect = SiteChange::Freed;
                }
                at
            }
            SiteOutcome::RateLimited(Some(seconds)) => {
                let Some(at) = ledger.entry(site, position, table, changes) else { return SiteChange::None };
                let record = &mut ledger.entries[at as usize].record;
                if let Some(number) = admission.probe {
                    record.end_probe(number);
                }
                record.pause(Kind::RateLimited, now + nanos(seconds));
                effect = SiteChange::Held { seconds };
                at
            }
            SiteOutcome::Failed { free } => {
                let Some(at) = ledger.entry(site, position, table, changes) else { return SiteChange::None };
                let most = nanos(ledger.settings.rest_cap);
                let record = &mut ledger.entries[at as usize].record;
                let was_probe = admission.probe.is_some_and(|number| record.end_probe(number));
                // A probe is news whenever it began.
                record.fail(if was_probe { now } else { began }, now, free, most, self.standing.random.unit());
                at
            }
            SiteOutcome::ExitRefused(kind) => {
                let Some(at) = ledger.entry(site, position, table, changes) else { return SiteChange::None };
                let record = &mut ledger.entries[at as usize].record;
                if record.refuse_exit(began, now) {
                    return self.bench(ledger, table, admission, kind, None, began, now, changes);
                }
                if let Some(number) = admission.probe {
                    record.end_probe(number);
                }
                at
            }
            SiteOutcome::Banned(given) => {
                return self.bench(ledger, table, admission, Kind::Banned, given, began, now, changes);
            }
            SiteOutcome::RateLimited(None) => {
                return self.bench(ledger, table, admission, Kind::RateLimited, None, began, now, changes);
            }
        };
        ledger.reconcile(at, now, changes);
        effect
    }

    #[allow(clippy::too_many_arguments)]
    fn bench(
        &self,
        ledger: &mut Ledger,
        table: &Table,
        admission: &Admission,
        kind: Kind,
        given: Option<f64>,
        began: u64,
        now: u64,
        changes: &mut Changes,
    ) -> SiteChange {
        let (site, position) = (&admission.site, admission.position);
        let settings = ledger.settings;
        // Whose time has come is not benched, whether or not anybody has asked since.
        ledger.wake(site, now, changes);
        let known = ledger.find(site, position);
        if let Some(at) = known {
            let record = &mut ledger.entries[at as usize].record;
            if record.is_old_news(began, admission.probe) {
                let Some(seconds) = given else { return SiteChange::None };
                record.pause(kind, now + nanos(seconds));
                ledger.reconcile(at, now, changes);
                return SiteChange::Held { seconds };
            }
            if let Some(number) = admission.probe {
                record.end_probe(number);
                ledger.reconcile(at, now, changes);
            }
        }
        if given.is_none() && self.is_guarded(ledger, site, now) {
            return SiteChange::Spared { first: !site.panicking.swap(true, Ordering::Relaxed) };
        }
        let Some(at) = ledger.entry(site, position, table, changes) else { return SiteChange::None };
        let record = &mut ledger.entries[at as usize].record;
        let seconds = given.unwrap_or_else(|| self.standing.length(&settings, kind, record.level));
        record.bench(kind, now, nanos(seconds));
        let level = record.level;
        ledger.reconcile(at, now, changes);
        SiteChange::Benched { seconds, level }
    }

    /// Whether so much of the pool is benched at a site where nothing succeeds that the fault must be the site's.
    fn is_guarded(&self, ledger: &Ledger, site: &Site, now: u64) -> bool {
        let settings = &ledger.settings;
        let members = self.len();
        if members < GUARDED_FROM {
            return false;
        }
        let last = site.last_success.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) <= nanos(settings.panic_window) {
            return false;
        }
        let benched = ledger.sites.get(&site.uid).map_or(0, |books| books.benched);
        benched as f64 >= settings.panic_share * members as f64
    }
}

impl Pool {
    /// The failures of a proxy at a site were its own: the pair does not rest for them any longer.
    #[cold]
    pub(crate) fn pardon_at(&self, site: &Site, proxy: &Proxy, clock: &dyn Clock) {
        let Some((table, slot)) = self.find(proxy.id()) else { return };
        let mut changes = Changes::new();
        {
            let mut ledger = self.standing.ledger.lock();
            let now = clock.steady();
            let Some(at) = ledger.find(site, table.position(slot as usize)) else { return };
            ledger.entries[at as usize].record.pardon();
            ledger.reconcile(at, now, &mut changes);
        }
        self.place_sited(&changes);
    }

    /// A site that failed for all has answered: no pair rests for its failures any longer.
    #[cold]
    pub(crate) fn pardon_all_at(&self, site: &Site, clock: &dyn Clock) {
        let mut changes = Changes::new();
        {
            let mut ledger = self.standing.ledger.lock();
            let now = clock.steady();
            let Some(books) = ledger.sites.get(&site.uid) else { return };
            let all: Vec<u32> = books.index.iter().copied().collect();
            for at in all {
                let record = &mut ledger.entries[at as usize].record;
                if record.has_failed() {
                    record.pardon();
                    ledger.reconcile(at, now, &mut changes);
                }
            }
        }
        self.place_sited(&changes);
    }
}

impl SiteBans {
    /// Full jitter: anything from nothing up to the doubled base, so that benched proxies do not come back together.
    fn length(&self, settings: &Settings, kind: Kind, level: u32) -> f64 {
        let base = match kind {
            Kind::Banned | Kind::Failing => settings.bench_base,
            Kind::RateLimited => settings.bench_base * PAUSE_SHARE,
        };
        self.random.unit() * (base * 2f64.powi(level.min(1000) as i32)).min(settings.bench_cap)
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
    use crate::sync::model;
    use loom::thread;

    /// Two proxies, of whom the second is banned, so that there are marks: loom does not see that who loads a pointer to new
    /// ones sees them whole.
    fn pool() -> (Arc<Pool>, Arc<Site>) {
        let pool = Pool::new(9, AttachmentOps::default(), 0);
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

    fn ban(pool: &Pool, site: &Arc<Site>, slot: u32, seconds: f64) {
        let admission = pool.admit_at(&pool.table(), site, slot, &clock()).unwrap();
        pool.settle_at(&admission, SiteOutcome::Banned(Some(seconds)), clock().steady(), &clock());
    }

    // Fails when a view is filled before the books know that it is to hear of changes.
    #[test]
    fn a_view_that_is_made_while_a_ban_is_written_agrees_with_it() {
        model(|| {
            let (pool, site) = pool();
            let other = thread::spawn({
                let (pool, site) = (pool.clone(), site.clone());
                move || ban(&pool, &site, 0, 60.0)
            });
            let table = pool.table();
            let view = pool.facet(&table, &table.everyone, Some(&site)).unwrap();
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
            let claim = |pool: &Pool, site: &Arc<Site>| {
                let later = ManualClock::at(2_000_000);
                let _ = pool.sited(&pool.table(), site, &later);
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
