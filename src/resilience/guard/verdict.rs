//! After a request: the consequences for the proxy's liveness.

use super::{Admitted, OutlierDetector};
use crate::clock::Clock;
use crate::pool::Pool;
use crate::proxy::health::{Health, mark, reason};
use crate::proxy::liveness::capacity::{self, Bound};
use crate::proxy::liveness::cooldown;
use crate::proxy::liveness::due::{Due, schedule};
use crate::proxy::{LivenessEvent, Proxy, State};
use crate::random::Random;
use crate::resilience::notice::Notice;
use crate::sync::Arc;

/// Results that were booked as a site's fault and are the proxy's.
pub(crate) struct Blamed<'a> {
    pub(crate) proxy: &'a Arc<Proxy>,
    pub(crate) results: u32,
    /// When the last of their attempts began.
    pub(crate) began: u64,
    /// Whether a row of sites says so, rather than an answer.
    pub(crate) by_row: bool,
}

impl OutlierDetector {
    /// The proxy has carried a request; call it after the result was recorded.
    #[inline]
    pub fn on_success(&self, proxy: &Arc<Proxy>, admitted: &Admitted, now: u64, clock: &dyn Clock) {
        self.panic.calm(now);
        let record = self.record_of(proxy);
        let state = proxy.state();
        // A breaker that is not closed has its mark in the word.
        if state.has(reason::BREAKER | mark::BREAKER_TRIAL) {
            self.breaker_of(proxy).record_success(clock);
        } else {
            record.count_success(now);
        }
        if record.earn() && state.has(reason::AT_CAPACITY) {
            capacity::recheck(proxy, Bound::InFlight);
        }
        if admitted.probe.is_some() {
            self.end_probe(proxy, admitted, clock);
        }
        if admitted.connection {
            self.disconnect(proxy);
        }
        self.freed();
    }

    /// The proxy has failed; call it before the result is recorded, so that its consequence is there first. `login`:
    /// for want of credentials.
    #[cold]
    pub fn on_failure(&self, pool: &Pool, proxy: &Arc<Proxy>, admitted: &Admitted, login: bool, clock: &dyn Clock) {
        self.note_trouble(clock.steady_coarse());
        let settings = self.settings.load_full();
        if self.panic.holds(pool, proxy, &settings, clock) {
            let (before, _) = proxy.change(State::panic_exempt);
            if before.has(mark::BREAKER_TRIAL) {
                self.breaker_of(proxy).give_up_probe(clock);
            }
            if self.panic.is_news() {
                self.notices.put(|| Notice::Panic { site: None });
            }
        } else {
            let state = proxy.state();
            // The last that may be chosen is not given up for a failure or two, proven or not.
            let unexplored = proxy.totals().1 == 0 && pool.table().all.dense.len() > 1;
            // This failure is not counted yet.
            let fallen = !Health::after_failures(proxy.consecutive_failures().saturating_add(1)).is_usable();
            if login || unexplored || fallen || state.has(mark::ON_TRIAL | mark::PANIC_EXEMPT) {
                self.rest(proxy, login, clock);
            }
            self.breaker_of(proxy).record_failure(clock);
        }
        self.end_probe(proxy, admitted, clock);
    }

    /// Evidence says that failures booked as a site's fault are the proxy's. To be called with no lock held.
    #[cold]
    pub(crate) fn on_blamed(&self, pool: &Pool, blamed: &Blamed<'_>, clock: &dyn Clock) {
        let Blamed { proxy, results, began, by_row } = *blamed;
        // The sites of a row follow each other, whenever they are decided.
        let is_news = self.record_of(proxy).is_blamed_anew(began, clock.steady()) || by_row;
        if is_news {
            let others_eligible = pool.table().all.dense.len() > usize::from(proxy.reasons() == 0);
            if by_row && !others_eligible {
                // A row of sites is weak evidence, and to bench the last proxy for it gains nothing.
                proxy.change(State::panic_exempt);
            } else {
                self.on_failure(pool, proxy, &Admitted::default(), false, clock);
            }
        }
        proxy.rebook_as_failures(results, u32::from(is_news), clock);
    }

    /// The request has ended without saying anything of the proxy.
    #[inline]
    pub fn on_inconclusive(&self, proxy: &Arc<Proxy>, admitted: &Admitted, clock: &dyn Clock) {
        if admitted.probe.is_some() {
            self.end_probe(proxy, admitted, clock);
        }
        if admitted.connection {
            self.disconnect(proxy);
        }
        self.freed();
    }

    /// Leaves a proxy alone for a while. What ends meanwhile neither prolongs the rest nor raises the next one.
    pub(crate) fn rest(&self, proxy: &Arc<Proxy>, login: bool, clock: &dyn Clock) {
        if proxy.state().has(reason::RESTING) {
            return;
        }
        let settings = self.settings.load();
        let record = self.record_of(proxy);
        let level = record.level();
        let span = cooldown::rest(settings.rest_base, settings.rest_cap, level, Random::Thread.unit());
        let until = clock.steady().saturating_add(span);
        record.set_rest_until(until);
        let (before, _) = proxy.change(|state| if state.has(reason::RESTING) { state } else { state.resting(login) });
        // Both racing threads schedule: `rest_until` holds the last write, and that entry must exist.
        schedule(proxy, until, Due::Rest);
        if !before.has(reason::RESTING) {
            record.rested_again();
            proxy.tell(&LivenessEvent::Rested { seconds: span as f64 / 1e9, level });
        }
    }
}
