//! One request at a site: admitted before it is sent, and settled by what came of it.

use super::ledger::{Changes, Ledger};
use super::{
    Admission, Exclusion, GUARDED_FROM, Kind, NOTED_APART, PAUSE_SHARE, Settings, SiteBans, SiteChange, SiteOutcome,
};
use crate::clock::{Clock, nanoseconds};
use crate::pool::marks::Mark;
use crate::pool::{Pool, Table};
use crate::proxy::Proxy;
use crate::resilience::site::Site;
use crate::sync::{Arc, Ordering};

impl SiteBans {
    /// Asks for the right to send one request through the proxy of a slot to a site: takes a token where there is a rate,
    /// and claims the probe where one is owed.
    ///
    /// # Errors
    /// What holds the proxy back there. Selections pass it over from now on, so the caller takes the start back, loads the
    /// table again and chooses anew.
    #[inline]
    pub fn admit_at(
        &self,
        pool: &Pool,
        table: &Table,
        site: &Arc<Site>,
        slot: u32,
        clock: &dyn Clock,
    ) -> Result<Admission, Exclusion> {
        let rated = self.is_rated.load(Ordering::Relaxed);
        let position = table.position(slot as usize);
        if !rated
            && (site.entries.load(Ordering::Acquire) == 0
                || site.mask.look(table.generation, slot) == Some(Mark::Unknown))
        {
            return Ok(Admission { site: site.clone(), position, probe: None, rated: false, noted: false });
        }
        self.ask_books(pool, site, position, rated, clock)
    }

    fn ask_books(
        &self,
        pool: &Pool,
        site: &Arc<Site>,
        position: u64,
        rated: bool,
        clock: &dyn Clock,
    ) -> Result<Admission, Exclusion> {
        let mut changes = Changes::new();
        let (answer, _outlives_the_lock) = {
            let mut ledger = self.ledger.lock();
            // Under the lock: a table that is older than the marks would number the slots otherwise.
            let table = pool.table.load_full();
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
        pool.reindex_masked(&changes);
        answer
    }

    /// Writes down what a request's end says. `began` is when it was admitted at the latest, on the steady clock: what was
    /// sent before a bench says nothing new about it.
    #[inline]
    pub fn settle_at(
        &self,
        pool: &Pool,
        admission: &Admission,
        site_outcome: SiteOutcome,
        began: u64,
        clock: &dyn Clock,
    ) -> SiteChange {
        match site_outcome {
            SiteOutcome::Welcome => {
                Self::note_success(&admission.site, clock.steady_coarse());
                if admission.probe.is_none() && !admission.noted {
                    return SiteChange::None;
                }
            }
            SiteOutcome::Nothing if admission.probe.is_none() => return SiteChange::None,
            SiteOutcome::Carried if admission.probe.is_none() && !admission.noted => return SiteChange::None,
            SiteOutcome::Released if admission.probe.is_none() && !admission.rated => return SiteChange::None,
            _ => {}
        }
        self.write_down(pool, admission, site_outcome, began, clock)
    }

    fn write_down(
        &self,
        pool: &Pool,
        admission: &Admission,
        site_outcome: SiteOutcome,
        began: u64,
        clock: &dyn Clock,
    ) -> SiteChange {
        let mut changes = Changes::new();
        let (effect, _outlives_the_lock) = {
            let mut ledger = self.ledger.lock();
            let table = pool.table.load_full();
            let now = clock.steady();
            (self.judge(pool, &mut ledger, &table, admission, site_outcome, began, now, &mut changes), table)
        };
        pool.reindex_masked(&changes);
        effect
    }

    /// A request at a site has succeeded.
    fn note_success(site: &Site, now: u64) {
        // Relaxed: a coarse note, read by the panic guard only.
        if now.saturating_sub(site.last_success.load(Ordering::Relaxed)) > NOTED_APART {
            site.last_success.store(now, Ordering::Relaxed);
        }
        if site.panicking.load(Ordering::Relaxed) {
            site.panicking.store(false, Ordering::Relaxed);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn judge(
        &self,
        pool: &Pool,
        ledger: &mut Ledger,
        table: &Table,
        admission: &Admission,
        site_outcome: SiteOutcome,
        began: u64,
        now: u64,
        changes: &mut Changes,
    ) -> SiteChange {
        let (site, position) = (&admission.site, admission.position);
        let known = ledger.find(site, position);
        let mut effect = SiteChange::None;
        let at = match site_outcome {
            SiteOutcome::Welcome | SiteOutcome::Carried | SiteOutcome::Nothing | SiteOutcome::Released => {
                let Some(at) = known else { return SiteChange::None };
                let rate = ledger.rate();
                let record = &mut ledger.entries[at as usize].record;
                let freed = match (site_outcome, admission.probe) {
                    (SiteOutcome::Welcome, _) => {
                        record.clear();
                        true
                    }
                    (SiteOutcome::Carried, number) => {
                        let was_probe = number.is_some_and(|number| record.end_probe(number));
                        record.clear_failures();
                        was_probe
                    }
                    (_, Some(number)) => record.end_probe(number),
                    _ => false,
                };
                if site_outcome == SiteOutcome::Released && admission.rated {
                    record.give_back(rate);
                }
                if freed || site_outcome == SiteOutcome::Released {
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
                record.pause(Kind::RateLimited, now + nanoseconds(seconds));
                effect = SiteChange::Held { seconds };
                at
            }
            SiteOutcome::Failed { free } => {
                let Some(at) = ledger.entry(site, position, table, changes) else { return SiteChange::None };
                let most = nanoseconds(ledger.settings.rest_cap);
                let record = &mut ledger.entries[at as usize].record;
                let was_probe = admission.probe.is_some_and(|number| record.end_probe(number));
                // A probe is news whenever it began.
                record.fail(if was_probe { now } else { began }, now, free, most, self.random.unit());
                at
            }
            SiteOutcome::ExitRefused(kind) => {
                let Some(at) = ledger.entry(site, position, table, changes) else { return SiteChange::None };
                let record = &mut ledger.entries[at as usize].record;
                if record.refuse_exit(began, now) {
                    return self.bench(pool, ledger, table, admission, kind, None, began, now, changes);
                }
                if let Some(number) = admission.probe {
                    record.end_probe(number);
                }
                at
            }
            SiteOutcome::Banned(given) => {
                return self.bench(pool, ledger, table, admission, Kind::Banned, given, began, now, changes);
            }
            SiteOutcome::RateLimited(None) => {
                return self.bench(pool, ledger, table, admission, Kind::RateLimited, None, began, now, changes);
            }
        };
        ledger.reconcile(at, now, changes);
        effect
    }

    #[allow(clippy::too_many_arguments)]
    fn bench(
        &self,
        pool: &Pool,
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
        // A bench that is over does not count, whether or not a selection has seen it since.
        ledger.wake(site, now, changes);
        let known = ledger.find(site, position);
        if let Some(at) = known {
            let record = &mut ledger.entries[at as usize].record;
            if record.is_old_news(began, admission.probe) {
                let Some(seconds) = given else { return SiteChange::None };
                record.pause(kind, now + nanoseconds(seconds));
                ledger.reconcile(at, now, changes);
                return SiteChange::Held { seconds };
            }
            if let Some(number) = admission.probe {
                record.end_probe(number);
                ledger.reconcile(at, now, changes);
            }
        }
        if given.is_none() && Self::is_guarded(pool, ledger, site, now) {
            return SiteChange::Spared { first: !site.panicking.swap(true, Ordering::Relaxed) };
        }
        let Some(at) = ledger.entry(site, position, table, changes) else { return SiteChange::None };
        let record = &mut ledger.entries[at as usize].record;
        let seconds = given.unwrap_or_else(|| self.length(&settings, kind, record.level));
        record.bench(kind, now, nanoseconds(seconds));
        let level = record.level;
        ledger.reconcile(at, now, changes);
        SiteChange::Benched { seconds, level }
    }

    /// Whether so much of the pool is benched at a site where nothing succeeds that the fault must be the site's.
    fn is_guarded(pool: &Pool, ledger: &Ledger, site: &Site, now: u64) -> bool {
        let settings = &ledger.settings;
        let members = pool.len();
        if members < GUARDED_FROM {
            return false;
        }
        let last = site.last_success.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) <= nanoseconds(settings.panic_window) {
            return false;
        }
        let benched = ledger.sites.get(&site.uid).map_or(0, |site_ledger| site_ledger.benched);
        benched as f64 >= settings.panic_share * members as f64
    }

    /// Full jitter: anything from nothing up to the doubled base, so that benched proxies do not come back together.
    fn length(&self, settings: &Settings, kind: Kind, level: u32) -> f64 {
        let base = match kind {
            Kind::Banned | Kind::Failing => settings.bench_base,
            Kind::RateLimited => settings.bench_base * PAUSE_SHARE,
        };
        self.random.unit() * (base * 2f64.powi(level.min(1000) as i32)).min(settings.bench_cap)
    }

    /// The failures of a proxy at a site were its own: the pair does not rest for them any longer.
    #[cold]
    pub(crate) fn clear_failures_at(&self, pool: &Pool, site: &Site, proxy: &Proxy, clock: &dyn Clock) {
        let Some((table, slot)) = pool.find(proxy.id()) else { return };
        let mut changes = Changes::new();
        {
            let mut ledger = self.ledger.lock();
            let now = clock.steady();
            let Some(at) = ledger.find(site, table.position(slot as usize)) else { return };
            ledger.entries[at as usize].record.clear_failures();
            ledger.reconcile(at, now, &mut changes);
        }
        pool.reindex_masked(&changes);
    }

    /// A site that failed for all has answered: no pair rests for its failures any longer.
    #[cold]
    pub(crate) fn clear_failures_of_all_at(&self, pool: &Pool, site: &Site, clock: &dyn Clock) {
        let mut changes = Changes::new();
        {
            let mut ledger = self.ledger.lock();
            let now = clock.steady();
            let Some(site_ledger) = ledger.sites.get(&site.uid) else { return };
            let all: Vec<u32> = site_ledger.index.iter().copied().collect();
            for at in all {
                let record = &mut ledger.entries[at as usize].record;
                if record.has_failed() {
                    record.clear_failures();
                    ledger.reconcile(at, now, &mut changes);
                }
            }
        }
        pool.reindex_masked(&changes);
    }
}
